/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * How much is live, and how much is free but dirty, in frames. Each processor
 * collects small changes of both in one word before the common sums are
 * touched, so these lag behind by a few frames a processor. Any thread may
 * call these beside any other, except where it says alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void gauge_add(unsigned cpu, int64_t live, int64_t dirty);

/* Whether `more` dirty frames would be more than may lie ready for reuse. */
bool gauge_is_enough(size_t more);

/* The largest `live` so far, at least `live_now`. */
size_t gauge_peak(size_t live_now);

/* Sets both, and the peak. Alone. */
void gauge_reset(size_t live, size_t dirty);
