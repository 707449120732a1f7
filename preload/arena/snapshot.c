/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* The figures of the report. */
#include "preload/arena/page.h"
#include "preload/arena/state.h"
#include "preload/arena/usage.h"
#include "preload/arena/zone.h"

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
		struct span s = span_of_tree(t);

		if (tree_state(t) == TREE_OFF)
			f->per_huge[8] += LLFREE_TREE_CHILDREN;
		else
			count_per_huge(t, f);
		if (!tree_is_online(t))
			continue;
		f->online += LLFREE_TREE_SIZE;
		f->live += mark_count(arena.marks, MARK_LIVE, 0, s);
		f->dirty += mark_count(arena.marks, MARK_DIRTY, MARK_LIVE, s);
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
	f->live_peak = usage_peak(f->live);
}
