/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/calls/next.h"

#include "preload/sys/atomic.h"
#include "preload/sys/compat.h"
#include "preload/sys/sys.h"

#include <dlfcn.h>
#include <errno.h>

struct next next_table;

/* Where libc has no such function, as older ones lack some. */

static int no_such_call(void)
{
	errno = ENOSYS;
	return -1;
}

static ssize_t raw_process_madvise(int fd, const struct iovec *parts,
				   size_t count, int advice, unsigned flags)
{
	return sys_result(sys_call(SYS_process_madvise, fd, (long)parts,
				   (long)count, advice, flags, 0));
}

/* A function has the right type by the field that it is stored to. */
#define FUNCTION(f) ((void (*)(void))(f))

static const struct {
	void *field;
	const char *name;
	void (*fallback)(void);
} names[] = {
	{ &next_table.execve, "execve", FUNCTION(no_such_call) },
	{ &next_table.execveat, "execveat", FUNCTION(no_such_call) },
	{ &next_table.fexecve, "fexecve", FUNCTION(no_such_call) },
	{ &next_table.execvp, "execvp", FUNCTION(no_such_call) },
	{ &next_table.execvpe, "execvpe", FUNCTION(no_such_call) },
	{ &next_table.daemon, "daemon", FUNCTION(no_such_call) },
	{ &next_table.unshare, "unshare", FUNCTION(no_such_call) },
	{ &next_table.setns, "setns", FUNCTION(no_such_call) },
	{ &next_table.capset, "capset", FUNCTION(no_such_call) },
	{ &next_table.close_range, "close_range", FUNCTION(no_such_call) },
	{ &next_table.process_madvise, "process_madvise",
	  FUNCTION(raw_process_madvise) },
	{ &next_table.vmsplice, "vmsplice", FUNCTION(no_such_call) },
	{ &next_table.ioctl, "ioctl", FUNCTION(no_such_call) },
	{ &next_table.prctl, "prctl", FUNCTION(no_such_call) },
	{ &next_table.personality, "personality", FUNCTION(no_such_call) },
	/* The last: with it the table is complete, see next(). */
	{ &next_table.fork, "fork", FUNCTION(no_such_call) },
};

void next_find(void)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		void *function = dlsym(RTLD_NEXT, names[i].name);

		if (!function)
			function = *(void *const *)&names[i].fallback;
		atom_store_release((void **)names[i].field, function);
	}
}
