/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The figures of the report, and what a child of fork has to count anew.
 */
#include "preload/arena/epoch.h"
#include "preload/arena/page.h"
#include "preload/arena/tree.h"
#include "preload/arena/usage.h"
#include "preload/arena/zone.h"

static size_t count_marks(unsigned with, unsigned without)
{
	size_t count = 0;

	for (size_t t = 0; t < arena.trees; t++)
		if (tree_is_online(t))
			count += mark_count(arena.marks, with, without,
					    span_of_tree(t));
	return count;
}

static llfree_counters_t counted_since(llfree_counters_t then)
{
	llfree_counters_t now = zone_counters();

	now.reservations -= then.reservations;
	now.steals -= then.steals;
	now.demotions -= then.demotions;
	now.reserved_steals -= then.reserved_steals;
	now.retries -= then.retries;
	return now;
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

/* Only a report asks for what is counted last. */
void arena_forked(void)
{
	size_t live;

	if (arena_state() != ARENA_READY)
		return;
	epoch_reset();
	tree_forget_threads();
	live = count_marks(MARK_LIVE, 0);
	usage_reset(live, count_marks(MARK_DIRTY, MARK_LIVE));
	if (!stats_on)
		return;
	arena.inherited = live;
	arena.counted = zone_counters();
	count_leaked(live);
}

static size_t count_resident(size_t tree)
{
	struct span s = span_of_tree(tree);
	unsigned char resident[PAGE_ASK_MOST];
	size_t count = 0;

	while (s.count) {
		struct span part = span_before(s, s.first + PAGE_ASK_MOST);

		if (page_resident(part, resident))
			for (size_t i = 0; i < part.count; i++)
				count += resident[i] & 1;
		s = span_from(s, span_end(part));
	}
	return count;
}

static void count_per_huge(size_t tree, struct arena_snapshot *f)
{
	struct span s = span_of_tree(tree);
	size_t step = HUGE / 8;

	for (size_t at = s.first; at < span_end(s); at += HUGE) {
		ll_stats_t stats = zone_stats_at(at, LLFREE_HUGE_ORDER);

		f->per_huge[(stats.free_frames + step - 1) / step]++;
	}
}

static void count_trees(struct arena_snapshot *f)
{
	for (size_t t = 0; t < arena.trees; t++) {
		if (tree_state(t) == TREE_OFF)
			f->per_huge[8] += LLFREE_TREE_CHILDREN;
		else
			count_per_huge(t, f);
		if (!tree_is_online(t))
			continue;
		f->online += LLFREE_TREE_SIZE;
		f->resident += count_resident(t);
	}
}

void arena_snapshot(struct arena_snapshot *f)
{
	ll_stats_t free;

	*f = (struct arena_snapshot){ 0 };
	if (arena_state() != ARENA_READY)
		return;
	f->frames = arena.frames;
	f->trees = arena.trees;
	f->live = count_marks(MARK_LIVE, 0);
	f->dirty = count_marks(MARK_DIRTY, MARK_LIVE);
	f->live_peak = usage_peak(f->live);
	f->inherited = arena.inherited;
	f->leaked = atom_load(&arena.leaked);
	f->claimed = arena.claimed;
	free = zone_stats();
	f->free_frames = free.free_frames;
	f->free_huge = free.free_huge;
	f->free_trees = free.free_trees;
	f->fast_free = zone_fast_free();
	f->counters = counted_since(arena.counted);
	count_trees(f);
}
