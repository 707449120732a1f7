/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena/purge.h"

#include "preload/arena/epoch.h"
#include "preload/arena/frames.h"
#include "preload/arena/usage.h"
#include "preload/arena/zone.h"

/* Huge frames that one call looks at, to find some that are dirty. */
#define SCAN_LIMIT 64u
/* Beyond what a call has to purge: so the next ones need not. */
#define AHEAD 64u

/* Frames that seem to be free; returns how many were given back. */
static size_t purge_free(struct span s, unsigned marks, size_t wanted)
{
	size_t purged;

	if (!zone_borrow(s))
		return 0;
	purged = frames_clean(s, marks, wanted);
	zone_give_back(s);
	return purged;
}

static bool is_whole(struct span huge)
{
	return zone_stats_at(huge.first, LLFREE_HUGE_ORDER).free_huge != 0;
}

static size_t purge_parts(struct span s, unsigned marks, size_t wanted)
{
	size_t purged = 0;

	for_each_run(run, arena.marks, marks, MARK_LIVE, s) {
		if (purged >= wanted)
			break;
		if (run.have)
			purged += purge_free(run.span, marks, wanted - purged);
	}
	return purged;
}

/* Of a huge frame: only if all of it is free, or free parts as well. */
enum extent { WHOLE, PARTS };

static size_t purge_huge(size_t huge, unsigned marks, enum extent extent,
			 size_t wanted)
{
	struct span s = span(huge * HUGE, HUGE);

	if (!mark_any(arena.marks, marks, MARK_LIVE, s))
		return 0;
	if (is_whole(s))
		return purge_free(s, marks, wanted);
	return extent == PARTS ? purge_parts(s, marks, wanted) : 0;
}

/* ------------------------------------------------------------------------ */
/* A clock hand                                                              */

/* Huge frames that a call about `frame` may borrow, from the first on. */
static size_t huge_in_reach(size_t frame)
{
	return zone_reach(frame) / HUGE;
}

/* The next huge frame online, from `huge` on; `end` when there is none. */
static size_t next_online(size_t huge, size_t end)
{
	while (huge < end && !frame_is_online(huge * HUGE % arena.frames))
		huge += LLFREE_TREE_CHILDREN - huge % LLFREE_TREE_CHILDREN;
	return huge < end ? huge : end;
}

/* Move the hand past the next huge frame online before `end`, and return that;
 * `end` when there is none. Of several threads one gets it. */
static size_t next_huge(size_t *hand, size_t end)
{
	size_t was, next, huge;

	return atom_update(hand, was, next,
			   (huge = next_online(was, end)) < end &&
				   (next = huge + 1, true))
		       ? huge
		       : end;
}

/* ------------------------------------------------------------------------ */
/* Too much                                                                  */

/* A hand for each extent: where there were whole huge frames last is no place
 * for parts. */
static size_t purge_hands[2];

/* The hand stays where more may be than was wanted. It goes round once at most:
 * another thread may have what is dirty, and a signal handler that interrupted
 * that thread would wait in vain. *ends counts how often the hand has passed
 * the end. */
static size_t purge_some(size_t all, enum extent extent, size_t wanted,
			 unsigned *ends)
{
	size_t *hand = &purge_hands[extent];
	size_t purged = 0;

	*ends = 0;
	for (unsigned i = 0; i < SCAN_LIMIT && *ends < 2 && purged < wanted;
	     i++) {
		size_t huge = next_huge(hand, all);

		if (huge == all) {
			atom_store(hand, 0);
			(*ends)++;
			continue;
		}
		purged += purge_huge(huge, MARK_DIRTY, extent, wanted - purged);
		if (purged >= wanted)
			atom_store(hand, huge);
	}
	return purged;
}

/*
 * Back-off: a call that looked in vain spares the next calls that, and more of
 * them each time. For whole huge frames it looked in vain when SCAN_LIMIT of
 * them had none; for parts when the hand went all round: the thread that has
 * what is dirty may be stopped, gone with a fork, or wait for the very handler
 * that looks. These are estimates.
 */
#define BACK_OFF_MOST 64u
static struct back_off {
	unsigned left, next; /* calls */
	unsigned ends; /* passed by the hand since it found some */
} back_offs[2];

static bool is_spared(struct back_off *b)
{
	unsigned left = atom_load(&b->left);

	if (left)
		atom_store(&b->left, left - 1);
	return left;
}

