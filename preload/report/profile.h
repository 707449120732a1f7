/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Where memory is asked for: the call sites of served and of passed requests,
 * for LLFREE_PROFILE=1. libunwind walks the stack; it is loaded only then,
 * with local scope, so that a program's exceptions never meet it.
 *
 * Sites are kept in a table of fixed size that is mapped once. Adding to it is
 * lock-free: any thread, signal handlers included, may record beside any
 * other. Requests that come from a walk itself, and those of a handler that
 * interrupts one, are left out. A child of fork starts from an empty table;
 * since a walk takes locks inside libunwind, fork waits (briefly) until no
 * walk is under way, and a child of which that is not certain walks no more.
 *
 * Units: bytes, calls.
 */
#pragma once

#include "preload/sys/print.h"

#include <stdbool.h>
#include <stddef.h>

extern bool profile_on;

/*
 * Loads libunwind and walks the stack once, so that later walks find all they
 * need mapped. In the constructor, after hook_install, when LLFREE_PROFILE=1;
 * allocates. When it cannot work, one line on stderr says why, and profile_on
 * stays false.
 */
void profile_start(void);

void profile_add(bool served, size_t bytes);

/* One request, from the function that the program called. Leaves errno alone. */
static inline void profile_record(bool served, size_t bytes)
{
	if (__builtin_expect(profile_on, 0))
		profile_add(served, bytes);
}

/* Forgets all sites: a child of fork does so by itself, one of a raw clone
 * needs it. Alone. */
void profile_forget(void);

/*
 * The `top` sites by bytes of each kind: text with a headline, or for JSON the
 * member "profile". Nothing when profile_on is false. Recording goes on.
 */
void profile_report(struct print *out, size_t top, bool json);
