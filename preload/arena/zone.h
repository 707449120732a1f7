/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The allocators. The arena has two zones with an allocator each: one serves
 * regions; the other is the heap zone, where frames are asked for by their
 * number only, so that the frames behind the heap stay free for it. Only
 * zone.c knows of two: frames are counted from the start of the arena.
 *
 * Any thread at any time, once zone_start has returned true.
 */
#pragma once

#include "preload/arena/marks.h"

#include <llfree.h>

/* Frames for regions, anywhere but in the heap zone; empty when there are
 * none. */
struct span zone_get(size_t count);

/* Exactly these frames. Waits for the background thread when it may have
 * borrowed them. */
bool zone_get_at(struct span s);

void zone_put(struct span s);

/* Free frames, for a moment, from the allocator: nothing else is served them
 * meanwhile, and their tree keeps its class. */
bool zone_borrow(struct span s);
void zone_give_back(struct span s);

/* How many frames, from the start of the arena on, a call about `frame` may
 * borrow: not those of the heap zone, into which another thread may be about
 * to grow the heap. */
size_t zone_reach(size_t frame);

/* Exact figures of the block of that order that `frame` lies in. */
ll_stats_t zone_stats_at(size_t frame, unsigned order);
/* Exact figures of all; and the free frames by the allocators' own counters,
 * which are never more. */
ll_stats_t zone_stats(void);
size_t zone_fast_free(void);
/* What the allocator of regions did. In the heap zone nothing is searched. */
llfree_counters_t zone_counters(void);

/* Setting up, in this order: how many frames each zone has, where in one
 * mapping the allocators' data lies (from `at` on; returns its end), and the
 * start, with all trees fresh, in a mapping of zeros. Alone. */
void zone_divide(size_t regions, size_t heap, size_t cores);
size_t zone_place_upper(size_t at);
size_t zone_place_lower(size_t at);
bool zone_start(uint8_t *mapping);
