/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/calls/range.h"

#include "preload/calls/calls.h"
#include "preload/calls/entries.h"
#include "preload/sys/personality.h"

#include <errno.h>

/* ------------------------------------------------------------------------ */
/* One call, part by part                                                    */

static long call_kernel(const struct range_call *c, uintptr_t addr, size_t len)
{
	long first = c->args[0];

	/* One byte a page is asked for. */
	if (c->number == SYS_mincore && addr - (uintptr_t)c->addr < c->len)
		first += (long)((addr - (uintptr_t)c->addr) / sys_page_size());
	return sys_call(c->number, (long)addr, (long)len, first, c->args[1],
			c->args[2], c->args[3]);
}

/* The first part of the region in which all is, or all is not, a hole. */
static struct arena_part first_stretch(struct region r)
{
	struct arena_part stretch = arena_part(r);
	bool hole = stretch.kind == PART_HOLE;
	struct region rest = region_from(r, region_end(stretch.region));

	for_each_part(part, rest) {
		if ((part.kind == PART_HOLE) != hole)
			break;
		stretch.region.len += part.region.len;
	}
	return stretch;
}

/* What the kernel says of the arguments, at an address where nothing is. */
static long call_on_hole(const struct range_call *c)
{
	size_t page = sys_page_size();
	long failed = call_kernel(c, (uintptr_t)0 - 2 * page, page);

	return failed ? failed : -c->hole_error;
}

static long call_on(const struct range_call *c, const struct arena_part *part)
{
	struct region r = part->region;
	long result;

	if (part->kind == PART_HOLE)
		return r.start == (uintptr_t)c->addr ? call_on_hole(c)
						     : -c->hole_error;
	if (c->alters)
		arena_remap_later(r, REMAP_BEFORE_USE);
	result = call_kernel(c, r.start, r.len);
	if (c->alters)
		arena_remap_later(r, REMAP_BEFORE_USE);
	return result;
}

long range_call(const struct range_call *c)
{
	struct arena_part part;
	struct region r;
	long result = c->holes == HOLES_PASS ? -c->hole_error : 0;

	process_enter();
	if (!region_of(c->addr, c->len, &r) || !arena_touches(r))
		return call_kernel(c, (uintptr_t)c->addr, c->len);
	for (; r.len; r = region_from(r, region_end(part.region))) {
		long failed;

		part = first_stretch(r);
		failed = call_on(c, &part);
		if (failed &&
		    (c->holes == HOLES_END || failed != -c->hole_error))
			return failed;
		if (!failed == (c->holes == HOLES_PASS))
			result = failed;
	}
	return result;
}

int range_result(const struct range_call *c)
{
	return (int)sys_result(range_call(c));
}

bool range_meets_hole(const struct range_call *c)
{
	struct region r;

	if (!region_of(c->addr, c->len, &r) || !arena_touches(r))
		return false;
	for_each_part(part, r)
		if (part.kind == PART_HOLE)
			return true;
	return false;
}

/* ------------------------------------------------------------------------ */
/* Protection and advice                                                     */

EXPORT int mprotect(void *addr, size_t len, int prot)
{
	struct range_call call = {
		.number = SYS_mprotect,
		.args = { prot },
		.addr = addr,
		.len = len,
		.alters = personality_protection(prot) !=
			  (PROT_READ | PROT_WRITE),
		.hole_error = ENOMEM,
	};

	process_enter();
	stats_count(STAT_MPROTECT, 1);
	return range_result(&call);
}

EXPORT int pkey_mprotect(void *addr, size_t len, int prot, int pkey)
{
	struct range_call call = {
		.number = SYS_pkey_mprotect,
		.args = { prot, pkey },
		.addr = addr,
		.len = len,
		.alters = true,
		.hole_error = ENOMEM,
	};

	if (pkey == -1)
		return mprotect(addr, len, prot);
	process_enter();
	stats_count(STAT_MPROTECT, 1);
	return range_result(&call);
}

bool range_advice_alters(int advice)
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
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
	case MADV_DONTNEED_LOCKED:
	case MADV_COLLAPSE:
		return false;
	default:
		return true;
	}
}

static long advise(void *addr, size_t len, int advice)
{
	bool populates = advice == MADV_POPULATE_READ ||
			 advice == MADV_POPULATE_WRITE;
	struct range_call call = {
		.number = SYS_madvise,
		.args = { advice },
		.addr = addr,
		.len = len,
		.alters = range_advice_alters(advice),
		.holes = populates ? HOLES_END : HOLES_FAIL,
		.hole_error = ENOMEM,
	};

	process_enter();
	stats_count(STAT_MADVISE, 1);
	return range_call(&call);
}

EXPORT int madvise(void *addr, size_t len, int advice)
{
	return (int)sys_result(advise(addr, len, advice));
}

/* Returns the error; POSIX_MADV_DONTNEED must not lose contents. */
EXPORT int posix_madvise(void *addr, size_t len, int advice)
{
	if (advice == POSIX_MADV_DONTNEED)
		return 0;
	return (int)-advise(addr, len, advice);
}

EXPORT long mbind(void *addr, unsigned long len, int mode,
		  const unsigned long *nodes, unsigned long max, unsigned flags)
{
	struct range_call call = {
		.number = SYS_mbind,
		.args = { mode, (long)nodes, (long)max, flags },
		.addr = addr,
		.len = len,
		.alters = true,
		.holes = mode == MPOL_DEFAULT ? HOLES_PASS : HOLES_END,
		.hole_error = EFAULT,
	};

	return range_result(&call);
}

/* All or nothing. */
EXPORT int remap_file_pages(void *addr, size_t len, int prot, size_t page,
			    int flags)
{
	struct range_call call = {
		.number = SYS_remap_file_pages,
		.args = { prot, (long)page, flags },
		.addr = addr,
		.len = len,
		.alters = true,
		.hole_error = EINVAL,
	};

	if (range_meets_hole(&call))
		return (int)sys_result(-EINVAL);
	return range_result(&call);
}

/* All or nothing. What is sealed can be neither mapped over nor unmapped, nor
 * does it serve again: the kernel refuses each call that would do so. */
EXPORT int mseal(void *addr, size_t len, unsigned long flags)
{
	struct range_call call = {
		.number = SYS_mseal,
		.args = { (long)flags },
		.addr = addr,
		.len = len,
		.alters = true,
		.hole_error = ENOMEM,
	};

	if (range_meets_hole(&call))
		return (int)sys_result(-ENOMEM);
	return range_result(&call);
}

/* ------------------------------------------------------------------------ */
/* Asking, and writing back                                                  */

EXPORT int mincore(void *addr, size_t len, unsigned char *vec)
{
	struct range_call call = {
		.number = SYS_mincore,
		.args = { (long)vec },
		.addr = addr,
		.len = len,
		.hole_error = ENOMEM,
	};

	return range_result(&call);
}

EXPORT int msync(void *addr, size_t len, int flags)
{
	struct range_call call = {
		.number = SYS_msync,
		.args = { flags },
		.addr = addr,
		.len = len,
		.holes = HOLES_FAIL,
		.hole_error = ENOMEM,
	};

	return range_result(&call);
}
