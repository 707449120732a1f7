/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * mremap of memory of the arena, or onto it. Grows in place when the frames
 * behind are free; else the contents move to other frames, by copying or, for
 * long regions, by moving the page tables. What the program has altered, and
 * all that names a new address, is left to the kernel, piece by piece where it
 * keeps apart what to the program is one; where that takes a mapping of ours
 * away, a fresh one takes its place at once.
 *
 * Who may run beside whom, units and results are as in arena.h.
 */
#pragma once

#include "preload/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct move {
	uintptr_t old;
	size_t old_len;
	size_t new_len;
	int flags;
	uintptr_t fixed; /* with MREMAP_FIXED or _DONTUNMAP */
	size_t page;
	size_t max; /* longer regions are not served */
	bool own; /* `fixed` has just been had for it: whoever did undoes that */
};

/* Whether the arena is concerned at all; if not, the kernel alone is. */
int move_concerns_arena(const struct move *move);

/* The new address or -errno. *why is REASON_NONE when the arena did it, else
 * why the kernel had to. */
long move_region(const struct move *move, enum reason *why);
