/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/sys/sys.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

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

/* Since glibc 2.32. */
extern char __libc_single_threaded __attribute__((weak));

bool real_alone(void)
{
	return &__libc_single_threaded && __libc_single_threaded;
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

/* The kernel's own function: libc's could be another library's by now, and
 * where the vDSO has no such clock it would be a system call. */
static int (*read_clock)(clockid_t, struct timespec *);

void real_clock_start(void)
{
	static const char *const names[] = { "__vdso_clock_gettime",
					     "__kernel_clock_gettime" };
	void *vdso = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);

	for (size_t i = 0; vdso && !read_clock && i < 2; i++)
		*(void **)&read_clock = dlsym(vdso, names[i]);
}

uint64_t real_clock_ms(void)
{
	struct timespec now;

	if (!read_clock || read_clock(CLOCK_MONOTONIC_COARSE, &now))
		return 0;
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 +
	       1;
}

uintptr_t real_stack(void)
{
	return getauxval(AT_RANDOM) & ~(real_page_size() - 1);
}

void *real_wiped_page(void)
{
	size_t page = real_page_size();
	long at = real_mmap(NULL, page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (real_failed(at))
		return NULL;
	if (!real_madvise((void *)at, page, MADV_WIPEONFORK))
		return (void *)at;
	real_munmap((void *)at, page);
	return NULL;
}

static bool modest;

void real_be_modest(void)
{
	__atomic_store_n(&modest, true, __ATOMIC_RELAXED);
}

bool real_is_modest(void)
{
	return __atomic_load_n(&modest, __ATOMIC_RELAXED);
}

void real_give_way(unsigned tries)
{
	struct timespec pause = { 0, 100000 };

	if (tries < 1000)
		real_syscall(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
	else
		real_ppoll(NULL, 0, &pause);
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
