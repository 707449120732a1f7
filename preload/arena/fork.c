/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What a child of fork does with the arena, of which it has a copy as it was
 * at some moment. Threads of the parent are gone, also in the middle of a step:
 * what they had borrowed or were about to serve or free stays out of use, and
 * numbers that they were about to change are counted anew.
 */
#include "preload/arena/epoch.h"
#include "preload/arena/tree.h"
#include "preload/arena/usage.h"
#include "preload/arena/zone.h"

struct counts {
	size_t live, dirty;
};

static struct counts count_marks(void)
{
	struct counts c = { 0, 0 };

	for (size_t t = 0; t < arena.trees; t++) {
		struct span s = span_of_tree(t);

		if (!tree_is_online(t))
			continue;
		c.live += mark_count(arena.marks, MARK_LIVE, 0, s);
		c.dirty += mark_count(arena.marks, MARK_DIRTY, MARK_LIVE, s);
	}
	return c;
}

/* The exact number of free frames. A tree that is off is all free, unless a
 * thread is about to have it, and takes long to look through. */
static size_t count_free(void)
{
	size_t count = 0;

	for (size_t t = 0; t < arena.trees; t++)
		count += tree_state(t) == TREE_OFF
				 ? LLFREE_TREE_SIZE
				 : zone_stats_at(span_of_tree(t).first,
						 LLFREE_TREE_ORDER)
					   .free_frames;
	return count;
}

/* What threads that are gone had in their hands. */
static void count_leaked(size_t live)
{
	size_t free = count_free(), fast = zone_fast_free();

	if (free != fast)
		free = zone_stats().free_frames;
	arena.leaked = arena.frames - free - live;
	arena.claimed = free - fast;
}

void arena_forked(void)
{
	struct counts c;

	if (arena_state() != ARENA_READY)
		return;
	epoch_reset();
	tree_forget_threads();
	c = count_marks();
	usage_recount(c.live, c.dirty);
	/* Only a report needs the rest. */
	if (!stats_on)
		return;
	arena.inherited = c.live;
	arena.counted = zone_counters();
	count_leaked(c.live);
}
