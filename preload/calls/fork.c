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
#include "preload/calls/calls.h"
#include "preload/calls/entries.h"
#include "preload/calls/next.h"

EXPORT pid_t fork(void)
{
	pid_t pid = next()->fork();

	if (!pid) {
		process_enter();
		background_renew();
	}
	return pid;
}

EXPORT int daemon(int keep_folder, int keep_files)
{
	int failed = next()->daemon(keep_folder, keep_files);

	if (!failed) {
		process_enter();
		background_renew();
	}
	return failed;
}

EXPORT int unshare(int flags)
{
	background_stop("ended before unshare");
	return next()->unshare(flags);
}

EXPORT int setns(int fd, int type)
{
	background_stop("ended before setns");
	return next()->setns(fd, type);
}

EXPORT int capset(void *header, const void *data)
{
	background_stop("ended before capset");
	return next()->capset(header, data);
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	if ((unsigned)flags & CLOSE_RANGE_UNSHARE)
		background_stop("ended before close_range");
	return next()->close_range(first, last, flags);
}
