/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/sys/process.h"

#include "preload/sys/sys.h"

/* A thread waits that long for another one, a tenth of a second at least. */
#define NOTICE_TRIES 2000u

static uint32_t in_place = PROCESS_KNOWN;
uint32_t *process_generation = &in_place;

static void (*const *in_child)(void);
static int32_t pid; /* 0: not started */
static bool child;

void process_start(void (*const *functions)(void))
{
	uint32_t *wiped = sys_wiped_page();

	in_child = functions;
	pid = sys_getpid();
	if (!wiped)
		return;
	*wiped = PROCESS_KNOWN;
	process_generation = wiped;
}

static void await_notice(void)
{
	for (unsigned tries = 0; tries < NOTICE_TRIES; tries++) {
		if (atom_load_acquire(process_generation) == PROCESS_KNOWN)
			return;
		sys_yield(tries);
	}
}

/* One of several threads does it, and the others wait. A signal handler must not
 * work with what is being set right. */
void process_notice(void)
{
	uint64_t all = UINT64_MAX, before;
	uint32_t fresh = PROCESS_NEW;

	sys_rt_sigprocmask(SIG_SETMASK, &all, &before);
	if (atom_cas(process_generation, &fresh, PROCESS_NOTICING)) {
		pid = sys_getpid();
		child = true;
		for (void (*const *function)(void) = in_child; *function;
		     function++)
			(*function)();
		atom_store_release(process_generation, PROCESS_KNOWN);
	} else {
		await_notice();
	}
	sys_rt_sigprocmask(SIG_SETMASK, &before, NULL);
}

void process_forked(void)
{
	if (!pid)
		return;
	if (process_generation == &in_place)
		in_place = PROCESS_NEW;
	process_enter();
}

enum process_kind process_kind(void)
{
	process_enter();
	if (pid != sys_getpid())
		return PROCESS_BORROWED;
	return child ? PROCESS_CHILD : PROCESS_FIRST;
}
