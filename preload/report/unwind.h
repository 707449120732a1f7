/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Walk the stack of the calling thread: by libunwind (unwind-libunwind.c), or
 * not at all (unwind-none.c), as configure chose.
 *
 * A walk may map memory, by our own mmap: the caller guards against recursion. A
 * walk takes locks of libunwind with signals blocked, so a child of fork may
 * walk only if no other thread of its parent was in a walk.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Prepare for walks, in the constructor, with no other thread. Return NULL, or
 * the reason why walks are impossible. */
const char *unwind_start(void);

/*
 * Store up to `max` return addresses, innermost first, without the first frames
 * as far as they are in this library, and return their number. Needs an
 * unwind_start that returned NULL. Leaves errno alone.
 */
size_t unwind_stack(uintptr_t *frames, size_t max);
