/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What becomes of a call:
 *
 *	bad arguments		the kernel says what is wrong
 *	MREMAP_FIXED, _DONTUNMAP, or old length 0
 *				the kernel moves it, to where the caller says
 *	gets shorter		the tail is unmapped
 *	gets longer, plain	in place, when the frames behind are free; else to
 *				other frames of the arena, by page tables or by
 *				copying; else out of the arena
 *	gets longer, altered	the kernel does it: in place, in room that the
 *				arena makes; else elsewhere
 *
 * Plain memory is as the arena mapped it; altered memory has protection, advice
 * or a lock of the program's, which only the kernel can move along.
 *
 * The kernel moves one mapping (VMA) at a time, but a region of the program's
 * may be several because of the arena: then each is moved by itself, and moved
 * back when one cannot. Before the kernel maps something over the arena these
 * frames are detached, and what it takes away from the arena is reclaimed.
 */
#include "preload/calls/mremap.h"

#include "preload/arena/arena.h"
#include "preload/sys/compat.h"

#include <errno.h>

#define KNOWN_FLAGS (MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)
#define TO_PLACE (MREMAP_MAYMOVE | MREMAP_FIXED)
#define STAYS (MREMAP_MAYMOVE | MREMAP_DONTUNMAP)

/* From this length on moving the page tables beats copying: 0.25 us a page
 * against 0.1 (warm) to 1.3 (fresh) measured, and it needs no second copy. */
#define TABLES_FROM ((size_t)128 << 10)
/* Copied, what is in more VMAs becomes one. */
#define TABLES_VMAS_MOST 8u

/* No address space has room for more, unless it is asked for. */
#define ROOM ((size_t)1 << 48)

static struct region target(const struct mremap_call *c)
{
	return region(c->to, c->new_len);
}

/* Of a region that gets longer, what comes behind; of one that gets shorter,
 * what goes. */
static struct region behind(const struct mremap_call *c)
{
	return region(region_end(c->old), c->new_len - c->old.len);
}

static struct region tail(const struct mremap_call *c)
{
	return region_from(c->old, c->old.start + c->new_len);
}

bool mremap_concerns_arena(const struct mremap_call *c)
{
	struct region first = region(c->old.start, c->old.len ? c->old.len : 1);

	return arena_touches(first) ||
	       (c->flags & MREMAP_FIXED && arena_touches(target(c)));
}

static bool do_overlap(struct region a, struct region b)
{
	return a.start < region_end(b) && b.start < region_end(a);
}

/* What the kernel refuses whatever is mapped where. */
static bool is_refused(const struct mremap_call *c)
{
	int flags = c->flags;

	if (flags & ~KNOWN_FLAGS || !is_page_aligned(c->old.start) ||
	    !c->new_len || c->new_len > ROOM ||
	    region_end(c->old) < c->old.start)
		return true;
	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) &&
	    !(flags & MREMAP_MAYMOVE))
		return true;
	if (flags & MREMAP_DONTUNMAP && c->old.len != c->new_len)
		return true;
	return flags & MREMAP_FIXED &&
	       (!is_page_aligned(c->to) || region_end(target(c)) < c->to ||
		do_overlap(c->old, target(c)));
}

static long remap(struct region old, size_t new_len, int flags, uintptr_t to)
{
	return arena_kernel()->mremap((void *)old.start, old.len, new_len,
				      flags, (void *)to);
}

