/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/calls/brk.h"

#include "preload/calls/calls.h"
#include "preload/sys/personality.h"
#include "preload/sys/sandbox.h"

#include <errno.h>
#include <sys/resource.h>

/* Bytes in the heap; changes by compare-and-swap only. A thread that grows it
 * has the frames before, one that shrinks it frees them after. */
static size_t heap_bytes;

static bool change(size_t from, size_t to)
{
	return atom_cas(&heap_bytes, &from, to);
}

/* The kernel counts whole trees only. In a sandbox that has to do. */
static bool is_allowed(size_t bytes)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	if (!sandboxed())
		sys_prlimit(RLIMIT_DATA, &limit);
	return bytes <= limit.rlim_cur;
}

/* The pages of the heap from one length to another. */
static struct region pages_between(size_t from, size_t to)
{
	size_t first = whole_pages(from), end = whole_pages(to);

	return region(arena_heap_zone.start + first, end - first);
}

static void drop(size_t from, size_t to)
{
	struct region pages = pages_between(from, to);

	if (pages.len)
		arena_free(pages, LEAVE_DIRTY);
}

static bool grow(size_t from, size_t to)
{
	struct region pages = pages_between(from, to);

	if (!is_allowed(to) || (pages.len && !arena_get_at(pages)))
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
	size_t from = atom_load_acquire(&heap_bytes);
	size_t to = addr - arena_heap_zone.start;

	if (addr >= arena_heap_zone.start && to <= arena_heap_zone.len &&
	    (to > from ? grow(from, to) : shrink(from, to)))
		from = to;
	return arena_heap_zone.start + from;
}

/* Where libc keeps the break, NULL until its first call of brk. */
extern void *__curbrk __attribute__((weak));

/* What is there already cannot move, and malloc takes two places for a
 * mistake. */
const char *brk_refused(bool wanted)
{
	if (!wanted)
		return "not wanted";
	if (!&__curbrk)
		return "libc does not say where it is";
	if (__curbrk)
		return "in use before us";
	return personality_places_heap() ? "its place is behind the program"
					 : NULL;
}

static bool is_taken;

void brk_take(bool taken)
{
	is_taken = taken;
}

bool brk_is_taken(void)
{
	return is_taken;
}

/* The heap behind `before` is new: the kernel makes executable what may be
 * read. */
static void make_executable(uintptr_t before, uintptr_t now)
{
	struct region fresh = region(whole_pages(before), 0);

	if (!personality_executes() || now <= fresh.start)
		return;
	fresh.len = whole_pages(now - fresh.start);
	arena_remap_later(fresh, REMAP_BEFORE_USE);
	sys_mprotect((void *)fresh.start, fresh.len, PROT_READ | PROT_WRITE);
	arena_remap_later(fresh, REMAP_BEFORE_USE);
}

int brk_call(void *addr)
{
	uintptr_t want = (uintptr_t)addr, before, now;
	size_t more;

	process_enter();
	before = brk_move(0);
	now = brk_move(want);
	more = want > before ? want - before : 0;
	__curbrk = (void *)now;
	housekeeping_tick(more);
	if (now >= want) {
		make_executable(before, now);
		if (more)
			stats_served(STAT_BRK_SERVED, more);
		return 0;
	}
	stats_passed(STAT_BRK_PASSED, REASON_HEAP_FULL, more);
	errno = ENOMEM;
	return -1;
}
