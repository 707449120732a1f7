/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/calls/range.h"

#include "preload/arena/arena.h"
#include "preload/sys/sys.h"

#include <errno.h>
#include <sys/mman.h>

/* Newer than some C libraries. */
#define ADVICE_POPULATE_READ 22
#define ADVICE_POPULATE_WRITE 23
#define ADVICE_DONTNEED_LOCKED 24
#define ADVICE_COLLAPSE 25

static long call(const struct alter *a, uintptr_t addr, size_t len)
{
	long first = a->args[0];

	/* One byte a page is asked for. */
	if (a->number == SYS_mincore && addr - a->addr < a->len)
		first += (long)((addr - a->addr) / sys_page_size());
	return sys_call(a->number, (long)addr, (long)len, first, a->args[1],
			a->args[2], a->args[3]);
}

/* The longest part from `at` on in which all is, or all is not, a hole. */
static struct arena_part stretch(uintptr_t at, uintptr_t end)
{
	struct arena_part part = arena_part(at, end);
	bool hole = part.kind == PART_HOLE;

	while (at + part.len < end) {
		struct arena_part next = arena_part(at + part.len, end);

		if ((next.kind == PART_HOLE) != hole)
			break;
		part.len += next.len;
	}
	return part;
}

/* What the kernel says of the arguments, at an address where nothing is. */
static long on_hole(const struct alter *a)
{
	size_t page = sys_page_size();
	long failed = call(a, (uintptr_t)0 - 2 * page, page);

	return failed ? failed : -a->hole_error;
}

static long part_of(const struct alter *a, const struct arena_part *part)
{
	long result;

	if (part->kind == PART_HOLE)
		return part->start == a->addr ? on_hole(a) : -a->hole_error;
	if (!a->alters)
		return call(a, part->start, part->len);
	arena_alter(part->start, part->len, MARK_REMAP_BEFORE_USE);
	result = call(a, part->start, part->len);
	arena_alter(part->start, part->len, MARK_REMAP_BEFORE_USE);
	return result;
}

long alter_range(const struct alter *a)
{
	uintptr_t end = a->addr + a->len;
	size_t mask = sys_page_size() - 1;
	struct arena_part part;
	long result = a->holes == HOLES_PASS ? -a->hole_error : 0;

	if (!arena_touches(a->addr, a->len) || (a->addr | end) & mask ||
	    end < a->addr)
		return call(a, a->addr, a->len);
	for (uintptr_t at = a->addr; at < end; at += part.len) {
		long failed;

		part = stretch(at, end);
		failed = part_of(a, &part);
		if (failed &&
		    (a->holes == HOLES_END || failed != -a->hole_error))
			return failed;
		if (!failed == (a->holes == HOLES_PASS))
			result = failed;
	}
	return result;
}

bool alter_meets_hole(const struct alter *a)
{
	uintptr_t end = a->addr + a->len;
	struct arena_part part;

	if (!arena_touches(a->addr, a->len) || end < a->addr)
		return false;
	for (uintptr_t at = a->addr; at < end; at += part.len) {
		part = arena_part(at, end);
		if (part.kind == PART_HOLE)
			return true;
	}
	return false;
}

bool alter_by_advice(int advice)
{
	switch (advice) {
	case MADV_NORMAL:
	case MADV_WILLNEED:
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_REMOVE:
	case MADV_DOFORK:
	case MADV_UNMERGEABLE:
	case MADV_DODUMP:
	case MADV_KEEPONFORK:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case ADVICE_POPULATE_READ:
	case ADVICE_POPULATE_WRITE:
	case ADVICE_DONTNEED_LOCKED:
	case ADVICE_COLLAPSE:
		return false;
	default:
		return true;
	}
}

enum alter_holes alter_holes(int advice)
{
	return advice == ADVICE_POPULATE_READ || advice == ADVICE_POPULATE_WRITE
		       ? HOLES_END
		       : HOLES_FAIL;
}
