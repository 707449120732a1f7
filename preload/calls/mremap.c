/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/calls/mremap.h"

#include "preload/arena/arena.h"
#include "preload/sys/sys.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define KNOWN_FLAGS (MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)
#define TABLES (MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)

/* From this length on moving the page tables beats copying: 0.25 us a page
 * against 0.1 (warm) to 1.3 (fresh) measured, and it needs no second copy. */
#define TABLES_FROM ((size_t)128 << 10)
#define PIECES_MOST 8u

int move_concerns_arena(const struct move *m)
{
	return arena_touches(m->old, m->old_len ? m->old_len : 1) ||
	       (m->flags & MREMAP_FIXED && arena_touches(m->fixed, m->new_len));
}

static bool overlap(const struct move *m)
{
	return m->old < m->fixed + m->new_len && m->fixed < m->old + m->old_len;
}

/* No address space has room for more, unless it is asked for. */
#define ROOM ((size_t)1 << 48)

/* What the kernel refuses whatever is mapped where. */
static bool is_refused(const struct move *m)
{
	int flags = m->flags;

	if (flags & ~KNOWN_FLAGS || m->old % m->page || !m->new_len ||
	    m->new_len > ROOM || m->old + m->old_len < m->old)
		return true;
	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) &&
	    !(flags & MREMAP_MAYMOVE))
		return true;
	if (flags & MREMAP_DONTUNMAP && m->old_len != m->new_len)
		return true;
	return flags & MREMAP_FIXED &&
	       (m->fixed % m->page || m->fixed + m->new_len < m->fixed ||
		overlap(m));
}

static long by_kernel(const struct move *m)
{
	return arena_kernel()->mremap((void *)m->old, m->old_len, m->new_len,
				      m->flags, (void *)m->fixed);
}

/* Nothing in the range is free memory of the arena. */
static bool is_mapped(uintptr_t addr, size_t len)
{
	struct arena_part part;

	for (uintptr_t at = addr; at < addr + len; at += part.len) {
		part = arena_part(at, addr + len);
		if (part.kind == PART_HOLE)
			return false;
	}
	return true;
}

/* ------------------------------------------------------------------------ */
/* Contents                                                                  */

static void copy(uintptr_t to, uintptr_t from, size_t len)
{
	__builtin_memcpy((void *)to, (const void *)from, len);
}

static bool is_zero(uintptr_t page, size_t len)
{
	const uint64_t *words = (const uint64_t *)page;

	for (size_t i = 0; i < len / sizeof(*words); i++)
		if (words[i])
			return false;
	return true;
}

/* Copies to clean memory, where zeros need no page. */
static void copy_rest(const struct move *m, uintptr_t to, size_t len)
{
	for (size_t at = 0; at < len; at += m->page)
		if (!is_zero(m->old + at, m->page))
			copy(to + at, m->old + at, m->page);
}

static bool move_table(uintptr_t from, size_t len, uintptr_t to)
{
	return arena_kernel()->mremap((void *)from, len, len, TABLES,
				      (void *)to) == (long)to;
}

/*
 * All pages get to `to`, clean memory of the arena, by the pieces that they are
 * in because of us. Or none, when the kernel has no memory: then `to` may be
 * mapped no more, and what was moved is copied back to where it was, which
 * still is.
 */
static bool move_tables(const struct move *m, uintptr_t to)
{
	uintptr_t end = m->old + m->old_len;
	size_t len;

	for (uintptr_t from = m->old; from < end; from += len) {
		size_t done = from - m->old;

		len = arena_vma_length(from, end - from);
		if (!move_table(from, len, to + done)) {
			copy(m->old, to, done);
			return false;
		}
		arena_vma_starts(to + done);
	}
	arena_vma_starts(to + m->old_len);
	arena_alter(to, m->old_len, MARK_REMAP_ON_FREE);
	return true;
}

