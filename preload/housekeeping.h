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
void upkeep_start(const struct config *settings);

/* Does what is due, unless a thread does. */
void upkeep_look(void);

/* From now on that thread does, or does no more. In a child of fork none does
 * until this is called there. */
void upkeep_by_thread(bool does);
/* A portion, on that thread; milliseconds until the next, or UPKEEP_NEVER. */
#define UPKEEP_NEVER UINT64_MAX
uint64_t upkeep_turn(void);

/* Counts calls, and 64 KiB as one more. */
#define UPKEEP_CALLS 8u
extern __thread unsigned upkeep_calls;

/* After a call that was about `len` bytes. */
static inline void upkeep_after(size_t len)
{
	size_t parts = len >> 16;

	upkeep_calls +=
		1 + (unsigned)(parts < UPKEEP_CALLS ? parts : UPKEEP_CALLS);
	if (__builtin_expect(upkeep_calls >= UPKEEP_CALLS, 0))
		upkeep_look();
}
