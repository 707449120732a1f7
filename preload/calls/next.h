/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The next function of a name behind this library's, which may be another
 * preloaded library's: for calls that the library watches and does not carry
 * out. One table, looked up before the program can fork, since a child of a
 * thread must not search.
 */
#pragma once

#include "preload/sys/atomic.h"

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

typedef int exec_fn(const char *, char *const *);
typedef int exec_env_fn(const char *, char *const *, char *const *);

extern struct next {
	exec_env_fn *execve;
	int (*execveat)(int, const char *, char *const *, char *const *, int);
	int (*fexecve)(int, char *const *, char *const *);
	exec_fn *execvp;
	exec_env_fn *execvpe;
	pid_t (*fork)(void);
	int (*daemon)(int, int);
	int (*unshare)(int);
	int (*setns)(int, int);
	int (*capset)(void *, const void *);
	int (*close_range)(unsigned, unsigned, int);
	ssize_t (*process_madvise)(int, const struct iovec *, size_t, int,
				   unsigned);
	ssize_t (*vmsplice)(int, const struct iovec *, size_t, unsigned);
	int (*ioctl)(int, unsigned long, ...);
	int (*prctl)(int, ...);
	int (*personality)(unsigned long);
} next_table;

void next_find(void);

/* The table. Another library's constructor may come before ours. */
static inline const struct next *next(void)
{
	if (!atom_load_acquire(&next_table.fork))
		next_find();
	return &next_table;
}
