/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The process, and its children by fork: one story for all parts of the
 * library, whatever is switched on.
 *
 * A generation lies on a page that the kernel clears in a child, however the
 * child was forked. Each call that works with the arena or counts begins with
 * process_enter: where the generation is zero, this is a child that has not
 * noticed yet. It then calls the functions of one list, in their order. libc's
 * fork calls process_forked in the child first, so that such a child notices at
 * once; that alone has to do where the kernel has no such pages (before Linux
 * 4.14), and in a sandbox. A handler that forks in the midst of one of our calls
 * leaves the frames of that call in its own hands.
 *
 * A child of vfork or posix_spawn works in its parent's memory, and is no child
 * in this sense.
 */
#pragma once

#include "preload/sys/atomic.h"

#include <stddef.h>

/* PROCESS_KNOWN, but for a child that has not noticed, or is about to. */
enum { PROCESS_NEW, PROCESS_NOTICING, PROCESS_KNOWN };
extern uint32_t *process_generation;

/* Once: from now on a child of fork calls these functions, with all signals
 * blocked. The array ends with NULL and stays in use. */
void process_start(void (*const *in_child)(void));

/* In a child of fork, as early as can be. */
void process_forked(void);

void process_notice(void);

static inline void process_enter(void)
{
	if (__builtin_expect(
		    atom_load_acquire(process_generation) != PROCESS_KNOWN, 0))
		process_notice();
}

/* Whose memory this is. */
enum process_kind {
	PROCESS_FIRST, /* the process in which the library started */
	PROCESS_CHILD, /* a child of fork */
	PROCESS_BORROWED, /* after vfork: the parent's */
};
enum process_kind process_kind(void);
