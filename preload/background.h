/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * LLFREE_BACKGROUND: a thread that does what housekeeping.h is about when its time has
 * come, also while the program makes no calls. It sleeps in between, without a
 * call of the program having to wake it: until the next round is due, or longer
 * when nothing was dirty.
 *
 * It is libc's own kind of thread, so that a change of user reaches it as all
 * others. It is not made by a pthread_create that someone put in the place of
 * libc's: no collector or tracer of the program's shall take it for one of
 * theirs. All signals are blocked in it.
 *
 *	made		at the end of our constructor, and in a child of fork when
 *			the program's call of fork (or daemon) returns: there no
 *			lock of libc or of another malloc is held. Never on a
 *			call about memory, which may come from within malloc.
 *	ends		for good before calls that mean this thread of the program
 *			only, or refuse a process with several: sandboxes,
 *			unshare, setns, capset (calls/fork.c); and when the
 *			program's first thread leaves by pthread_exit, since the
 *			process then ends with the last one.
 *	is not there	in a child that something else than libc's fork has made.
 *
 * Where there is none, calls of the program do its work, as without the setting.
 * None of these calls touches errno. They are for one thread at a time, but
 * background_stop may run beside itself.
 */
#pragma once

#include "preload/config.h"

#include <stdbool.h>

/* In the constructor, after hooks were taken. */
void background_start(const struct config *settings);

/* Ends it and waits until it is gone, for half a second at most. `why` is for
 * people, a constant text. */
void background_stop(const char *why);

/* Whether the program has no thread but this one, as far as can be told; ours
 * does not count. Asks the kernel, if it has to. */
bool background_alone(void);

/* In a child of fork: first, when the thread is gone; then, when the program goes
 * on there. The second also in a process that has it. */
void background_forked(void);
void background_renew(void);
