/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The main heap: what brk moves the end of, in the arena's window
 * (arena_heap_zone). It grows by getting the frames behind it and shrinks by
 * freeing them; what was freed reads as zero when the heap comes back to it.
 *
 * The kernel's own break stays where it is. So either all calls of brk in a
 * process come here, from its first one on, or none does.
 *
 * May be called on any thread, in signal handlers and in a child of fork,
 * beside itself and all else; never waits. Of two calls at once that move the
 * break one may fail, as if there were no memory.
 */
#pragma once

#include <stdint.h>

/*
 * Moves the break to `addr`: its new place, or as for the kernel's call the
 * old one, when `addr` lies outside the window (0 does), the frames behind are
 * taken, memory is refused, or RLIMIT_DATA is reached.
 */
uintptr_t brk_move(uintptr_t addr);
