/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena/epoch.h"

#include "preload/arena/state.h"

/* Some tenths of a second: the most that a thread waits, when the background
 * thread was stopped in its epoch. */
#define EPOCH_TRIES 3000u
/* A quiescer of so many milliseconds is gone: a signal handler has jumped out
 * of what would have ended it. */
#define QUIESCE_MOST 10000u

static uint32_t epoch; /* odd: frames may be borrowed */
static uint32_t quiescers;
static uint64_t quiescent_since; /* the background thread's own */

bool epoch_begin(uint64_t now)
{
	atom_store_ordered(&epoch, epoch + 1);
	if (!atom_load_ordered(&quiescers)) {
		quiescent_since = 0;
		return true;
	}
	epoch_end();
	if (!quiescent_since)
		quiescent_since = now;
	else if (now - quiescent_since > QUIESCE_MOST)
		atom_store(&quiescers, 0);
	return false;
}

/* To an even number, also when a thread has given up waiting. */
void epoch_end(void)
{
	atom_store_release(&epoch, (epoch + 1) & ~1u);
}

uint32_t epoch_now(void)
{
	return atom_load_ordered(&epoch);
}

/* Wait until the epoch is over. If the background thread never goes on, or is
 * gone with a fork that libc knows nothing of, the epoch counts as over: what
 * was borrowed then stays out of use. */
static void await_end(uint32_t seen, unsigned *tries)
{
	while (epoch_now() == seen) {
		if (++*tries >= EPOCH_TRIES) {
			atom_cas(&epoch, &seen, seen + 1);
			return;
		}
		arena.os->yield(*tries);
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

	atom_add_ordered(&quiescers, 1);
	now = epoch_now();
	if (now & 1)
		await_end(now, &tries);
}

void arena_resume(void)
{
	uint32_t was = atom_load(&quiescers);

	while (was && !atom_cas(&quiescers, &was, was - 1))
		;
}

void epoch_reset(void)
{
	epoch = quiescers = 0;
	quiescent_since = 0;
}
