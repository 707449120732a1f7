/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * mremap of memory of the arena, or onto it; the exported function is in
 * mmap.c. Threads, units and results are as in arena.h.
 */
#pragma once

#include "preload/reason.h"
#include "preload/sys/pages.h"

/* The arguments of a call, lengths in whole pages. */
struct mremap_call {
	struct region old;
	size_t new_len;
	int flags;
	uintptr_t to; /* with MREMAP_FIXED or _DONTUNMAP */
	size_t max; /* longer regions are not served */
	bool own; /* `to` was just served for this: the caller undoes that */
};

/* Whether the arena is concerned at all; if not, the kernel alone is. */
bool mremap_concerns_arena(const struct mremap_call *call);

/* Returns the new address or -errno. *why is REASON_NONE when the arena did it,
 * else why the kernel had to. */
long mremap_region(const struct mremap_call *call, enum reason *why);
