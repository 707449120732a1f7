/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/calls/brk.h"

#include "preload/arena/arena.h"
#include "preload/sys/sys.h"

#include <sys/resource.h>

/* Bytes in the heap; changes by compare-and-swap only. Whoever grows it has
 * the frames before, whoever shrinks it frees them after. */
static size_t heap_bytes;

static size_t whole_pages(size_t bytes)
{
	size_t mask = sys_page_size() - 1;

	return (bytes + mask) & ~mask;
}

static bool change(size_t from, size_t to)
{
	return __atomic_compare_exchange_n(&heap_bytes, &from, to, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* The kernel counts whole trees only. In a sandbox that has to do. */
static bool is_allowed(size_t bytes)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	if (!sandboxed())
		sys_prlimit(RLIMIT_DATA, &limit);
	return bytes <= limit.rlim_cur;
}

static void drop(size_t from, size_t to)
{
	size_t first = whole_pages(from), end = whole_pages(to);

	if (first < end)
		arena_free(arena_heap_zone.base + first, end - first,
			   LEAVE_DIRTY);
}

static bool grow(size_t from, size_t to)
{
	size_t first = whole_pages(from), end = whole_pages(to);

	if (!is_allowed(to))
		return false;
	if (first < end &&
	    !arena_get_at(arena_heap_zone.base + first, end - first))
		return false;
	if (change(from, to))
		return true;
	drop(from, to);
	return false;
}

static bool shrink(size_t from, size_t to)
{
	if (!change(from, to))
		return false;
	drop(to, from);
	return true;
}

uintptr_t brk_move(uintptr_t addr)
{
	size_t from = __atomic_load_n(&heap_bytes, __ATOMIC_ACQUIRE);
	size_t to = addr - arena_heap_zone.base;

	if (addr >= arena_heap_zone.base && to <= arena_heap_zone.bytes &&
	    (to > from ? grow(from, to) : shrink(from, to)))
		from = to;
	return arena_heap_zone.base + from;
}