/* Copied, what is in many pieces becomes one. */
static bool pays_by_tables(const struct move *m)
{
	uintptr_t end = m->old + m->old_len, from = m->old;

	if (m->old_len < TABLES_FROM)
		return false;
	for (size_t pieces = 0; pieces < PIECES_MOST && from < end; pieces++)
		from += arena_vma_length(from, end - from);
	return from >= end;
}

/* ------------------------------------------------------------------------ */
/* The kinds of moves                                                        */

/* To memory that is the kernel's, when the kernel cannot move it: it keeps
 * apart what to the program is one. */
static long copy_out(const struct move *m)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	long at;

	if (m->flags & MREMAP_FIXED)
		flags |= MAP_FIXED;
	at = arena_kernel()->mmap((void *)m->fixed, m->new_len,
				  PROT_READ | PROT_WRITE, flags, -1, 0);
	if (sys_failed(at))
		return at;
	copy_rest(m, (uintptr_t)at, m->old_len);
	if (m->flags & MREMAP_DONTUNMAP)
		arena_kernel()->madvise((void *)m->old, m->old_len,
					MADV_DONTNEED);
	else
		arena_free(m->old, m->old_len, LEAVE_DIRTY);
	return at;
}

/* Only plain memory, and only if nothing of it is on its way already. */
static bool may_copy_out(const struct move *m)
{
	return m->old_len &&
	       arena_is_live(m->old, m->old_len,
			     MARK_BIT(MARK_REMAP_BEFORE_USE)) &&
	       !arena_kernel()->madvise((void *)m->old, m->old_len,
					MADV_NORMAL);
}

#define TO_PLACE (MREMAP_MAYMOVE | MREMAP_FIXED)
#define STAYS (MREMAP_MAYMOVE | MREMAP_DONTUNMAP)

static long move_piece(uintptr_t from, size_t len, uintptr_t to, size_t new_len,
		       int flags)
{
	return arena_kernel()->mremap((void *)from, len, new_len, flags,
				      (void *)to);
}

/* Whether it is one mapping: the kernel looks at that before it finds that the
 * stack is in the way. */
static bool is_piece(uintptr_t from, size_t len)
{
	size_t too_long = sys_stack() + sys_page_size() - from;

	return arena_kernel()->mremap((void *)from, len, too_long, 0, NULL) !=
	       -EFAULT;
}

static bool are_pieces(const struct move *m)
{
	uintptr_t end = m->old + m->old_len;
	size_t len;

	for (uintptr_t from = m->old; from < end; from += len) {
		len = arena_vma_length(from, end - from);
		if (!is_piece(from, len))
			return false;
	}
	return true;
}

static void move_back(const struct move *m, uintptr_t end)
{
	size_t len;

	for (uintptr_t from = m->old; from < end; from += len) {
		len = arena_vma_length(from, end - from);
		move_piece(m->fixed + (from - m->old), len, from, len,
			   TO_PLACE);
	}
}

/*
 * To m->fixed, what the kernel does not move as one: by the pieces that it is
 * in because of us, the last of which grows.
 */
static long move_pieces(const struct move *m)
{
	uintptr_t end = m->old + m->old_len;
	size_t len;

	for (uintptr_t from = m->old; from < end; from += len) {
		size_t done = from - m->old;
		long at;

		len = arena_vma_length(from, end - from);
		at = move_piece(from, len, m->fixed + done,
				from + len < end ? len : m->new_len - done,
				m->flags);
		if (sys_failed(at)) {
			move_back(m, from);
			return at;
		}
	}
	for (uintptr_t from = m->old; from < end; from += len) {
		len = arena_vma_length(from, end - from);
		arena_vma_starts(m->fixed + (from - m->old));
	}
	return (long)m->fixed;
}

static bool in_pieces(const struct move *m)
{
	return m->old_len && arena_vma_length(m->old, m->old_len) < m->old_len;
}

/* What the kernel keeps apart is not even tried: before it says so, some kernels
 * unmap the place to move to, which then is anyone's. */
