/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Walks the calling thread's stack: by libunwind (unwind-libunwind.c), or not
 * at all (unwind-none.c), as configure decides.
 *
 * A walk may map memory, which comes back to us: the caller guards against
 * recursion. It takes locks of libunwind's with signals blocked, so a child
 * of fork may only walk when no other thread was in the middle of one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Alone, in the constructor: NULL, or why there will be no walks. */
const char *unwind_start(void);

/*
 * Stores up to `max` return addresses, innermost first, without the frames of
 * this library at the beginning; returns their number. Only after unwind_start
 * returned NULL. Leaves errno alone.
 */
size_t unwind_stack(uintptr_t *frames, size_t max);
