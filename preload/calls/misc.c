/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Calls that may concern memory of the arena besides what they are about: by
 * symbol only. What carries them out is the next function of that name, which
 * may be another preloaded library's.
 */
#include "preload/background.h"
#include "preload/calls/calls.h"
#include "preload/calls/entries.h"
#include "preload/calls/next.h"
#include "preload/calls/range.h"
#include "preload/sys/personality.h"
#include "preload/sys/sandbox.h"

#include <limits.h>
#include <linux/userfaultfd.h>
#include <stdarg.h>

static void remap_parts_later(const struct iovec *parts, size_t count,
			      enum remap when)
{
	struct region r;

	process_enter();
	for (size_t i = 0; parts && i < count && count <= IOV_MAX; i++)
		if (region_around(parts[i].iov_base, parts[i].iov_len, &r) &&
		    arena_touches(r))
			arena_remap_later(r, when);
}

/* Of whatever process: another one's addresses may be ours by chance only. */
EXPORT ssize_t process_madvise(int fd, const struct iovec *parts, size_t count,
			       int advice, unsigned flags)
{
	if (range_advice_alters(advice))
		remap_parts_later(parts, count, REMAP_BEFORE_USE);
	return next()->process_madvise(fd, parts, count, advice, flags);
}

/* Pages that a pipe holds must not serve while it does: a fresh mapping, when
 * they are freed, leaves them to the pipe. */
EXPORT ssize_t vmsplice(int fd, const struct iovec *parts, size_t count,
			unsigned flags)
{
	remap_parts_later(parts, count, REMAP_ON_FREE);
	return next()->vmsplice(fd, parts, count, flags);
}

/* A range of the arena, in whole pages already. */
static bool is_whole(uintptr_t addr, size_t len, struct region *r)
{
	return region_of((const void *)addr, len, r) && r->len == len &&
	       arena_touches(*r);
}

/* How much of a range gets a name: nothing of live memory of the arena, since
 * that would keep the range apart from its neighbours for ever; the kernel
 * checks the rest. */
static size_t named(uintptr_t addr, size_t len)
{
	struct region r;

	process_enter();
	if (!is_whole(addr, whole_pages(len), &r))
		return len;
	if (arena_is_live(r))
		return 0;
	arena_remap_later(r, REMAP_BEFORE_USE);
	return len;
}

/* The faults in a range are to be handled by the program, which expects that
 * pages it has not touched are absent. */
static void expect_faults(const struct uffdio_register *want)
{
	struct region r;

	process_enter();
	if (!is_whole(want->range.start, want->range.len, &r))
		return;
	if (want->mode & UFFDIO_REGISTER_MODE_MISSING && sys_single_threaded())
		arena_empty_zeros(r);
	arena_remap_later(r, REMAP_BEFORE_USE);
}

/* A program that wants to handle page faults: the kernel looks at 32 bits of
 * the request. */
EXPORT int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if ((uint32_t)request == UFFDIO_API)
		arena_serve_absent();
	else if ((uint32_t)request == UFFDIO_REGISTER && arg)
		expect_faults(arg);
	return next()->ioctl(fd, request, arg);
}

/* Sandboxes, which may know nothing of the library's system calls, and names
 * for ranges. */
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
	return next()->prctl(option, a[0], a[1], a[2], a[3]);
}

/* What memory may be used for from now on. */
EXPORT int personality(unsigned long persona)
{
	int before = next()->personality(persona);

	if (before != -1)
		personality_changed(persona);
	return before;
}
