/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What there is to do from time to time: memory that has been free for long
 * goes back to the kernel, and reports are written by interval. It is done in
 * small portions on calls of the program, of which every eighth (or a long one)
 * looks at the clock: a program that makes no calls keeps what it has, and
 * reports nothing. Or a thread does it that is there for nothing else
 * (background.h).
 *
 * Any thread may call this, signal handlers included. Nothing here locks,
 * allocates or touches errno.
 */
#pragma once

#include "preload/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Once, in the constructor. */
void housekeeping_start(const struct config *settings);

/* Does what is due, unless a thread does. */
void housekeeping_poll(void);

/* From now on that thread does, or does no more. */
void housekeeping_by_thread(bool does);
/* A portion, on that thread; milliseconds until the next, or HOUSEKEEPING_NEVER. */
#define HOUSEKEEPING_NEVER UINT64_MAX
uint64_t housekeeping_step(void);

/* Counts calls, and 64 KiB as one more. */
#define HOUSEKEEPING_CALLS 8u
extern __thread unsigned housekeeping_calls;

/* After a call that was about `len` bytes. */
static inline void housekeeping_tick(size_t len)
{
	size_t parts = len >> 16;

	housekeeping_calls += 1 + (unsigned)(parts < HOUSEKEEPING_CALLS
						     ? parts
						     : HOUSEKEEPING_CALLS);
	if (__builtin_expect(housekeeping_calls >= HOUSEKEEPING_CALLS, 0))
		housekeeping_poll();
}
