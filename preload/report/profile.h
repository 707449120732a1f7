/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The call sites that request memory, of served and of passed requests, for
 * LLFREE_PROFILE=1. libunwind walks the stack. It is loaded for that only, with
 * local scope, so that exceptions of the program never use it.
 *
 * The sites are in a table of fixed size that is mapped once. Adding to it is
 * lock-free: threads and signal handlers may record at once. Requests of a walk
 * itself, and of a handler that interrupts a walk, are left out. A child of
 * fork starts from an empty table. Because a walk takes locks inside libunwind,
 * fork waits briefly until no walk is in progress; a child in which one may
 * have been makes no walks.
 *
 * Units: bytes, calls.
 */
#pragma once

#include "preload/sys/print.h"

#include <stdbool.h>
#include <stddef.h>

extern bool profile_on;

/*
 * Load libunwind, and walk the stack so that later walks find all they need
 * mapped. Call it in the constructor, after hook_install, if LLFREE_PROFILE=1;
 * it allocates. If it fails, it prints one line on stderr with the reason, and
 * profile_on stays false.
 */
void profile_start(void);

void profile_add(bool served, size_t bytes);

/* Record one request, in the function that the program called. Leaves errno
 * alone. */
static inline void profile_record(bool served, size_t bytes)
{
	if (__builtin_expect(profile_on, 0))
		profile_add(served, bytes);
}

/* Forget all sites: in a child of fork. */
void profile_forked(void);

/*
 * Print the `top` sites by bytes, of served and of passed requests: as text
 * with a heading, or as the member "profile" of a JSON object. Print nothing if
 * profile_on is false. Recording goes on meanwhile.
 */
void profile_text(struct print *out, size_t top);
void profile_json(struct print *out, size_t top);
