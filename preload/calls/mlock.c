/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/calls/mlock.h"

#include "preload/arena/arena.h"
#include "preload/sys/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

/* Where the linker has put this library. */
extern char __ehdr_start[] __attribute__((visibility("hidden")));
extern char _end[] __attribute__((visibility("hidden")));

enum { OWN = 2 };
struct visit {
	struct arena_range own[OWN];
	size_t flags; /* of mlock2 */
	bool locks; /* or counts only */
	size_t total;
};

static struct visit visit(bool locks, int flags)
{
	uintptr_t start = (uintptr_t)__ehdr_start, mask = sys_page_size() - 1;
	struct visit v = {
		.own = { arena_data,
			 { start,
			   (((uintptr_t)_end + mask) & ~mask) - start } },
		.flags = flags & MCL_ONFAULT ? MLOCK_ONFAULT : 0,
		.locks = locks,
	};
	return v;
}

static void visit_part(struct visit *v, uintptr_t from, size_t len)
{
	v->total += len;
	if (!v->locks)
		return;
	if (v->flags)
		sys_mlock2((void *)from, len, (unsigned)v->flags);
	else
		sys_mlock((void *)from, len);
}

/* Without those of our own that are `left`, and free memory of the arena. */
static void visit_mapping(struct visit *v, uintptr_t from, uintptr_t to,
			  unsigned left)
{
	struct arena_part part;

	if (from < to && left--) {
		uintptr_t own = v->own[left].base;
		uintptr_t end = own + v->own[left].bytes;

		visit_mapping(v, from, to < own ? to : own, left);
		visit_mapping(v, from > end ? from : end, to, left);
		return;
	}
	for (; from < to; from += part.len) {
		part = arena_part(from, to);
		if (part.kind != PART_HOLE)
			visit_part(v, from, part.len);
	}
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
		failed = sys_mlockall(flags & ~MCL_CURRENT);
	else
		failed = sys_call(SYS_munlockall, 0, 0, 0, 0, 0, 0);
	if (!failed && !visit_all(&locks))
		failed = -ENOMEM;
	return failed;
}

long lock_all(int flags)
{
	long failed = sys_mlockall(flags);

	if (failed != -ENOMEM || !(flags & MCL_CURRENT) || sandboxed() ||
	    !is_within_limit())
		return failed;
	return lock_each(flags);
}
