/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * mlock and mlockall. mlockall is to lock what is the program's, and not to
 * populate what no one uses of the arena. The kernel compares all that is
 * mapped with the limit on locked memory, and with it the allocator's data,
 * this library, and free memory of the arena. When it refuses, the rest is
 * compared here, and locked mapping by mapping, by /proc/self/maps; what other
 * threads map meanwhile may be locked or not.
 */
#include "preload/calls/calls.h"
#include "preload/calls/range.h"
#include "preload/sys/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

/* ------------------------------------------------------------------------ */
/* A range                                                                   */

/* Pages that the range touches: as the kernel rounds for locks. If it fails
 * because of a hole, what is before that is locked, and not populated. */
static int lock_range(long number, const void *addr, size_t len, long flags,
		      bool locks)
{
	uintptr_t start = page_of(addr);
	struct range_call call = {
		.number = number,
		.args = { flags },
		.addr = (const void *)start,
		.len = len + ((uintptr_t)addr - start),
		.alters = locks,
		.hole_error = ENOMEM,
	};

	if (locks && range_meets_hole(&call)) {
		call.number = SYS_mlock2;
		call.args[0] |= MLOCK_ONFAULT;
	}
	return range_result(&call);
}

EXPORT int mlock(const void *addr, size_t len)
{
	return lock_range(SYS_mlock, addr, len, 0, true);
}

EXPORT int mlock2(const void *addr, size_t len, unsigned flags)
{
	return lock_range(SYS_mlock2, addr, len, flags, true);
}

EXPORT int munlock(const void *addr, size_t len)
{
	return lock_range(SYS_munlock, addr, len, 0, false);
}

/* ------------------------------------------------------------------------ */
/* All mappings                                                              */

/* Where the linker has put this library. */
extern char __ehdr_start[] __attribute__((visibility("hidden")));
extern char _end[] __attribute__((visibility("hidden")));

enum { OWN = 3 };
struct visit {
	struct region own[OWN]; /* left out, as free memory of the arena is */
	size_t flags; /* of mlock2 */
	bool locks; /* or counts only */
	size_t total;
};

static struct visit visit(bool locks, int flags)
{
	uintptr_t start = (uintptr_t)__ehdr_start;
	struct visit v = {
		.own = { arena_data,
			 { start, whole_pages((uintptr_t)_end - start) },
			 { page_of(process_generation), sys_page_size() } },
		.flags = flags & MCL_ONFAULT ? MLOCK_ONFAULT : 0,
		.locks = locks,
	};

	return v;
}

static void visit_part(struct visit *v, struct region r)
{
	v->total += r.len;
	if (!v->locks)
		return;
	if (v->flags)
		sys_call(SYS_mlock2, (long)r.start, (long)r.len, (long)v->flags,
			 0, 0, 0);
	else
		sys_call(SYS_mlock, (long)r.start, (long)r.len, 0, 0, 0, 0);
}

/* Without the `left` last regions of `own`, and free memory of the arena. */
static void visit_mapping(struct visit *v, uintptr_t from, uintptr_t to,
			  unsigned left)
{
	if (from >= to)
		return;
	if (left--) {
		uintptr_t own = v->own[left].start;
		uintptr_t end = region_end(v->own[left]);

		visit_mapping(v, from, to < own ? to : own, left);
		visit_mapping(v, from > end ? from : end, to, left);
		return;
	}
	for_each_part(part, region(from, to - from))
		if (part.kind != PART_HOLE)
			visit_part(v, part.region);
}

/* A line begins "from-to ", in hexadecimal digits. */
struct line {
	uintptr_t numbers[2];
	unsigned number; /* that comes now; 2: none in this line any more */
};

static void read_digit(struct line *line, char c)
{
	unsigned digit = c <= '9' ? (unsigned)(c - '0')
				  : (unsigned)(c - 'a' + 10);

	line->numbers[line->number] = line->numbers[line->number] * 16 + digit;
}

static void read_char(struct visit *v, struct line *line, char c)
{
	if (c == '\n') {
		*line = (struct line){ { 0, 0 }, 0 };
	} else if (line->number < 2) {
		if (c != '-' && c != ' ')
			read_digit(line, c);
		/* What is in the upper half is the kernel's. */
		else if (++line->number == 2 &&
			 line->numbers[1] <= (uintptr_t)INTPTR_MAX)
			visit_mapping(v, line->numbers[0], line->numbers[1],
				      OWN);
	}
}

static bool visit_all(struct visit *v)
{
	int fd = (int)sys_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	struct line line = { { 0, 0 }, 0 };
	char text[2048];
	long n = -1;

	if (fd < 0)
		return false;
	while ((n = sys_read(fd, text, sizeof(text))) > 0)
		for (long i = 0; i < n; i++)
			read_char(v, &line, text[i]);
	sys_close(fd);
	return n == 0;
}

static long lock_by_kernel(int flags)
{
	return sys_call(SYS_mlockall, flags, 0, 0, 0, 0, 0);
}

static long unlock_by_kernel(void)
{
	return sys_call(SYS_munlockall, 0, 0, 0, 0, 0, 0);
}

static bool is_within_limit(void)
{
	struct rlimit limit = { 0, 0 };
	struct visit count = visit(false, 0);

	return !sys_prlimit(RLIMIT_MEMLOCK, &limit) && visit_all(&count) &&
	       count.total <= limit.rlim_cur;
}

static long lock_each(int flags)
{
	struct visit locks = visit(true, flags);
	long failed;

	if (flags & MCL_FUTURE)
		failed = lock_by_kernel(flags & ~MCL_CURRENT);
	else
		failed = unlock_by_kernel();
	if (!failed && !visit_all(&locks))
		failed = -ENOMEM;
	return failed;
}

static long lock_all(int flags)
{
	long failed = lock_by_kernel(flags);

	if (failed != -ENOMEM || !(flags & MCL_CURRENT) || sandboxed() ||
	    !is_within_limit())
		return failed;
	return lock_each(flags);
}

/* What is mapped from now on would be locked, and with it what no one uses of
 * the arena: the arena stays as it is meanwhile. */
EXPORT int mlockall(int flags)
{
	bool future = flags & MCL_FUTURE, before;
	long failed;

	process_enter();
	before = future && arena_lock_all(true);
	arena_close_free();
	failed = lock_all(flags);
	if (future ? failed : !failed)
		arena_lock_all(before);
	if (!failed && flags & MCL_CURRENT)
		arena_locked();
	return (int)sys_result(failed);
}

EXPORT int munlockall(void)
{
	long failed;

	process_enter();
	failed = unlock_by_kernel();
	if (!failed)
		arena_lock_all(false);
	return (int)sys_result(failed);
}
