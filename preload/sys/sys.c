/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/sys/sys.h"

#include "preload/sys/atomic.h"
#include "preload/sys/sandbox.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

long sys_result(long result)
{
	if (!sys_failed(result))
		return result;
	errno = (int)-result;
	return -1;
}

size_t sys_page_size(void)
{
	static size_t size;

	/* The loader's copy of the auxiliary vector: no system call. */
	if (!atom_load(&size))
		atom_store(&size, getauxval(AT_PAGESZ));
	return atom_load(&size);
}

/* Each thread is a folder in /proc/self/task, each folder a link to it. */
size_t sys_count_threads(void)
{
	struct stat st;
	long fd = sys_open("/proc/self/task", O_PATH | O_CLOEXEC, 0);
	long result;

	if (sys_failed(fd))
		return 0;
	result = sys_fstat((int)fd, &st);
	sys_close((int)fd);
	if (sys_failed(result) || st.st_nlink < 3)
		return 0;
	return st.st_nlink - 2;
}

/* Since glibc 2.32. */
extern char __libc_single_threaded __attribute__((weak));

bool sys_single_threaded(void)
{
	return &__libc_single_threaded && __libc_single_threaded;
}

unsigned sys_cpu(void)
{
	int saved = errno;
	int cpu = sched_getcpu();

	if (cpu >= 0)
		return (unsigned)cpu;
	errno = saved;
	return 0;
}

/* The kernel's own function: libc's could be another library's by now, and
 * where the vDSO has no such clock it would be a system call. */
static int (*read_clock)(clockid_t, struct timespec *);

void sys_clock_start(void)
{
	static const char *const names[] = { "__vdso_clock_gettime",
					     "__kernel_clock_gettime" };
	void *vdso = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);

	for (size_t i = 0; vdso && !read_clock && i < 2; i++)
		*(void **)&read_clock = dlsym(vdso, names[i]);
}

uint64_t sys_clock_ms(void)
{
	struct timespec now;

	if (!read_clock || read_clock(CLOCK_MONOTONIC_COARSE, &now))
		return 0;
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 +
	       1;
}

uintptr_t sys_stack(void)
{
	return getauxval(AT_RANDOM) & ~(sys_page_size() - 1);
}

void *sys_wiped_page(void)
{
	size_t page = sys_page_size();
	long at = sys_mmap(NULL, page, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (sys_failed(at))
		return NULL;
	if (!sys_madvise((void *)at, page, MADV_WIPEONFORK))
		return (void *)at;
	sys_munmap((void *)at, page);
	return NULL;
}

void sys_yield(unsigned tries)
{
	struct timespec pause = { 0, 100000 };

	if (sandboxed())
		return;
	if (tries < 1000)
		sys_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
	else
		sys_ppoll(NULL, 0, &pause);
}

long sys_open(const char *path, int flags, mode_t mode)
{
	return sys_openat(AT_FDCWD, path, flags, mode);
}

void sys_exit_group(int status)
{
	for (;;)
		sys_call(SYS_exit_group, status, 0, 0, 0, 0, 0);
}
