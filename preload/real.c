/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/real.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/stat.h>

long real_result(long result)
{
	if (!real_failed(result))
		return result;
	errno = (int)-result;
	return -1;
}

size_t real_page_size(void)
{
	/* The loader's copy of the auxiliary vector: no system call. */
	return getauxval(AT_PAGESZ);
}

/* Each thread is a folder in /proc/self/task, each folder a link to it. */
size_t real_threads(void)
{
	struct stat st;
	long fd = real_open("/proc/self/task", O_PATH | O_CLOEXEC, 0);
	long result;

	if (real_failed(fd))
		return 0;
	result = real_fstat((int)fd, &st);
	real_close((int)fd);
	if (real_failed(result) || st.st_nlink < 3)
		return 0;
	return st.st_nlink - 2;
}

unsigned real_cpu(void)
{
	int saved = errno;
	int cpu = sched_getcpu();

	if (cpu >= 0)
		return (unsigned)cpu;
	errno = saved;
	return 0;
}

long real_open(const char *path, int flags, mode_t mode)
{
	return real_openat(AT_FDCWD, path, flags, mode);
}

void real_exit_group(int status)
{
	for (;;)
		real_syscall(SYS_exit_group, status, 0, 0, 0, 0, 0);
}
