/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Calls that are not about memory, but may concern ours: by symbol only. What
 * carries them out is the next function of that name, which may be another
 * preloaded library's.
 */
#include "preload/calls/range.h"
#include "preload/arena/arena.h"
#include "preload/background.h"
#include "preload/sys/personality.h"
#include "preload/sys/sys.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/userfaultfd.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#define EXPORT __attribute__((visibility("default")))

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif

/* Not declared by older C libraries. */
ssize_t process_madvise(int fd, const struct iovec *parts, size_t count,
			int advice, unsigned flags);

static struct {
	ssize_t (*process_madvise)(int, const struct iovec *, size_t, int,
				   unsigned);
	ssize_t (*vmsplice)(int, const struct iovec *, size_t, unsigned);
	int (*ioctl)(int, unsigned long, ...);
	int (*prctl)(int, ...);
	int (*personality)(unsigned long);
} next;

static __attribute__((constructor)) void find_next(void)
{
	*(void **)&next.process_madvise = dlsym(RTLD_NEXT, "process_madvise");
	*(void **)&next.vmsplice = dlsym(RTLD_NEXT, "vmsplice");
	*(void **)&next.ioctl = dlsym(RTLD_NEXT, "ioctl");
	*(void **)&next.prctl = dlsym(RTLD_NEXT, "prctl");
	*(void **)&next.personality = dlsym(RTLD_NEXT, "personality");
}

static size_t pages_of(size_t len)
{
	size_t mask = sys_page_size() - 1;

	return (len + mask) & ~mask;
}

static void alter_parts(const struct iovec *parts, size_t count, enum mark mark)
{
	for (size_t i = 0; parts && i < count && count <= IOV_MAX; i++) {
		uintptr_t at = (uintptr_t)parts[i].iov_base;
		uintptr_t start = at & ~(sys_page_size() - 1);
		size_t len = pages_of(parts[i].iov_len + (at - start));

		if (arena_touches(start, len) && start + len > start)
			arena_alter(start, len, mark);
	}
}

/* Of whatever process: another one's addresses may be ours by chance only. */
EXPORT ssize_t process_madvise(int fd, const struct iovec *parts, size_t count,
			       int advice, unsigned flags)
{
	if (alter_by_advice(advice))
		alter_parts(parts, count, MARK_REMAP_BEFORE_USE);
	if (next.process_madvise)
		return next.process_madvise(fd, parts, count, advice, flags);
	return sys_result(sys_call(SYS_process_madvise, fd, (long)parts,
				   (long)count, advice, flags, 0));
}

/* Pages that a pipe holds must not be served to anyone while it does: a fresh
 * mapping, when they are freed, leaves them to it. */
EXPORT ssize_t vmsplice(int fd, const struct iovec *parts, size_t count,
			unsigned flags)
{
	alter_parts(parts, count, MARK_REMAP_ON_FREE);
	if (next.vmsplice)
		return next.vmsplice(fd, parts, count, flags);
	return sys_result(sys_call(SYS_vmsplice, fd, (long)parts, (long)count,
				   flags, 0, 0));
}

static bool is_whole(uintptr_t at, size_t len)
{
	return arena_touches(at, len) &&
	       !((at | len) & (sys_page_size() - 1)) && at + len > at;
}

static void alter_if_whole(uintptr_t at, size_t len)
{
	if (is_whole(at, len))
		arena_alter(at, len, MARK_REMAP_BEFORE_USE);
}

/* How much of a range of ours gets a name: nothing, since it would keep the
 * range apart from its neighbours for ever; the kernel checks the rest. */
static size_t named(uintptr_t at, size_t len)
{
	size_t whole = pages_of(len);

	if (is_whole(at, whole) && arena_is_live(at, whole, 0))
		return 0;
	alter_if_whole(at, whole);
	return len;
}

/* Of interest: who wants to handle the faults in a range. */
EXPORT int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	/* The kernel looks at 32 bits of it. */
	if ((uint32_t)request == UFFDIO_REGISTER && arg) {
		const struct uffdio_register *want = arg;

		alter_if_whole(want->range.start, want->range.len);
	}
	if (next.ioctl)
		return next.ioctl(fd, request, arg);
	return (int)sys_result(
		sys_call(SYS_ioctl, fd, (long)request, (long)arg, 0, 0, 0));
}

/* Of interest: sandboxes, which may know nothing of our system calls, and
 * names for ranges. */
EXPORT int prctl(int option, ...)
{
	unsigned long a[4];
	va_list args;

	va_start(args, option);
	for (size_t i = 0; i < 4; i++)
		a[i] = va_arg(args, unsigned long);
	va_end(args);
	if (option == PR_SET_SECCOMP || option == PR_SET_NO_NEW_PRIVS) {
		background_stop("ended before a sandbox");
		sandbox_entered();
	} else if (option == PR_CAPBSET_DROP || option == PR_SET_SECUREBITS ||
		   option == PR_CAP_AMBIENT)
		background_stop("ended before rights were dropped");
	else if (option == PR_SET_VMA)
		a[2] = named(a[1], a[2]);
	if (next.prctl)
		return next.prctl(option, a[0], a[1], a[2], a[3]);
	return (int)sys_result(sys_prctl(option, a[0], a[1], a[2], a[3]));
}

/* Declared by sys/personality.h. */
int personality(unsigned long persona);

/* Of interest: what memory may be used for from now on. */
EXPORT int personality(unsigned long persona)
{
	int before;

	if (next.personality)
		before = next.personality(persona);
	else
		before = (int)sys_result(sys_call(
			SYS_personality, (long)persona, 0, 0, 0, 0, 0));
	if (before != -1)
		personality_changed(persona);
	return before;
}