static void spare_next(struct back_off *b, bool in_vain)
{
	unsigned next = atom_load(&b->next);

	if (!in_vain && !next)
		return;
	atom_store(&b->left, in_vain ? next : 0);
	next = in_vain ? 2 * next + 1 : 0;
	atom_store(&b->next, next < BACK_OFF_MOST ? next : BACK_OFF_MOST);
}

/* Whether the hand has gone all round, wherever it began. */
static bool is_round(struct back_off *b, unsigned ends)
{
	ends += atom_load(&b->ends);
	atom_store(&b->ends, ends < 2 ? ends : 2);
	return ends >= 2;
}

static size_t purge_extent(size_t frame, enum extent extent, size_t wanted)
{
	struct back_off *b = &back_offs[extent];
	unsigned ends;
	size_t purged;

	if (is_spared(b))
		return 0;
	purged = purge_some(huge_in_reach(frame), extent, wanted, &ends);
	if (purged)
		atom_store(&b->ends, 0);
	spare_next(b, !purged && (extent == WHOLE || is_round(b, ends)));
	return purged;
}

void purge_excess(size_t frame, size_t count)
{
	size_t wanted = usage_excess(), purged;

	if (__builtin_expect(!wanted, 1) || is_locked())
		return;
	if (wanted > count + AHEAD)
		wanted = count + AHEAD;
	purged = purge_extent(frame, WHOLE, wanted);
	if (purged < wanted)
		purge_extent(frame, PARTS, wanted - purged);
}

/* ------------------------------------------------------------------------ */
/* Too long                                                                  */

/* A round of this hand: it passes all huge frames once for whole ones, and once
 * more for parts. */
static struct {
	uint64_t began; /* when */
	size_t hand;
} aging;

static size_t age_huge(size_t huge, size_t reach)
{
	size_t all = arena.frames / HUGE, purged = 0;
	enum extent extent = huge < all ? WHOLE : PARTS;

	if (huge % all < reach)
		purged = purge_huge(huge % all, MARK_DIRTY | MARK_AGED, extent,
				    SIZE_MAX);
	if (extent == PARTS)
		mark_set_which(arena.marks, MARK_AGED, MARK_DIRTY, MARK_LIVE,
			       span(huge % all * HUGE, HUGE));
	return purged;
}

/* Whether a round is under way. */
static bool ages_now(uint64_t now)
{
	uint64_t began = atom_load(&aging.began);
	size_t hand = atom_load(&aging.hand);

	if (hand < 2 * (arena.frames / HUGE))
		return true;
	if (now - began < arena.options->decay ||
	    !atom_cas_relaxed(&aging.began, &began, now))
		return false;
	usage_new_period();
	atom_store(&aging.hand, 0);
	return true;
}

static bool ages(void)
{
	return arena_state() == ARENA_READY && arena.options->decay &&
	       arena.options->decay != ARENA_NEVER;
}

void arena_age(uint64_t now, size_t budget)
{
	size_t end = 2 * (arena.frames / HUGE);

	if (!ages() || is_locked() || !ages_now(now))
		return;
	while (budget) {
		size_t huge = next_huge(&aging.hand, end);
		size_t cost;

		if (huge == end) {
			atom_store(&aging.hand, end);
			break;
		}
		cost = age_huge(huge, huge_in_reach(0)) ? ARENA_PURGE : 1;
		budget -= cost < budget ? cost : budget;
	}
}

/* Milliseconds until the background thread looks again: while the arena is
 * quiescent; and, unless a round is due later, when nothing was dirty. */
#define QUIESCENT 2u
#define IDLE 100u

static uint64_t next_round(uint64_t now)
{
	uint64_t due = atom_load(&aging.began) + arena.options->decay;

	return due < now + IDLE && !usage_any_dirty() ? now + IDLE : due;
}

uint64_t arena_age_step(uint64_t now)
{
	size_t end = 2 * (arena.frames / HUGE), huge;

	if (!ages())
		return ARENA_NEVER;
	if (is_locked())
		return now + IDLE;
	if (!ages_now(now))
		return next_round(now);
	if (!epoch_begin(now))
		return now + QUIESCENT;
	huge = next_huge(&aging.hand, end);
	if (huge < end)
		age_huge(huge, arena.frames / HUGE);
	epoch_end();
	if (huge < end)
		return now;
	atom_store(&aging.hand, end);
	return next_round(now);
}

void purge_set_up(void)
{
	aging.hand = 2 * (arena.frames / HUGE);
}
