/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Calls that the background thread would be in the way of, and those after
 * which a process has to get its own: by symbol only. Without that thread each
 * is what the next function of that name is.
 *
 * unshare and setns refuse, in part, a process with several threads, or mean
 * the calling one only, as capset does; and a table of descriptors of its own
 * leaves the old one, with all that is open there, to the other threads.
 */
#include "preload/background.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/types.h>

#define EXPORT __attribute__((visibility("default")))

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2u
#endif

/* libc declares some of them for newer programs only, or not at all. */
pid_t fork(void);
int daemon(int keep_folder, int keep_files);
int unshare(int flags);
int setns(int fd, int type);
int capset(void *header, const void *data);
int close_range(unsigned first, unsigned last, int flags);

static struct {
	pid_t (*fork)(void);
	int (*daemon)(int, int);
	int (*unshare)(int);
	int (*setns)(int, int);
	int (*capset)(void *, const void *);
	int (*close_range)(unsigned, unsigned, int);
} next;

static __attribute__((constructor)) void find_next(void)
{
	*(void **)&next.fork = dlsym(RTLD_NEXT, "fork");
	*(void **)&next.daemon = dlsym(RTLD_NEXT, "daemon");
	*(void **)&next.unshare = dlsym(RTLD_NEXT, "unshare");
	*(void **)&next.setns = dlsym(RTLD_NEXT, "setns");
	*(void **)&next.capset = dlsym(RTLD_NEXT, "capset");
	*(void **)&next.close_range = dlsym(RTLD_NEXT, "close_range");
}

/* Another library's constructor may come before ours. */
static inline void need_next(void)
{
	if (!next.fork)
		find_next();
}

EXPORT pid_t fork(void)
{
	pid_t pid;

	need_next();
	pid = next.fork();
	if (!pid)
		background_renew();
	return pid;
}

EXPORT int daemon(int keep_folder, int keep_files)
{
	int failed;

	need_next();
	failed = next.daemon(keep_folder, keep_files);
	if (!failed)
		background_renew();
	return failed;
}

static int no_such_call(void)
{
	errno = ENOSYS;
	return -1;
}

EXPORT int unshare(int flags)
{
	need_next();
	background_stop("ended before unshare");
	return next.unshare ? next.unshare(flags) : no_such_call();
}

EXPORT int setns(int fd, int type)
{
	need_next();
	background_stop("ended before setns");
	return next.setns ? next.setns(fd, type) : no_such_call();
}

EXPORT int capset(void *header, const void *data)
{
	need_next();
	background_stop("ended before capset");
	return next.capset ? next.capset(header, data) : no_such_call();
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	need_next();
	if ((unsigned)flags & CLOSE_RANGE_UNSHARE)
		background_stop("ended before close_range");
	return next.close_range ? next.close_range(first, last, flags)
				: no_such_call();
}
