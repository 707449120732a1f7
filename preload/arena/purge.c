/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Giving memory back. Free frames are taken through the allocator while they
 * are emptied, so no one else is served them meanwhile, and are free again
 * afterwards: as anyone who asks for them and frees them at once.
 *
 * There are two reasons to give back. Too much is dirty for what the program
 * does (gauge.h): then the call that made it too much purges others, as many
 * frames as it has changed and a few more. Or it is dirty for too long: a hand
 * goes round all huge frames, and what it finds dirty it marks as old; what it
 * finds old, one round later, has not been used since. Both begin with whole
 * huge frames.
 */
#include "preload/arena/state.h"

#define HUGE ((size_t)LLFREE_HUGE_SIZE)

/* Huge frames that one call looks at, to find some that are dirty. */
#define LOOK 64u
/* Beyond what a call has to purge: so the next ones need not. */
#define AHEAD 64u

#define DIRTY MARK_BIT(MARK_DIRTY)
#define OLD MARK_BIT(MARK_AGED)
#define LIVE MARK_BIT(MARK_LIVE)

/* Empties those of the frames, which are ours for the moment, that have all of
 * the marks; as many as wanted. The others first: what was used last is more
 * likely at the beginning. */
static size_t empty_some(struct span s, unsigned marks, size_t wanted)
{
	size_t emptied = 0;

	for (size_t end = span_end(s); end > s.first && emptied < wanted;) {
		size_t at = (end - 1) / MARK_GROUP * MARK_GROUP;
		struct span rest = span_from(span_before(s, end), at);

		for (end = rest.first; rest.count;) {
			bool have;
			struct span run = mark_run_which(arena.marks, marks, 0,
							 rest, &have);

			rest = span_from(rest, span_end(run));
			if (!have || !page_empty(run))
				continue;
			mark_clear(arena.marks, MARK_DIRTY, run);
			emptied += run.count;
		}
	}
	return emptied;
}

static size_t empty_all(struct span s)
{
	size_t dirty = mark_count(arena.marks, MARK_DIRTY, s);

	if (!page_empty(s))
		return 0;
	mark_clear(arena.marks, MARK_DIRTY, s);
	return dirty;
}

static llfree_request_t borrowing(void)
{
	return llreq(0, CLASS_BORROWED, ll_none());
}

static frame_id_t number_in(const struct zone *zone, struct span s)
{
	return frame_id(s.first - zone->frames.first);
}

bool purge_borrow(struct span s)
{
	const struct zone *zone = zone_of(s.first);
	frame_id_optional_t at = frame_id_some(number_in(zone, s));

	if (!llfree_is_ok(
		    llfree_get_range(zone->llfree, at, s.count, borrowing())))
		return false;
	/* It may have left the address space before; now it cannot. */
	if (frame_online(s.first))
		return true;
	purge_give_back(s);
	return false;
}

void purge_give_back(struct span s)
{
	const struct zone *zone = zone_of(s.first);

	llfree_put_range(zone->llfree, number_in(zone, s), s.count,
			 borrowing());
}

/* Frames that are free, it seems: how many were given back. */
static size_t purge_free(struct span s, unsigned marks, size_t wanted)
{
	size_t dirty, purged = 0;

	if (!purge_borrow(s))
		return 0;
	dirty = mark_count(arena.marks, MARK_DIRTY, s);
	if (dirty <= wanted &&
	    dirty == mark_count_which(arena.marks, marks, 0, s))
		purged = empty_all(s);
	if (!purged)
		purged = empty_some(s, marks, wanted);
	usage_change(0, -(int64_t)purged);
	purge_give_back(s);
	return purged;
}

static bool is_whole(struct span huge)
{
	const struct zone *zone = zone_of(huge.first);

	return llfree_stats_at(zone->llfree, number_in(zone, huge),
			       LLFREE_HUGE_ORDER)
		       .free_huge != 0;
}

static size_t purge_parts(struct span s, unsigned marks, size_t wanted)
{
	size_t purged = 0;

	while (s.count && purged < wanted) {
		bool have;
		struct span run =
			mark_run_which(arena.marks, marks, LIVE, s, &have);

		if (have)
			purged += purge_free(run, marks, wanted - purged);
		s = span_from(s, span_end(run));
	}
	return purged;
}