static bool must_copy_out(const struct move *m)
{
	return may_copy_out(m) && !is_piece(m->old, m->old_len);
}

static bool must_move_pieces(const struct move *m)
{
	return (m->flags & TO_PLACE) == TO_PLACE && in_pieces(m) &&
	       !is_piece(m->old, m->old_len) && are_pieces(m);
}

static long move_by_kernel(const struct move *m)
{
	bool copies = must_copy_out(m);
	struct arena_detached detached = { 0 };
	long at;

	if (!is_mapped(m->old, m->old_len ? m->old_len : m->page))
		return -EFAULT;
	if (m->flags & MREMAP_FIXED && !m->own)
		detached = arena_detach(m->fixed, m->new_len);
	if (copies)
		at = copy_out(m);
	else
		at = must_move_pieces(m) ? move_pieces(m) : by_kernel(m);
	if (sys_failed(at) && !m->own)
		arena_reattach(&detached, true);
	/* Then what it was copied from is free. */
	if (copies)
		return at;
	if (!sys_failed(at))
		arena_detach((uintptr_t)at, m->new_len);
	/* Also when it failed midway. */
	if ((uintptr_t)at != m->old && !(m->flags & MREMAP_DONTUNMAP))
		arena_reclaim_unmapped(m->old, m->old_len);
	return at;
}

static long shrink(const struct move *m)
{
	struct arena_tally tally = { 0, 0 };
	struct arena_part first = arena_part(m->old, m->old + m->page);
	long failed = 0;

	if (first.kind == PART_HOLE)
		return -EFAULT;
	if (first.kind == PART_KERNEL)
		failed = arena_kernel()->mremap((void *)m->old, m->page,
						m->page, 0, NULL);
	if (sys_failed(failed))
		return failed;
	if (m->new_len < m->old_len)
		failed = arena_unmap(m->old + m->new_len,
				     m->old_len - m->new_len, &tally);
	return sys_failed(failed) ? failed : (long)m->old;
}

/*
 * Out of the arena. To a place that the kernel has agreed to: our own memory
 * is not accounted for (MAP_NORESERVE), so it would not say no in time.
 */
