/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The main heap: what brk moves the end of, in the arena's heap zone. The heap
 * grows by getting the frames behind it and shrinks by freeing them; what was
 * freed reads as zero when the heap comes back to it.
 *
 * The kernel's own break stays where it is. So either all calls of brk in a
 * process come here, from its first one on, or none does.
 *
 * May be called on any thread, in signal handlers and in a child of fork,
 * beside itself and all else; never waits. Of two calls at once that move the
 * break one may fail, as if there were no memory.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Move the break to `addr`: returns its new place, or as the kernel's call the
 * old one, when `addr` lies outside the heap zone (0 does), the frames behind
 * are taken, memory is refused, or RLIMIT_DATA is reached.
 */
uintptr_t brk_move(uintptr_t addr);

/* Why the heap stays with the kernel, NULL if it need not. `wanted`: by the
 * settings. Before the first call of brk_call. */
const char *brk_refused(bool wanted);

/* Whether libc's brk is brk_call: from then on the heap lies in the heap zone. */
void brk_take(bool taken);
bool brk_is_taken(void);

/* brk, in the place of libc's, which sbrk calls as well: never by symbol
 * alone. */
int brk_call(void *addr);