/* How much of a huge frame: only if it is free, or also parts of it. */
enum extent { WHOLE, PARTS };

static size_t purge_huge(size_t huge, unsigned marks, enum extent extent,
			 size_t wanted)
{
	struct span s = span(huge * HUGE, HUGE);

	if (!mark_any_which(arena.marks, marks, LIVE, s))
		return 0;
	if (is_whole(s))
		return purge_free(s, marks, wanted);
	return extent == PARTS ? purge_parts(s, marks, wanted) : 0;
}

/* ------------------------------------------------------------------------ */
/* A hand that goes round                                                    */

/* The number of huge frames that may be borrowed by a call about `frame`. */
size_t purge_within_reach(size_t frame)
{
	size_t border = span_end(arena.zones[ZONE_REGIONS].frames);

	return (frame >= border || arena.os->alone() ? arena.frames : border) /
	       HUGE;
}

/* The next huge frame of ours before `end`, which `hand` then has passed;
 * `end` when there is none. One thread gets it, of several. */
static size_t next_huge(size_t *hand, size_t end)
{
	size_t at = __atomic_load_n(hand, __ATOMIC_RELAXED);
	size_t next = at;

	do {
		next = at;
		while (next < end && !frame_online(next * HUGE % arena.frames))
			next += LLFREE_TREE_CHILDREN -
				next % LLFREE_TREE_CHILDREN;
		if (next >= end)
			return end;
	} while (!__atomic_compare_exchange_n(hand, &at, next + 1, false,
					      __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return next;
}

/* ------------------------------------------------------------------------ */
/* Too much                                                                  */

/* One for each extent: where there were whole ones last is no place for parts. */
static size_t purge_hands[2];

/* The hand stays where more may be than was wanted. It goes round once at most:
 * what is dirty may be in the hands of others, which a signal handler that has
 * interrupted them waits for in vain. */
static size_t purge_some(size_t all, enum extent extent, size_t wanted,
			 unsigned *ends)
{
	size_t *hand = &purge_hands[extent];
	size_t purged = 0;

	*ends = 0;
	for (unsigned i = 0; i < LOOK && *ends < 2 && purged < wanted; i++) {
		size_t huge = next_huge(hand, all);

		if (huge == all) {
			__atomic_store_n(hand, 0, __ATOMIC_RELAXED);
			(*ends)++;
			continue;
		}
		purged += purge_huge(huge, DIRTY, extent, wanted - purged);
		if (purged >= wanted)
			__atomic_store_n(hand, huge, __ATOMIC_RELAXED);
	}
	return purged;
}

/*
 * A call that looked in vain spares the next ones that, and more of them each
 * time. For whole ones where the next LOOK are; for parts all round: who has
 * what is dirty may be stopped, gone with a fork, or wait for the very handler
 * that looks for it. Estimates.
 */
#define SPARED_MOST 64u
static struct spared {
	unsigned left, next;
	unsigned ends; /* that the hand has passed since it found some */
} spared[2];

static bool is_spared(struct spared *spare)
{
	unsigned left = __atomic_load_n(&spare->left, __ATOMIC_RELAXED);

	if (left)
		__atomic_store_n(&spare->left, left - 1, __ATOMIC_RELAXED);
	return left;
}

static void spare_next(struct spared *spare, bool in_vain)
{
	unsigned next = __atomic_load_n(&spare->next, __ATOMIC_RELAXED);

	if (!in_vain && !next)
		return;
	__atomic_store_n(&spare->left, in_vain ? next : 0, __ATOMIC_RELAXED);
	next = in_vain ? 2 * next + 1 : 0;
	__atomic_store_n(&spare->next, next < SPARED_MOST ? next : SPARED_MOST,
			 __ATOMIC_RELAXED);
}

/* All round, whoever began there. */
static bool is_round(struct spared *spare, unsigned ends)
{
	ends += __atomic_load_n(&spare->ends, __ATOMIC_RELAXED);
	__atomic_store_n(&spare->ends, ends < 2 ? ends : 2, __ATOMIC_RELAXED);
	return ends >= 2;
}

static size_t purge_extent(size_t frame, enum extent extent, size_t wanted)
{
	struct spared *spare = &spared[extent];
	unsigned ends;
	size_t purged;

	if (is_spared(spare))
		return 0;
	purged = purge_some(purge_within_reach(frame), extent, wanted, &ends);
	if (purged)
		__atomic_store_n(&spare->ends, 0, __ATOMIC_RELAXED);
	spare_next(spare,
		   !purged && (extent == WHOLE || is_round(spare, ends)));
	return purged;
}

void purge_excess(struct span changed)
{
	size_t wanted = usage_excess(), purged;

	if (__builtin_expect(!wanted, 1) || arena_is_locked())
		return;
	if (wanted > changed.count + AHEAD)
		wanted = changed.count + AHEAD;
	purged = purge_extent(changed.first, WHOLE, wanted);
	if (purged < wanted)
		purge_extent(changed.first, PARTS, wanted - purged);
}

/* ------------------------------------------------------------------------ */
/* Too long                                                                  */

/* A round: all huge frames once for whole ones, and once more for parts. */
static struct {
	uint64_t began; /* when */
	size_t hand;
} aging;

static size_t age_huge(size_t huge, size_t reach)
{
	size_t all = arena.frames / HUGE, purged = 0;
	enum extent extent = huge < all ? WHOLE : PARTS;

	if (huge % all < reach)
		purged = purge_huge(huge % all, DIRTY | OLD, extent, SIZE_MAX);
	if (extent == PARTS)
		mark_set_which(arena.marks, MARK_AGED, DIRTY, LIVE,
			       span(huge % all * HUGE, HUGE));
	return purged;
}

/* Whether a round is under way. */
static bool ages_now(uint64_t now)
{
	uint64_t began = __atomic_load_n(&aging.began, __ATOMIC_RELAXED);
	size_t hand = __atomic_load_n(&aging.hand, __ATOMIC_RELAXED);

	if (hand < 2 * (arena.frames / HUGE))
		return true;
	if (now - began < arena.decay ||
	    !__atomic_compare_exchange_n(&aging.began, &began, now, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return false;
	usage_new_period();
	__atomic_store_n(&aging.hand, 0, __ATOMIC_RELAXED);
	return true;
}

static bool ages(void)
{
	return arena_state() == ARENA_READY && arena.decay &&
	       arena.decay != ARENA_NEVER;
}

void arena_age(uint64_t now, size_t budget)
{
	size_t end = 2 * (arena.frames / HUGE);

	if (!ages() || arena_is_locked() || !ages_now(now))
		return;
	while (budget) {
		size_t huge = next_huge(&aging.hand, end);
		size_t cost;

		if (huge == end) {
			__atomic_store_n(&aging.hand, end, __ATOMIC_RELAXED);
			break;
		}
		cost = age_huge(huge, purge_within_reach(0)) ? ARENA_PURGE : 1;
		budget -= cost < budget ? cost : budget;
	}
}

/* Milliseconds until the background thread looks again: if someone holds, or
 * nothing was dirty (when it is not sooner that a round is due). */
#define HELD 2u
#define IDLE 100u

static uint64_t next_round(uint64_t now)
{
	uint64_t due =
		__atomic_load_n(&aging.began, __ATOMIC_RELAXED) + arena.decay;

	return due < now + IDLE && !usage_any_dirty() ? now + IDLE : due;
}

uint64_t arena_age_step(uint64_t now)
{
	size_t end = 2 * (arena.frames / HUGE), huge;

	if (!ages())
		return ARENA_NEVER;
	if (arena_is_locked())
		return now + IDLE;
	if (!ages_now(now))
		return next_round(now);
	if (!epoch_begin(now))
		return now + HELD;
	huge = next_huge(&aging.hand, end);
	if (huge < end)
		age_huge(huge, arena.frames / HUGE);
	epoch_end();
	if (huge < end)
		return now;
	__atomic_store_n(&aging.hand, end, __ATOMIC_RELAXED);
	return next_round(now);
}

void purge_set_up(void)
{
	aging.hand = 2 * (arena.frames / HUGE);
}
