/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Raw system calls: the only way in which the preload library reaches the
 * kernel, since libc's own functions may be ours by now.
 *
 * Every function returns what the kernel returned: a result, or -errno (see
 * real_failed). None touches errno, allocates, locks or uses thread-local
 * storage, so all may be called at any time: before libc is initialised, in
 * signal handlers, after vfork. real_result turns such a value into what
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

/* The system call `number` (real-<architecture>.c). */
long real_syscall(long number, long a, long b, long c, long d, long e, long f);

/* Whether `result` is a -errno. */
static inline bool real_failed(long result)
{
	return (unsigned long)result >= -4095UL;
}

/* -errno becomes errno and -1, everything else itself with errno untouched. */
long real_result(long result);

/* The same for a call that returns an address: MAP_FAILED is -1 as well. */
static inline void *real_result_ptr(long result)
{
	return (void *)real_result(result);
}

/* Bytes of a page of the kernel: 4, 16 or 64 KiB. */
size_t real_page_size(void);

/* Number of threads of this process, 0 when /proc does not tell. */
size_t real_threads(void);

/* Whether this is the only thread, as libc knows; false when it does not. */
bool real_alone(void);

/* The processor that runs this thread, 0 when it is not known: a load from
 * libc's restartable-sequence area where there is one. */
unsigned real_cpu(void);

/* Milliseconds of a clock that only goes forward, in steps of a few; never 0.
 * It is read without a system call; 0 where that cannot be (no vDSO), and
 * before real_clock_start, which is to be called once, in the constructor. */
void real_clock_start(void);
uint64_t real_clock_ms(void);

/* From now on the process is in a sandbox, or may be: it may be killed for a
 * system call that libc's allocator does not make. */
void real_be_modest(void);
bool real_is_modest(void);

/* Lets other threads run: at first others of this processor, after a thousand
 * tries for 100 us. */
void real_give_way(unsigned tries);

/* Memory */

/* A page of the first thread's stack: mapped as long as the process lives, and
 * above the arena. */
uintptr_t real_stack(void);

static inline long real_mmap(void *addr, size_t len, int prot, int flags,
			     int fd, off_t offset)
{
	return real_syscall(SYS_mmap, (long)addr, (long)len, prot, flags, fd,
			    offset);
}

static inline long real_munmap(void *addr, size_t len)
{
	return real_syscall(SYS_munmap, (long)addr, (long)len, 0, 0, 0, 0);
}

static inline long real_mremap(void *addr, size_t old_len, size_t new_len,
			       int flags, void *new_addr)
{
	return real_syscall(SYS_mremap, (long)addr, (long)old_len,
			    (long)new_len, flags, (long)new_addr, 0);
}

static inline long real_madvise(void *addr, size_t len, int advice)
{
	return real_syscall(SYS_madvise, (long)addr, (long)len, advice, 0, 0,
			    0);
}

/* A page of zeroes that a child of fork finds zeroed again, however it was
 * forked; NULL where there is none (Linux 4.14). */
void *real_wiped_page(void);

static inline long real_mprotect(void *addr, size_t len, int prot)
{
	return real_syscall(SYS_mprotect, (long)addr, (long)len, prot, 0, 0, 0);
}

static inline long real_pkey_mprotect(void *addr, size_t len, int prot,
				      int pkey)
{
	return real_syscall(SYS_pkey_mprotect, (long)addr, (long)len, prot,
			    pkey, 0, 0);
}

/* The new break, or the old one when it could not be moved: never -errno. */
static inline long real_brk(void *addr)
{
	return real_syscall(SYS_brk, (long)addr, 0, 0, 0, 0, 0);
}

static inline long real_mincore(void *addr, size_t len, unsigned char *vec)
{
	return real_syscall(SYS_mincore, (long)addr, (long)len, (long)vec, 0, 0,
			    0);
}

static inline long real_mlock(const void *addr, size_t len)
{
	return real_syscall(SYS_mlock, (long)addr, (long)len, 0, 0, 0, 0);
}

static inline long real_mlock2(const void *addr, size_t len, unsigned flags)
{
	return real_syscall(SYS_mlock2, (long)addr, (long)len, flags, 0, 0, 0);
}

