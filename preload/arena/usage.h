/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * How many frames are live, how many are free but dirty, and how many may be:
 * the retain limit for dirty frames, and LLFREE_MAX for live ones. Units:
 * frames. Any thread may call these functions beside any other, except where
 * it says alone.
 *
 * Each processor collects small changes of both numbers in a word of its own
 * before the common sums are touched, so the sums lag behind by a few frames a
 * processor.
 *
 * Dirty frames are resident without being of use to the program, until they
 * serve again. What the program did of late tells how many will:
 *
 *	live	|     high ______          ______
 *		|         /      \        /     \      retain limit =
 *		|        /        \______/             rebound + a little
 *		|_______/          low           time
 *
 * The rebound is how far usage went up again after it had gone down. Dirty
 * frames would have served that growth, so as many may stay, as long as live
 * and dirty frames together are not more than were live before. A program that
 * only grows, or that frees for good, keeps next to nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Count changes of both numbers, on processor `cpu`. */
void usage_add(unsigned cpu, int64_t live, int64_t dirty);

/* Whether `count` frames, still live, may become dirty when they are freed. */
bool usage_retains(size_t count);

/* By how many frames the dirty ones exceed the retain limit. */
size_t usage_excess(void);

/* Whether any frame is dirty; a change under way may be missed. */
bool usage_any_dirty(void);

/* Begin a new period: what was before the last call of this is forgotten. */
void usage_new_period(void);

/* The largest number of live frames so far, at least `live_now`. */
size_t usage_peak(size_t live_now);

/*
 * The most frames that may be live at once; 0: any number. While there is a
 * limit, live frames are counted exactly as well: reserved before they are
 * allocated, released when they are freed, so that a request for too many
 * stands in the way of no other. Alone.
 */
void usage_limit(size_t most);

/* Reserve `count` frames, of which `replaced` replace frames that are freed
 * soon; false when that exceeds the limit. usage_force always reserves. */
bool usage_reserve(size_t count, size_t replaced);
void usage_force(size_t count);
void usage_release(size_t count);

/* Set both numbers, the peak, and what is reserved, as counted; what the
 * program did of late stays known. Alone, or nearly: a change under way may be
 * lost. */
void usage_recount(size_t live, size_t dirty);
