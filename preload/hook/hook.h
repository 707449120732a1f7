/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Take over libc's own entry points, so that calls inside libc (malloc's mmap,
 * thread stacks) reach the library as well. An exported symbol catches only
 * calls by name.
 *
 * The first instruction of libc's function becomes a jump to a stub on a page
 * nearby, which jumps on to the library's function. That function replaces all
 * of libc's, so no instruction has to be copied away. One aligned store
 * publishes the jump. If another thread could be between the instructions that
 * the jump covers, or if these are not known, the entry is left alone and the
 * reason is kept for the report.
 *
 * The stubs lead to the library until the process ends, so it must never be
 * unloaded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* An entry to take over; hook_install sets the last two members. */
struct hook {
	const char *symbol; /* in libc's own table */
	void (*ours)(void); /* at most six words as arguments, none by stack */
	bool test; /* call it to test the jump; not if it never returns */
	bool needs_all; /* take it only if every earlier entry was taken */
	bool apart; /* no mapping call; take it only without other threads */
	bool took;
	const char *why_not; /* a constant text; NULL if it was taken. If it is
			      * not NULL before, the entry is left alone */
};

struct hook_result {
	bool libc; /* every entry but the ones apart was taken */
	bool apart; /* so were the ones apart */
	char why_not[400]; /* "" if all were; else "mmap: reason; …" */
};

/*
 * Take over `hooks` in this order. Call once, in the constructor, before main.
 * Mapping calls must come before entries with needs_all, and mmap last: a munmap
 * that is not the library's must never get served memory. This uses raw system
 * calls only and leaves errno alone. It calls each entry that it has taken,
 * through libc's address, with an argument that only the stub answers.
 */
void hook_install(struct hook *hooks, size_t count);

/* Record for the report that no hooks are wanted, and why. */
void hook_skip(const char *why_not);

/* Return what hook_install or hook_skip did; all zero before. */
const struct hook_result *hook_result(void);
