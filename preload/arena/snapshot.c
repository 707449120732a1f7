/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena/state.h"

static size_t count_marks(unsigned with, unsigned without)
{
	size_t count = 0;

	for (size_t t = 0; t < arena.trees; t++)
		if (arena_tree_state(t) == TREE_ONLINE)
			count += mark_count_which(arena.marks, with, without,
						  arena_tree(t));
	return count;
}

/* Of the pool for regions: in the heap's window nothing is ever searched. */
static llfree_counters_t counters_now(void)
{
	return llfree_counters(arena.zones[ZONE_REGIONS].llfree);
}

static llfree_counters_t count_since(llfree_counters_t then)
{
	llfree_counters_t now = counters_now();

	now.reservations -= then.reservations;
	now.steals -= then.steals;
	now.demotions -= then.demotions;
	now.raids -= then.raids;
	now.retries -= then.retries;
	return now;
}

/* The exact number of free frames. What is not ours yet is all free unless
 * someone is about to have it, and long to look through. */
static size_t count_free(void)
{
	size_t count = 0;

	for (size_t t = 0; t < arena.trees; t++)
		count += arena_tree_state(t) == TREE_OFF
				 ? LLFREE_TREE_SIZE
				 : arena_tree_stats(t).free_frames;
	return count;
}

/* By the allocator's counters, which are never more than there is. */
static size_t count_fast(void)
{
	size_t count = 0;

	for (size_t i = 0; i < ZONES; i++)
		if (arena.zones[i].frames.count)
			count += llfree_tree_stats(arena.zones[i].llfree)
					 .free_frames;
	return count;
}

static void count_pool(const struct zone *zone, struct arena_snapshot *f)
{
	ll_stats_t exact;

	if (!zone->frames.count)
		return;
	exact = llfree_stats(zone->llfree);
	f->free_frames += exact.free_frames;
	f->free_huge += exact.free_huge;
	f->free_trees += exact.free_trees;
}

static void count_pools(struct arena_snapshot *f)
{
	for (size_t i = 0; i < ZONES; i++)
		count_pool(&arena.zones[i], f);
	f->fast_free = count_fast();
}

/* What threads that are gone had in their hands. */
static void count_leaked(size_t live)
{
	struct arena_snapshot f = { .free_frames = count_free(),
				    .fast_free = count_fast() };

	if (f.free_frames != f.fast_free) {
		f.free_frames = 0;
		count_pools(&f);
	}
	arena.leaked = arena.frames - f.free_frames - live;
	arena.claimed = f.free_frames - f.fast_free;
}

void arena_forked(void)
{
	size_t live;

	if (arena_state() != ARENA_READY)
		return;
	live = count_marks(MARK_BIT(MARK_LIVE), 0);
	usage_reset(live,
		    count_marks(MARK_BIT(MARK_DIRTY), MARK_BIT(MARK_LIVE)));
	arena.limited = live;
	arena.inherited = live;
	arena.counted = counters_now();
	count_leaked(live);
}

static size_t count_resident(size_t tree)
{
	struct span s = arena_tree(tree);
	unsigned char resident[ASK_FRAMES];
	size_t count = 0;

	while (s.count) {
		struct span piece = span_before(s, s.first + ASK_FRAMES);

		if (page_resident(piece, resident))
			for (size_t i = 0; i < piece.count; i++)
				count += resident[i] & 1;
		s = span_from(s, span_end(piece));
	}
	return count;
}

static void count_per_huge(size_t tree, struct arena_snapshot *f)
{
	struct span s = arena_tree(tree);
	const struct zone *zone = zone_of(s.first);
	size_t step = LLFREE_HUGE_SIZE / 8;

	for (size_t at = s.first; at < span_end(s); at += LLFREE_HUGE_SIZE) {
		ll_stats_t stats = llfree_stats_at(
			zone->llfree, frame_id(at - zone->frames.first),
			LLFREE_HUGE_ORDER);

		f->per_huge[(stats.free_frames + step - 1) / step]++;
	}
}

static void count_trees(struct arena_snapshot *f)
{
	for (size_t t = 0; t < arena.trees; t++) {
		if (arena_tree_state(t) == TREE_OFF)
			f->per_huge[8] += LLFREE_TREE_CHILDREN;
		else
			count_per_huge(t, f);
		if (arena_tree_state(t) != TREE_ONLINE)
			continue;
		f->online += LLFREE_TREE_SIZE;
		f->resident += count_resident(t);
	}
}

void arena_snapshot(struct arena_snapshot *f)
{
	*f = (struct arena_snapshot){ 0 };
	if (arena_state() != ARENA_READY)
		return;
	f->frames = arena.frames;
	f->trees = arena.trees;
	f->live = count_marks(MARK_BIT(MARK_LIVE), 0);
	f->dirty = count_marks(MARK_BIT(MARK_DIRTY), MARK_BIT(MARK_LIVE));
	f->live_peak = usage_peak(f->live);
	f->inherited = arena.inherited;
	f->leaked = __atomic_load_n(&arena.leaked, __ATOMIC_RELAXED);
	f->claimed = arena.claimed;
	count_pools(f);
	f->counters = count_since(arena.counted);
	count_trees(f);
}
