/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Raw system calls: the only way in which the preload library reaches the
 * kernel, since libc's own functions may be ours by now.
 *
 * Every function returns what the kernel returned: a result, or -errno (see
 * sys_failed). None touches errno, allocates, locks or uses thread-local
 * storage, so all may be called at any time: before libc is initialised, in
 * signal handlers, after vfork. sys_result turns such a value into what
 * libc's function would have returned.
 *
 * Units: bytes. Addresses are passed as the caller gave them, unchecked.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>

struct pollfd;
struct rlimit;
struct stat;
struct timespec;

/* The system call `number` (sys/<architecture>.c). */
long sys_call(long number, long a, long b, long c, long d, long e, long f);

/* Whether `result` is a -errno. */
static inline bool sys_failed(long result)
{
	return (unsigned long)result >= -4095UL;
}

/* -errno becomes errno and -1, everything else itself with errno untouched. */
long sys_result(long result);

/* The same for a call that returns an address: MAP_FAILED is -1 as well. */
static inline void *sys_result_ptr(long result)
{
	return (void *)sys_result(result);
}

/* Bytes of a page of the kernel: 4, 16 or 64 KiB. */
size_t sys_page_size(void);

/* Number of threads of this process, 0 when /proc does not tell. */
size_t sys_count_threads(void);

/* Whether this is the only thread, as libc knows; false when it does not. */
bool sys_single_threaded(void);

/* The processor that runs this thread, 0 when it is not known: a load from
 * libc's restartable-sequence area where there is one. */
unsigned sys_cpu(void);

/* Milliseconds of a clock that only goes forward, in steps of a few; never 0.
 * It is read without a system call; 0 where that cannot be (no vDSO), and
 * before sys_clock_start, which is to be called once, in the constructor. */
void sys_clock_start(void);
uint64_t sys_clock_ms(void);

/* Let other threads run: at first others of this processor, after a thousand
 * tries for 100 us. In a sandbox return at once. */
void sys_yield(unsigned tries);

/* Memory */

/* A page of the first thread's stack: mapped as long as the process lives, and
 * above the arena. */
uintptr_t sys_stack(void);

static inline long sys_mmap(void *addr, size_t len, int prot, int flags, int fd,
			    off_t offset)
{
	return sys_call(SYS_mmap, (long)addr, (long)len, prot, flags, fd,
			offset);
}

static inline long sys_munmap(void *addr, size_t len)
{
	return sys_call(SYS_munmap, (long)addr, (long)len, 0, 0, 0, 0);
}

static inline long sys_mremap(void *addr, size_t old_len, size_t new_len,
			      int flags, void *new_addr)
{
	return sys_call(SYS_mremap, (long)addr, (long)old_len, (long)new_len,
			flags, (long)new_addr, 0);
}

static inline long sys_madvise(void *addr, size_t len, int advice)
{
	return sys_call(SYS_madvise, (long)addr, (long)len, advice, 0, 0, 0);
}

/* Return a page of zeros that the kernel clears in a child of fork, however it
 * was forked; NULL where the kernel has no such pages (before Linux 4.14). */
void *sys_wiped_page(void);

static inline long sys_mprotect(void *addr, size_t len, int prot)
{
	return sys_call(SYS_mprotect, (long)addr, (long)len, prot, 0, 0, 0);
}

static inline long sys_mincore(void *addr, size_t len, unsigned char *vec)
{
	return sys_call(SYS_mincore, (long)addr, (long)len, (long)vec, 0, 0, 0);
}

static inline long sys_munlock(const void *addr, size_t len)
{
	return sys_call(SYS_munlock, (long)addr, (long)len, 0, 0, 0, 0);
}

static inline long sys_prctl(int option, unsigned long a, unsigned long b,
			     unsigned long c, unsigned long d)
{
	return sys_call(SYS_prctl, option, (long)a, (long)b, (long)c, (long)d,
			0);
}

/* Files */

static inline long sys_openat(int dir, const char *path, int flags, mode_t mode)
{
	return sys_call(SYS_openat, dir, (long)path, flags, mode, 0, 0);
}

long sys_open(const char *path, int flags, mode_t mode);

/* Its length, or -errno. */
static inline long sys_getcwd(char *buf, size_t len)
{
	return sys_call(SYS_getcwd, (long)buf, (long)len, 0, 0, 0, 0);
}

static inline long sys_read(int fd, void *buf, size_t len)
{
	return sys_call(SYS_read, fd, (long)buf, (long)len, 0, 0, 0);
}

static inline long sys_write(int fd, const void *buf, size_t len)
{
	return sys_call(SYS_write, fd, (long)buf, (long)len, 0, 0, 0);
}

static inline long sys_close(int fd)
{
	return sys_call(SYS_close, fd, 0, 0, 0, 0, 0);
}

static inline long sys_fstat(int fd, struct stat *st)
{
	return sys_call(SYS_fstat, fd, (long)st, 0, 0, 0, 0);
}

static inline long sys_fcntl(int fd, int command, long arg)
{
	return sys_call(SYS_fcntl, fd, command, arg, 0, 0, 0);
}

static inline long sys_ppoll(struct pollfd *fds, unsigned long count,
			     const struct timespec *timeout)
{
	return sys_call(SYS_ppoll, (long)fds, (long)count, (long)timeout, 0, 0,
			0);
}

/* Process and signals */

/* Reads a limit of this process. */
static inline long sys_prlimit(int resource, struct rlimit *limit)
{
	return sys_call(SYS_prlimit64, 0, resource, 0, (long)limit, 0, 0);
}

static inline pid_t sys_getpid(void)
{
	return (pid_t)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static inline pid_t sys_gettid(void)
{
	return (pid_t)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

__attribute__((noreturn)) void sys_exit_group(int status);

/* The kernel's signal set: the first 64 bits of sigset_t. */
static inline long sys_rt_sigprocmask(int how, const uint64_t *set,
				      uint64_t *old)
{
	return sys_call(SYS_rt_sigprocmask, how, (long)set, (long)old,
			sizeof(*set), 0, 0);
}

static inline long sys_rt_sigpending(uint64_t *set)
{
	return sys_call(SYS_rt_sigpending, (long)set, sizeof(*set), 0, 0, 0, 0);
}

static inline long sys_rt_sigtimedwait(const uint64_t *set,
				       const struct timespec *timeout)
{
	return sys_call(SYS_rt_sigtimedwait, (long)set, 0, (long)timeout,
			sizeof(*set), 0, 0);
}
