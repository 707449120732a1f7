/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Turns of the background thread. It borrows free frames while it empties them,
 * those of one huge frame in a turn. Whoever wants exactly these frames, or a
 * state in which none is borrowed, waits for the end of the turn; and since
 * turns end by themselves, no one holds a lock.
 *
 *	background thread		others
 *	turn becomes odd		holds becomes more
 *	no one holds? borrow, return	turn is even? none is borrowed
 *	turn becomes even
 *
 * The first two lines of either side are in one order for all threads: so one
 * of the two sees the other.
 */
#include "preload/arena/state.h"

/* Some tenths of a second: no thread is kept from going on for longer, unless
 * someone stopped it. */
#define EPOCH_TRIES 3000u
/* A hold of so many milliseconds has been forgotten: a handler has jumped out of
 * what would have ended it. */
#define HOLD_MOST 10000u

static uint32_t turn; /* odd: it may have borrowed frames */
static uint32_t holds;
static uint64_t held_since; /* the thread's own */

bool epoch_begin(uint64_t now)
{
	__atomic_store_n(&turn, turn + 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&holds, __ATOMIC_SEQ_CST)) {
		held_since = 0;
		return true;
	}
	epoch_end();
	if (!held_since)
		held_since = now;
	else if (now - held_since > HOLD_MOST)
		__atomic_store_n(&holds, 0, __ATOMIC_RELAXED);
	return false;
}

/* To an even number also if someone has given up waiting. */
void epoch_end(void)
{
	__atomic_store_n(&turn, (turn + 1) & ~1u, __ATOMIC_RELEASE);
}

uint32_t epoch_now(void)
{
	return __atomic_load_n(&turn, __ATOMIC_SEQ_CST);
}

/* Until this turn is over. If its thread never goes on, or is gone with a fork
 * that libc knows nothing of, the turn counts as over: what was borrowed then
 * stays out of use. */
static void await_end(uint32_t seen, unsigned *tries)
{
	while (epoch_now() == seen) {
		if (++*tries < EPOCH_TRIES && !sandboxed()) {
			arena.os->yield(*tries);
			continue;
		}
		__atomic_compare_exchange_n(&turn, &seen, seen + 1, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
		return;
	}
}

bool epoch_passed(uint32_t seen, unsigned *tries)
{
	uint32_t now = epoch_now();

	if (now & 1)
		await_end(now, tries);
	return (seen & 1 || now != seen) && ++*tries < EPOCH_TRIES;
}

void arena_quiesce(void)
{
	unsigned tries = 0;
	uint32_t now;

	__atomic_fetch_add(&holds, 1, __ATOMIC_SEQ_CST);
	now = epoch_now();
	if (now & 1)
		await_end(now, &tries);
}

void arena_resume(void)
{
	uint32_t held = __atomic_load_n(&holds, __ATOMIC_RELAXED);

	while (held &&
	       !__atomic_compare_exchange_n(&holds, &held, held - 1, true,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

void epoch_reset(void)
{
	turn = holds = 0;
	held_since = 0;
}