static inline long real_munlock(const void *addr, size_t len)
{
	return real_syscall(SYS_munlock, (long)addr, (long)len, 0, 0, 0, 0);
}

static inline long real_mlockall(int flags)
{
	return real_syscall(SYS_mlockall, flags, 0, 0, 0, 0, 0);
}

static inline long real_mbind(void *addr, unsigned long len, int mode,
			      const unsigned long *nodes, unsigned long max,
			      unsigned flags)
{
	return real_syscall(SYS_mbind, (long)addr, (long)len, mode, (long)nodes,
			    (long)max, flags);
}

static inline long real_msync(void *addr, size_t len, int flags)
{
	return real_syscall(SYS_msync, (long)addr, (long)len, flags, 0, 0, 0);
}

static inline long real_remap_file_pages(void *addr, size_t len, int prot,
					 size_t page, int flags)
{
	return real_syscall(SYS_remap_file_pages, (long)addr, (long)len, prot,
			    (long)page, flags, 0);
}

static inline long real_prctl(int option, unsigned long a, unsigned long b,
			      unsigned long c, unsigned long d)
{
	return real_syscall(SYS_prctl, option, (long)a, (long)b, (long)c,
			    (long)d, 0);
}

/* Files */

static inline long real_openat(int dir, const char *path, int flags,
			       mode_t mode)
{
	return real_syscall(SYS_openat, dir, (long)path, flags, mode, 0, 0);
}

long real_open(const char *path, int flags, mode_t mode);

/* Its length, or -errno. */
static inline long real_getcwd(char *buf, size_t len)
{
	return real_syscall(SYS_getcwd, (long)buf, (long)len, 0, 0, 0, 0);
}

static inline long real_read(int fd, void *buf, size_t len)
{
	return real_syscall(SYS_read, fd, (long)buf, (long)len, 0, 0, 0);
}

static inline long real_pread(int fd, void *buf, size_t len, off_t offset)
{
	return real_syscall(SYS_pread64, fd, (long)buf, (long)len, offset, 0,
			    0);
}

static inline long real_write(int fd, const void *buf, size_t len)
{
	return real_syscall(SYS_write, fd, (long)buf, (long)len, 0, 0, 0);
}

static inline long real_close(int fd)
{
	return real_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
}

static inline long real_fstat(int fd, struct stat *st)
{
	return real_syscall(SYS_fstat, fd, (long)st, 0, 0, 0, 0);
}

static inline long real_ftruncate(int fd, off_t len)
{
	return real_syscall(SYS_ftruncate, fd, len, 0, 0, 0, 0);
}

static inline long real_fcntl(int fd, int command, long arg)
{
	return real_syscall(SYS_fcntl, fd, command, arg, 0, 0, 0);
}

static inline long real_ppoll(struct pollfd *fds, unsigned long count,
			      const struct timespec *timeout)
{
	return real_syscall(SYS_ppoll, (long)fds, (long)count, (long)timeout, 0,
			    0, 0);
}

/* Process and signals */

/* Reads a limit of this process. */
static inline long real_prlimit(int resource, struct rlimit *limit)
{
	return real_syscall(SYS_prlimit64, 0, resource, 0, (long)limit, 0, 0);
}

static inline pid_t real_getpid(void)
{
	return (pid_t)real_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static inline pid_t real_gettid(void)
{
	return (pid_t)real_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

__attribute__((noreturn)) void real_exit_group(int status);

/* The kernel's signal set: the first 64 bits of sigset_t. */
static inline long real_rt_sigprocmask(int how, const uint64_t *set,
				       uint64_t *old)
{
	return real_syscall(SYS_rt_sigprocmask, how, (long)set, (long)old,
			    sizeof(*set), 0, 0);
}

static inline long real_rt_sigpending(uint64_t *set)
{
	return real_syscall(SYS_rt_sigpending, (long)set, sizeof(*set), 0, 0, 0,
			    0);
}

static inline long real_rt_sigtimedwait(const uint64_t *set,
					const struct timespec *timeout)
{
	return real_syscall(SYS_rt_sigtimedwait, (long)set, 0, (long)timeout,
			    sizeof(*set), 0, 0);
}
