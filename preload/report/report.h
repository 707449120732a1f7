/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * When the process reports, and where to.
 *
 * A process writes at most one report at its end, by the thread that ends it,
 * while other threads may go on. A child of vfork or posix_spawn writes none. A
 * child of fork writes none if it has requested no memory since, and none
 * before it executes another program: fork was a step towards that program.
 * Nothing here allocates, locks or touches errno.
 */
#pragma once

#include "preload/config.h"

/*
 * Open the target of the report, since a sandbox may forbid that later: a
 * duplicate of stderr, or the file, which is appended to. Call once, when
 * statistics start.
 */
void report_open(const struct config *settings);

/* Write the report if this process still owes one. `trigger` is the way the
 * process ends: "exit" or "_exit". */
void report_last(const char *trigger);

/*
 * Write the report before another program is executed; return whether one was
 * written. If the program cannot be executed after all, report_again lets
 * another report follow.
 */
bool report_before_exec(void);
void report_again(void);

/* Write a report while the program goes on, for `trigger` "interval" or
 * "demand". */
void report_now(const char *trigger);

/* Report at this signal from now on, unless the program ignores or handles it.
 * 0 is no signal. */
void report_on_signal(int number);

/* Set what reports say of the background thread: "running", why there is none,
 * or "" when none is wanted. `state` is a constant text. */
void report_background(const char *state);

/* Prepare for reports in a child of fork: it owes none for its parent. */
void report_forked(void);

/* Print the settings and hooks in effect to stderr. */
void report_settings(const struct config *settings);
