/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * LLFREE_BACKGROUND: a thread that does the housekeeping (housekeeping.h) on
 * time, also while the program makes no calls. In between it sleeps until the
 * next round is due, or longer if no frame was dirty. Calls of the program need
 * not wake it.
 *
 * It is a thread of libc, so that a change of user reaches it as it reaches all
 * other threads. It is made by libc's own pthread_create, not by one that another
 * library has put in its place: a garbage collector or tracer must not take it
 * for a thread of the program. All signals are blocked in it.
 *
 *	starts		at the end of the library's constructor, and in a child
 *			when the program's call of fork (or daemon) returns: no
 *			lock of libc or of another malloc is held there. Never in
 *			a call for memory, which may come from within malloc.
 *	ends		for good before calls that concern the calling thread
 *			only, or that the kernel refuses to a process with
 *			several threads: sandboxes, unshare, setns, capset
 *			(calls/fork.c, calls/misc.c); and when the program's
 *			first thread leaves by pthread_exit, since the process
 *			then ends with its last thread.
 *	is missing	in a child that was not made by libc's fork.
 *
 * Without the thread, calls of the program do its work, as without the setting.
 * None of these functions touches errno. One thread at a time may call them, but
 * background_stop may run on several.
 */
#pragma once

#include "preload/config.h"

#include <stdbool.h>

/* Start the thread, if it is wanted: in the constructor, after the hooks. */
void background_start(const struct config *settings);

/* End the thread and wait until it is gone, for half a second at most. `why` is a
 * constant text for the report. */
void background_stop(const char *why);

/* Return whether the program is known to have no thread but the calling one. The
 * background thread does not count. This asks the kernel if it has to. */
bool background_alone(void);

/* In a child of fork: note that the thread is gone; then, when the program goes
 * on there, start a new one. The second does nothing if the thread is there. */
void background_forked(void);
void background_renew(void);
