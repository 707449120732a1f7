/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What is done from time to time: memory that has been free for long goes back
 * to the kernel, and reports are written by interval. Calls of the program do
 * it in small portions; every eighth call, or a long one, reads the clock. So a
 * program that makes no calls gives no memory back and writes no reports. If
 * there is a background thread (background.h), that thread does it instead.
 *
 * Any thread may call these functions, also in a signal handler. None locks,
 * allocates or touches errno.
 */
#pragma once

#include "preload/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Call once, in the constructor. */
void housekeeping_start(const struct config *settings);

/* Do what is due, unless the background thread does it. */
void housekeeping_poll(void);

/* Leave housekeeping to the background thread from now on, or no longer. */
void housekeeping_by_thread(bool does);
/* Do a portion on that thread; return milliseconds until the next one is due, or
 * HOUSEKEEPING_NEVER. */
#define HOUSEKEEPING_NEVER UINT64_MAX
uint64_t housekeeping_step(void);

/* So many calls are one poll; each 64 KiB of a call counts as one more. */
#define HOUSEKEEPING_CALLS 8u
extern __thread unsigned housekeeping_calls;

/* Count a call that concerned `len` bytes. */
static inline void housekeeping_tick(size_t len)
{
	size_t parts = len >> 16;

	housekeeping_calls += 1 + (unsigned)(parts < HOUSEKEEPING_CALLS
						     ? parts
						     : HOUSEKEEPING_CALLS);
	if (__builtin_expect(housekeeping_calls >= HOUSEKEEPING_CALLS, 0))
		housekeeping_poll();
}