static long map_new(uintptr_t addr, size_t len, int flags)
{
	return arena_kernel()->mmap((void *)addr, len, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static long by_kernel(const struct mremap_call *c)
{
	return remap(c->old, c->new_len, c->flags, c->to);
}

/* Nothing in the region is free memory of the arena. */
static bool is_mapped(struct region r)
{
	for_each_part(part, r)
		if (part.kind == PART_HOLE)
			return false;
	return true;
}

/* ------------------------------------------------------------------------ */
/* VMAs                                                                      */

static bool is_divided(struct region r)
{
	return r.len && arena_vma(r).len < r.len;
}

/* Whether the kernel has one mapping there: it looks at that before it finds
 * that the stack is in the way of one that is too long. */
static bool is_vma(struct region r)
{
	size_t too_long = sys_stack() + sys_page_size() - r.start;

	return remap(r, too_long, 0, 0) != -EFAULT;
}

/* Whether the VMAs that are known are those that the kernel has. */
static bool are_vmas(struct region r)
{
	for_each_vma(vma, r)
		if (!is_vma(vma))
			return false;
	return true;
}

/* The part of `old` that lies at `vma` would lie there in the new place. */
static uintptr_t place_of(const struct mremap_call *c, struct region vma)
{
	return c->to + (vma.start - c->old.start);
}

static void move_back(const struct mremap_call *c, uintptr_t end)
{
	struct region moved = region(c->old.start, end - c->old.start);

	for_each_vma(vma, moved)
		remap(region(place_of(c, vma), vma.len), vma.len, TO_PLACE,
		      vma.start);
}

/* To c->to, what the kernel does not move as one: VMA by VMA, the last of which
 * grows. */
static long move_vmas(const struct mremap_call *c)
{
	uintptr_t end = region_end(c->old);

	for_each_vma(vma, c->old) {
		uintptr_t to = place_of(c, vma);
		size_t new_len = region_end(vma) < end
					 ? vma.len
					 : c->new_len - (to - c->to);
		long at = remap(vma, new_len, c->flags, to);

		if (sys_failed(at)) {
			move_back(c, vma.start);
			return at;
		}
	}
	for_each_vma(vma, c->old)
		arena_vma_starts(place_of(c, vma));
	return (long)c->to;
}

/* ------------------------------------------------------------------------ */
/* Contents                                                                  */

static void copy(uintptr_t to, struct region from)
{
	__builtin_memcpy((void *)to, (const void *)from.start, from.len);
}

/* Copy to clean memory, where zeros need no page. */
static void copy_sparse(uintptr_t to, struct region from)
{
	size_t page = sys_page_size();

	for (size_t at = 0; at < from.len; at += page)
		if (!is_zero((const void *)(from.start + at), page))
			copy(to + at, region(from.start + at, page));
}

/*
 * All pages get to c->to, clean memory of the arena, VMA by VMA. Or none, when
 * the kernel has no memory: then c->to may be mapped no more, and what was
 * moved is copied back to where it was, which still is mapped.
 */
static bool move_tables(const struct mremap_call *c)
{
	for_each_vma(vma, c->old) {
		uintptr_t to = place_of(c, vma);

		if (remap(vma, vma.len, TO_PLACE | MREMAP_DONTUNMAP, to) !=
		    (long)to) {
			copy(c->old.start,
			     region(c->to, vma.start - c->old.start));
			return false;
		}
		arena_vma_starts(to);
	}
	arena_vma_starts(c->to + c->old.len);
	arena_remap_later(region(c->to, c->old.len), REMAP_ON_FREE);
	return true;
}

static bool pays_by_tables(const struct mremap_call *c)
{
	size_t vmas = 0;

	if (c->old.len < TABLES_FROM)
		return false;
	for_each_vma(vma, c->old)
		if (++vmas > TABLES_VMAS_MOST)
			return false;
	return true;
}

/* ------------------------------------------------------------------------ */
/* Moving by the kernel                                                      */

/* Plain memory that the kernel keeps apart is not even tried: before the kernel
 * says so, some versions unmap the place to move to, which then is free for
 * all. */
static bool must_copy_out(const struct mremap_call *c)
{
	return c->old.len && arena_is_plain(c->old) &&
	       !arena_kernel()->madvise((void *)c->old.start, c->old.len,
					MADV_NORMAL) &&
	       !is_vma(c->old);
}

/* To memory that is the kernel's. */
static long copy_out(const struct mremap_call *c)
{
	long at = map_new(c->to, c->new_len,
			  c->flags & MREMAP_FIXED ? MAP_FIXED : 0);

	if (sys_failed(at))
		return at;
	copy_sparse((uintptr_t)at, c->old);
	if (c->flags & MREMAP_DONTUNMAP)
		arena_kernel()->madvise((void *)c->old.start, c->old.len,
					MADV_DONTNEED);
	else
		arena_free(c->old, LEAVE_DIRTY);
	return at;
}

static bool must_move_vmas(const struct mremap_call *c)
{
	return (c->flags & TO_PLACE) == TO_PLACE && is_divided(c->old) &&
	       !is_vma(c->old) && are_vmas(c->old);
}

static long move_by_kernel(const struct mremap_call *c)
{
	struct region looked_at = c->old;
	struct arena_detached detached = { .count = 0 };
	bool copies = must_copy_out(c);
	long at;

	looked_at.len = looked_at.len ? looked_at.len : sys_page_size();
	if (!is_mapped(looked_at))
		return -EFAULT;
	if (c->flags & MREMAP_FIXED && !c->own)
		detached = arena_detach(target(c));
	if (copies)
		at = copy_out(c);
	else
		at = must_move_vmas(c) ? move_vmas(c) : by_kernel(c);
	if (sys_failed(at) && !c->own)
		arena_reattach(&detached, true);
	/* Then what it was copied from is free. */
	if (copies)
		return at;
	if (!sys_failed(at))
		arena_detach(region((uintptr_t)at, c->new_len));
	/* Also when it failed midway. */
	if ((uintptr_t)at != c->old.start && !(c->flags & MREMAP_DONTUNMAP))
		arena_reclaim_unmapped(c->old);
	return at;
}

/*
 * Out of the arena. To a place that the kernel has agreed to: memory of the
 * arena is not accounted for (MAP_NORESERVE), so the kernel would not say no in
 * time.
 */
static long move_out(const struct mremap_call *c)
{
	struct mremap_call out = *c;
	long at = map_new(0, c->new_len, 0);

	if (sys_failed(at))
		return at;
	out.to = (uintptr_t)at;
	out.flags |= MREMAP_FIXED;
	at = move_by_kernel(&out);
	if (sys_failed(at))
		arena_kernel()->munmap((void *)out.to, out.new_len);
	return at;
}

/* VMAs need a place to go to. */
static long move_whole(const struct mremap_call *c)
{
	long at = move_by_kernel(c);

	if (at != -EFAULT || c->flags != STAYS || !is_divided(c->old) ||
	    !are_vmas(c->old))
		return at;
	return move_out(c);
}

static long unmap_tail(const struct mremap_call *c)
{
	struct arena_tally tally = { 0, 0 };

	return c->new_len < c->old.len ? arena_unmap(tail(c), &tally) : 0;
}

/* Where the caller says. Memory of the arena that gets shorter is moved as far
 * as it stays; behind that may be anything, also nothing. That is unmapped
 * last: nothing is lost by a failure. */
static long move_elsewhere(const struct mremap_call *c)
{
	struct mremap_call head = *c;
	long at;

	if (c->new_len >= c->old.len || !arena_touches(c->old))
		return move_whole(c);
	head.old.len = c->new_len;
	if (!are_vmas(head.old))
		return -EFAULT;
	at = move_by_kernel(&head);
	if (!sys_failed(at))
		unmap_tail(c);
	return at;
}

/* ------------------------------------------------------------------------ */
/* Shorter and longer                                                        */

static long shrink(const struct mremap_call *c)
{
	struct region page = region(c->old.start, sys_page_size());
	enum part_kind kind = arena_part(page).kind;
	long failed = 0;

	if (kind == PART_HOLE)
		return -EFAULT;
	if (kind == PART_KERNEL)
		failed = remap(page, page.len, 0, 0);
	if (!sys_failed(failed))
		failed = unmap_tail(c);
	return sys_failed(failed) ? failed : (long)c->old.start;
}

/* What the kernel may have unmapped is mapped again before it serves. */
static void give_up(struct region r)
{
	arena_remap_later(r, REMAP_BEFORE_USE);
	arena_free(r, LEAVE_DIRTY);
}

static enum reason get_room(const struct mremap_call *c, bool clean,
			    uintptr_t *to)
{
	if (c->new_len > c->max)
		return REASON_TOO_LARGE;
	return arena_get_for(c->new_len, c->old.len,
			     clean ? FILL_CLEAN : FILL_ANY, to);
}

/* To other frames of the arena, or out of it if there are none. */
static long relocate(const struct mremap_call *c, enum reason *why)
{
	struct mremap_call within = *c;
	bool tables = pays_by_tables(c);

	*why = get_room(c, tables, &within.to);
	if (*why == REASON_NONE && tables && !move_tables(&within)) {
		give_up(target(&within));
		tables = false;
		*why = get_room(c, tables, &within.to);
	}
	if (*why == REASON_MAX)
		return -ENOMEM;
	if (*why != REASON_NONE)
		return move_out(c);
	if (!tables)
		copy(within.to, c->old);
	arena_free(c->old, tables ? LEAVE_CLEAN : LEAVE_DIRTY);
	return (long)within.to;
}

/* What the kernel does not grow because it is divided: VMA by VMA, to other
 * frames of the arena, where the VMAs are known. */
static long grow_divided(const struct mremap_call *c)
{
	struct mremap_call within = *c;
	enum reason why;
	long at;

	within.flags |= MREMAP_FIXED;
	within.own = true;
	if (!is_divided(c->old) || !are_vmas(c->old))
		return -EFAULT;
	if (!(c->flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	why = arena_get_for(c->new_len, c->old.len, FILL_ANY, &within.to);
	if (why != REASON_NONE)
		return why == REASON_MAX ? -ENOMEM : move_out(c);
	at = move_by_kernel(&within);
	if (sys_failed(at))
		give_up(target(&within));
	return at;
}

/* There is room behind. Of what is divided the last VMA grows. */
static long grow_in_place(const struct mremap_call *c)
{
	struct region last = c->old;
	long at = remap(c->old, c->new_len, 0, 0);

	if (at != -EFAULT || !is_divided(c->old) || !are_vmas(c->old))
		return at;
	for_each_vma(vma, c->old)
		last = vma;
	at = remap(last, c->new_len - (last.start - c->old.start), 0, 0);
	return sys_failed(at) ? at : (long)c->old.start;
}

static long grow_by_kernel(const struct mremap_call *c)
{
	long at = move_by_kernel(c);

	return at == -EFAULT ? grow_divided(c) : at;
}

static long grow_altered(const struct mremap_call *c)
{
	struct region more = behind(c);
	long at = -ENOMEM;

	if (!arena_get_at(more))
		return grow_by_kernel(c);
	if (!arena_kernel()->munmap((void *)more.start, more.len))
		at = grow_in_place(c);
	if (!sys_failed(at)) {
		arena_remap_later(more, REMAP_BEFORE_USE);
		return at;
	}
	arena_reclaim_unmapped(more);
	return grow_by_kernel(c);
}

static long grow(const struct mremap_call *c, enum reason *why)
{
	if (!is_mapped(c->old))
		return -EFAULT;
	if (!arena_is_plain(c->old)) {
		*why = REASON_FIXED;
		return grow_altered(c);
	}
	if (c->new_len <= c->max && arena_get_at(behind(c)))
		return (long)c->old.start;
	return c->flags & MREMAP_MAYMOVE ? relocate(c, why) : -ENOMEM;
}

long mremap_region(const struct mremap_call *c, enum reason *why)
{
	*why = REASON_NONE;
	if (is_refused(c)) {
		*why = REASON_INVALID;
		return by_kernel(c);
	}
	if (c->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) || !c->old.len) {
		*why = REASON_FIXED;
		return move_elsewhere(c);
	}
	return c->new_len <= c->old.len ? shrink(c) : grow(c, why);
}
