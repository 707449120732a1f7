/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Reports: when, and where to.
 *
 * At its end each process writes at most one, by the thread that ends it; others may go
 * on meanwhile. A child of vfork or posix_spawn writes none. A child of fork
 * writes none when it has asked for nothing since, or when it executes another
 * program: it was only on its way there.
 * Nothing here allocates, locks or touches errno.
 */
#pragma once

#include "preload/config.h"

/*
 * Opens where the report goes, since a sandbox may forbid that later: a copy
 * of stderr, or the file, which is appended to. Once, when statistics start.
 */
void report_open(const struct config *settings);

/* Writes the report if this process still owes one; `how` it ends: "exit",
 * "_exit" or "exec". */
void report_last(const char *how);

/* The same before another program is executed; true if a report was written.
 * When the program could not be executed after all, report_again lets another
 * report follow. */
bool report_before_exec(void);
void report_again(void);

/* A report while the program goes on; `how` it came about: "interval" or
 * "demand". From now on at this signal as well, unless the program ignores it
 * or handles it itself; 0: none. */
void report_now(const char *how);
void report_on_signal(int number);

/* What reports say of the background thread: "running", why there is none, or
 * "" when none is wanted. A constant text. */
void report_background(const char *state);

/* In a child of fork, whose counters have just become zero. */
void report_forked(void);

/* The settings and hooks in effect, to stderr. */
void report_settings(const struct config *settings);
