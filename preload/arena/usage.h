/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * How much is live, and how much is free but dirty, in frames; and how much may
 * be dirty. Each processor collects small changes of both in one word before
 * the common sums are touched, so these lag behind by a few frames a processor.
 * Any thread may call these beside any other, except where it says alone.
 *
 * Dirty frames are resident without being of use to the program, until they
 * serve again. How many will is told by what the program did of late:
 *
 *	live	|     high ______          ______
 *		|         /      \        /     \      bound = swing + a little
 *		|        /        \______/
 *		|_______/          low           time
 *
 * What went up again after it had gone down (the swing) would have been served
 * from dirty frames; so much may lie ready, as long as live and dirty frames
 * together are not more than were live before. A program that only grows, or
 * that frees for good, keeps next to nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void usage_add(unsigned cpu, int64_t live, int64_t dirty);

/* Whether `count` frames, still live, may become dirty when they are freed. */
bool usage_retains(size_t count);

/* How many dirty frames there are too many. */
size_t usage_excess(void);

/* Whether any are, nearly: what is changing at this moment may be missed. */
bool usage_any_dirty(void);

/* From time to time: what was before the last call of this is forgotten. */
void usage_new_period(void);

/* The largest `live` so far, at least `live_now`. */
size_t usage_peak(size_t live_now);

/* Sets both, and the peak. Alone. */
void usage_reset(size_t live, size_t dirty);
