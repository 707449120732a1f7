/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/calls/syscall.h"

#include "preload/background.h"
#include "preload/calls/brk.h"
#include "preload/calls/calls.h"
#include "preload/calls/entries.h"
#include "preload/sys/sandbox.h"

#define POINTER(arg) ((void *)(arg))

/* A filter is about to come by the bare system call. */
static void expect_sandbox(void)
{
	background_stop("ended before a sandbox");
	sandbox_entered();
}

/* The kernel's call returns the break, and libc learns nothing of it. */
static long move_break(long addr)
{
	return brk_is_taken() ? (long)brk_move((uintptr_t)addr)
			      : sys_call(SYS_brk, addr, 0, 0, 0, 0, 0);
}

long syscall_call(long number, long a, long b, long c, long d, long e, long f)
{
	switch (number) {
	case SYS_mmap:
		return (long)mmap(POINTER(a), (size_t)b, (int)c, (int)d, (int)e,
				  f);
	case SYS_munmap:
		return munmap(POINTER(a), (size_t)b);
	case SYS_mremap:
		return (long)mremap(POINTER(a), (size_t)b, (size_t)c, (int)d,
				    POINTER(e));
	case SYS_brk:
		return move_break(a);
	case SYS_mprotect:
		return mprotect(POINTER(a), (size_t)b, (int)c);
	case SYS_pkey_mprotect:
		return pkey_mprotect(POINTER(a), (size_t)b, (int)c, (int)d);
	case SYS_madvise:
		return madvise(POINTER(a), (size_t)b, (int)c);
	case SYS_process_madvise:
		return process_madvise((int)a, POINTER(b), (size_t)c, (int)d,
				       (unsigned)e);
	case SYS_mseal:
		return mseal(POINTER(a), (size_t)b, (unsigned long)c);
	case SYS_mlock:
		return mlock(POINTER(a), (size_t)b);
	case SYS_mlock2:
		return mlock2(POINTER(a), (size_t)b, (unsigned)c);
	case SYS_munlock:
		return munlock(POINTER(a), (size_t)b);
	case SYS_mlockall:
		return mlockall((int)a);
	case SYS_munlockall:
		return munlockall();
	case SYS_mincore:
		return mincore(POINTER(a), (size_t)b, POINTER(c));
	case SYS_msync:
		return msync(POINTER(a), (size_t)b, (int)c);
	case SYS_mbind:
		return mbind(POINTER(a), (unsigned long)b, (int)c, POINTER(d),
			     (unsigned long)e, (unsigned)f);
	case SYS_remap_file_pages:
		return remap_file_pages(POINTER(a), (size_t)b, (int)c,
					(size_t)d, (int)e);
	case SYS_shmat:
		return (long)shmat((int)a, POINTER(b), (int)c);
	case SYS_shmdt:
		return shmdt(POINTER(a));
	case SYS_vmsplice:
		return vmsplice((int)a, POINTER(b), (size_t)c, (unsigned)d);
	case SYS_ioctl:
		return ioctl((int)a, (unsigned long)b, POINTER(c));
	case SYS_prctl:
		return prctl((int)a, b, c, d, e);
	case SYS_personality:
		return personality((unsigned long)a);
	case SYS_unshare:
		return unshare((int)a);
	case SYS_setns:
		return setns((int)a, (int)b);
	case SYS_capset:
		return capset(POINTER(a), POINTER(b));
	case SYS_close_range:
		return close_range((unsigned)a, (unsigned)b, (int)c);
	case SYS_execve:
		return execve(POINTER(a), POINTER(b), POINTER(c));
	case SYS_execveat:
		return execveat((int)a, POINTER(b), POINTER(c), POINTER(d),
				(int)e);
	case SYS_exit_group:
		_exit((int)a);
	case SYS_seccomp:
		expect_sandbox();
		break;
	}
	return sys_result(sys_call(number, a, b, c, d, e, f));
}
