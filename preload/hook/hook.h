/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Takes over libc's own entry points, so that calls inside libc (malloc's
 * mmap, thread stacks) reach us as well: replacing a symbol catches only
 * calls by name.
 *
 * A jump to a stub on a page of ours nearby, which jumps on to our function, is
 * stored behind the first instruction of the function, where a breakpoint on
 * the entry does not touch it; or in place of that instruction. Ours replaces
 * the whole function, so nothing has to be copied away. The jump is published by
 * one store; where another thread could be between the instructions that it
 * covers, or where they are not among the known ones, the entry is left alone
 * and the reason is kept for the report.
 *
 * Our functions are found through the stubs until the process ends: this
 * library must never be unloaded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* An entry to take over; the last two fields are filled in. */
struct hook {
	const char *symbol; /* in libc's own table */
	void (*ours)(void);
	size_t words; /* arguments of it, at most six, none by stack */
	bool test; /* call it to test: never for one that does not return */
	bool needs_all; /* only when every earlier entry took */
	bool apart; /* not one of the mapping calls; only with no other thread */
	bool took;
	const char *why_not; /* a constant text; NULL when it took. If it is
			      * not NULL before, the entry is left alone */
};

struct hook_result {
	bool libc; /* every entry took but those apart */
	bool apart; /* those as well */
	char why_not[400]; /* "" when all took; else "mmap: reason; …" */
};

/*
 * Takes over `hooks` in this order. Once, in the constructor, before main;
 * the mapping calls must come before those with needs_all (mmap last: memory
 * served must never meet a munmap that is not ours). Uses raw system calls
 * only and leaves errno alone. Each entry that took is then called, through
 * libc's address, with arguments that only the stub answers.
 */
void hook_install(struct hook *hooks, size_t count);

/* Records that hooks are not wanted, and why, for the report. */
void hook_skip(const char *why_not);

/* What hook_install or hook_skip did; all zero before. An entry that another
 * library has overwritten since then (one that patches libc's code as well)
 * counts as not taken from now on. */
const struct hook_result *hook_result(void);
