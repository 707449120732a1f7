/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/sys/process.h"

#include "preload/sys/sandbox.h"
#include "preload/sys/sys.h"

/* A thread waits that long for another one, a tenth of a second at least. */
#define NOTICE_TRIES 2000u

static uint32_t in_place = PROCESS_KNOWN;
uint32_t *process_generation = &in_place;

static void (*const *in_child)(void);
static int32_t pid; /* 0: not known */
static bool child;

/* In a sandbox libc's fork has to do. */
void process_start(void (*const *functions)(void))
{
	uint32_t *wiped = sandboxed() ? NULL : sys_wiped_page();

	in_child = functions;
	if (!wiped)
		return;
	pid = sys_getpid();
	*wiped = PROCESS_KNOWN;
	atom_store_release(&process_generation, wiped);
}

/* If the other thread never goes on, this one does, and none waits again. */
static void await_notice(void)
{
	uint32_t noticing = PROCESS_NOTICING;

	for (unsigned tries = 0; tries < NOTICE_TRIES; tries++) {
		if (atom_load_acquire(process_generation) == PROCESS_KNOWN)
			return;
		sys_yield(tries);
	}
	atom_cas(process_generation, &noticing, PROCESS_KNOWN);
}

/* A sandbox may not know these calls. */
static void block_signals(uint64_t *before)
{
	uint64_t all = UINT64_MAX;

	if (!sandboxed())
		sys_rt_sigprocmask(SIG_SETMASK, &all, before);
}

static void restore_signals(const uint64_t *before)
{
	if (!sandboxed())
		sys_rt_sigprocmask(SIG_SETMASK, before, NULL);
}

static void become_child(void)
{
	pid = sandboxed() ? 0 : sys_getpid();
	child = true;
	for (void (*const *function)(void) = in_child; *function; function++)
		(*function)();
}

/* One of several threads does it, and the others wait. A signal handler must not
 * work with what is being set right. */
void process_notice(void)
{
	uint32_t fresh = PROCESS_NEW;
	uint64_t before;

	block_signals(&before);
	if (atom_cas(process_generation, &fresh, PROCESS_NOTICING)) {
		become_child();
		atom_store_release(process_generation, PROCESS_KNOWN);
	} else {
		await_notice();
	}
	restore_signals(&before);
}

/* The kernel may say that it clears the page, and not do it: some emulators
 * do. */
void process_forked(void)
{
	if (!in_child)
		return;
	if (process_generation == &in_place ||
	    (!sandboxed() && pid != sys_getpid()))
		atom_store_release(process_generation, PROCESS_NEW);
	process_enter();
}

enum process_kind process_kind(void)
{
	process_enter();
	if (!pid)
		pid = sys_getpid();
	if (pid != sys_getpid())
		return PROCESS_BORROWED;
	return child ? PROCESS_CHILD : PROCESS_FIRST;
}