static long move_out(const struct move *m)
{
	struct move out = *m;
	long at = arena_kernel()->mmap(NULL, m->new_len, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (sys_failed(at))
		return at;
	out.fixed = (uintptr_t)at;
	out.flags |= MREMAP_FIXED;
	at = move_by_kernel(&out);
	if (sys_failed(at))
		arena_kernel()->munmap((void *)out.fixed, out.new_len);
	return at;
}

/* Pieces need a place to go to. */
static long move_whole(const struct move *m)
{
	long at = move_by_kernel(m);

	if (at != -EFAULT || m->flags != STAYS || !in_pieces(m) ||
	    !are_pieces(m))
		return at;
	return move_out(m);
}

/* What of ours gets shorter is moved as far as it stays; behind that may be
 * anything, also nothing. That is unmapped last: nothing is lost by a failure. */
static long move_elsewhere(const struct move *m)
{
	struct arena_tally tally = { 0, 0 };
	struct move head = *m;
	long at;

	if (m->new_len >= m->old_len || !arena_touches(m->old, m->old_len))
		return move_whole(m);
	head.old_len = m->new_len;
	if (!are_pieces(&head))
		return -EFAULT;
	at = move_by_kernel(&head);
	if (!sys_failed(at))
		arena_unmap(m->old + m->new_len, m->old_len - m->new_len,
			    &tally);
	return at;
}

/* What the kernel may have unmapped is mapped again before it serves. */
static void give_up(uintptr_t to, size_t len)
{
	arena_alter(to, len, MARK_REMAP_BEFORE_USE);
	arena_free(to, len, LEAVE_DIRTY);
}

static enum reason get_room(const struct move *m, bool clean, uintptr_t *to)
{
	if (m->new_len > m->max)
		return REASON_TOO_LARGE;
	return arena_get_for(m->new_len, m->old_len,
			     clean ? FILL_CLEAN : FILL_ANY, to);
}

/* To other frames of the arena, or out of it if there are none. */
static long relocate(const struct move *m, enum reason *why)
{
	bool tables = pays_by_tables(m);
	uintptr_t to;

	*why = get_room(m, tables, &to);
	if (*why == REASON_NONE && tables && !move_tables(m, to)) {
		give_up(to, m->new_len);
		tables = false;
		*why = get_room(m, tables, &to);
	}
	if (*why == REASON_MAX)
		return -ENOMEM;
	if (*why != REASON_NONE)
		return move_out(m);
	if (!tables)
		copy(to, m->old, m->old_len);
	arena_free(m->old, m->old_len, tables ? LEAVE_CLEAN : LEAVE_DIRTY);
	return (long)to;
}

/* What the kernel does not grow because it is in pieces: by these, to other
 * frames of ours, where it is known that it is. */
static long grow_pieces(const struct move *m)
{
	struct move within = *m;
	enum reason why;
	long at;

	within.flags |= MREMAP_FIXED;
	within.own = true;
	if (!in_pieces(m) || !are_pieces(m))
		return -EFAULT;
	if (!(m->flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	why = arena_get_for(m->new_len, m->old_len, FILL_ANY, &within.fixed);
	if (why != REASON_NONE)
		return why == REASON_MAX ? -ENOMEM : move_out(m);
	at = move_by_kernel(&within);
	if (sys_failed(at))
		give_up(within.fixed, m->new_len);
	return at;
}

/* There is room behind. */
static long grow_in_place(const struct move *m)
{
	uintptr_t end = m->old + m->old_len, last = m->old;
	size_t len;
	long at = arena_kernel()->mremap((void *)m->old, m->old_len, m->new_len,
					 0, NULL);

	if (at != -EFAULT || !in_pieces(m) || !are_pieces(m))
		return at;
	while ((len = arena_vma_length(last, end - last)) < end - last)
		last += len;
	at = arena_kernel()->mremap((void *)last, len,
				    m->new_len - (last - m->old), 0, NULL);
	return sys_failed(at) ? at : (long)m->old;
}

static long grow_by_kernel(const struct move *m)
{
	long at = move_by_kernel(m);

	return at == -EFAULT ? grow_pieces(m) : at;
}

/*
 * What the program has altered grows as the kernel does it: in place if we
 * leave it the room, else out of the arena.
 */
static long grow_altered(const struct move *m)
{
	uintptr_t behind = m->old + m->old_len;
	size_t more = m->new_len - m->old_len;
	long at = -ENOMEM;

	if (!arena_get_at(behind, more))
		return grow_by_kernel(m);
	if (!arena_kernel()->munmap((void *)behind, more))
		at = grow_in_place(m);
	if (!sys_failed(at)) {
		arena_alter(behind, more, MARK_REMAP_BEFORE_USE);
		return at;
	}
	arena_reclaim_unmapped(behind, more);
	return grow_by_kernel(m);
}

static long grow(const struct move *m, enum reason *why)
{
	if (!is_mapped(m->old, m->old_len))
		return -EFAULT;
	if (!arena_is_live(m->old, m->old_len,
			   MARK_BIT(MARK_REMAP_BEFORE_USE))) {
		*why = REASON_FIXED;
		return grow_altered(m);
	}
	if (m->new_len <= m->max &&
	    arena_get_at(m->old + m->old_len, m->new_len - m->old_len))
		return (long)m->old;
	return m->flags & MREMAP_MAYMOVE ? relocate(m, why) : -ENOMEM;
}

long move_region(const struct move *m, enum reason *why)
{
	*why = REASON_NONE;
	if (is_refused(m)) {
		*why = REASON_INVALID;
		return by_kernel(m);
	}
	if (m->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) || !m->old_len) {
		*why = REASON_FIXED;
		return move_elsewhere(m);
	}
	return m->new_len <= m->old_len ? shrink(m) : grow(m, why);
}
