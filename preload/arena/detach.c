/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena/state.h"

#include <errno.h>

/* Frames that are not live as well: one may be on its way to someone. */
void arena_alter(uintptr_t addr, size_t len, enum mark mark)
{
	struct arena_part part;

	for (uintptr_t at = addr; at < addr + len; at += part.len) {
		struct span s;

		part = arena_place(at, addr + len);
		if (part.kind == PART_KERNEL)
			continue;
		s = span_of(at, part.len);
		if (stats_on && mark == MARK_REMAP_BEFORE_USE)
			stats_count(STAT_FRAMES_ALTERED,
				    s.count - mark_count(arena.marks, mark, s));
		mark_set(arena.marks, mark, s);
	}
}

bool arena_is_free(uintptr_t addr, size_t len)
{
	struct arena_part part;

	if (!arena_touches(addr, len))
		return false;
	part = arena_part(addr, addr + len);
	return part.kind == PART_HOLE && part.len == len;
}

static bool all_online(struct span s)
{
	size_t last = (span_end(s) - 1) / LLFREE_TREE_SIZE;

	for (size_t t = s.first / LLFREE_TREE_SIZE; t <= last; t++)
		if (arena_tree_state(t) != TREE_ONLINE)
			return false;
	return true;
}

/* Makes free frames the program's, as they are. A tree may have left before
 * they were had; now none can. */
static bool claim_frames(struct span s)
{
	struct span got;
	size_t dirty;

	got = arena_allocate(frame_id_some(frame_id(s.first)), s.count);
	if (!got.count)
		return false;
	if (!all_online(s)) {
		arena_deallocate(s);
		return false;
	}
	dirty = mark_count(arena.marks, MARK_DIRTY, s);
	mark_set(arena.marks, MARK_LIVE, s);
	limit_force(s.count);
	usage_change((int64_t)s.count, -(int64_t)dirty);
	stats_count(STAT_FRAMES_SERVED, s.count);
	return true;
}

/*
 * Frames of a hole that cannot be had are on their way in another thread: soon
 * they are free, or live. If that thread never goes on, or is gone with a
 * fork, they are no one's, and stay so: after some time we go on as well.
 */
#define CLAIM_TRIES 1200u

static void claim_page(struct span s, unsigned *tries)
{
	while (!claim_frames(s) &&
	       mark_count(arena.marks, MARK_LIVE, s) != s.count &&
	       ++*tries < CLAIM_TRIES)
		if (!sandboxed())
			arena.os->yield(*tries);
}

static void add_claim(struct arena_detached *detached, struct arena_part hole)
{
	struct span s = span_of(hole.start, hole.len);
	size_t i = detached->count;

	if (i == ARENA_DETACHED_MOST)
		return;
	detached->altered[i] =
		mark_count(arena.marks, MARK_REMAP_BEFORE_USE, s) != 0;
	detached->holes[i] = hole;
	detached->count++;
}

static void claim_hole(struct arena_detached *detached, struct arena_part hole,
		       unsigned *tries)
{
	struct span s = span_of(hole.start, hole.len);
	size_t page = arena.page_frames;

	if (claim_frames(s)) {
		add_claim(detached, hole);
		return;
	}
	for (size_t i = 0; i < s.count; i += page)
		claim_page(span(s.first + i, page), tries);
}

static struct arena_detached claim_holes(uintptr_t addr, size_t len)
{
	struct arena_detached detached = { .addr = addr, .len = len };
	struct arena_part part;
	unsigned tries = 0;

	for (uintptr_t at = addr; at < addr + len; at += part.len) {
		part = arena_part(at, addr + len);
		if (part.kind == PART_HOLE)
			claim_hole(&detached, part, &tries);
		else if (part.kind == PART_KERNEL)
			arena_unavailable(at, part.len);
	}
	return detached;
}

/* Whether the address space has such a range at all: what is mapped there is
 * the second thing that the kernel looks at. Up to a place that is mapped it
 * has; beyond, that place is in what is asked for, so nothing gets mapped. */
static bool is_range(uintptr_t addr, size_t len)
{
	uintptr_t mapped = sys_stack(), end = addr + len;
	uintptr_t start = addr < mapped ? addr : mapped;

	return end <= mapped ||
	       page_occupy((void *)start, end - start, PROT_NONE) == -EEXIST;
}

/* Whoever brings a tree online that this is about to lie in has mapped it, or
 * soon has: only then is there something to claim. */
static void await_trees(uintptr_t addr, size_t len)
{
	uintptr_t base = arena_range.base, end = addr + len;
	unsigned tries = 0;

	addr = addr > base ? addr : base;
	end = end < base + arena_range.bytes ? end : base + arena_range.bytes;
	addr -= (addr - base) % LLFREE_ALIGN;
	for (; addr < end; addr += LLFREE_ALIGN)
		while (arena_is_mapping(frame_of(addr) / LLFREE_TREE_SIZE) &&
		       ++tries < CLAIM_TRIES)
			if (!sandboxed())
				arena.os->yield(tries);
}

struct arena_detached arena_detach(uintptr_t addr, size_t len)
{
	struct arena_detached detached = { 0 };

	if (!arena_touches(addr, len) || !is_range(addr, len))
		return detached;
	await_trees(addr, len);
	detached = claim_holes(addr, len);
	arena_alter(addr, len, MARK_REMAP_BEFORE_USE);
	return detached;
}

struct arena_detached arena_detach_free(uintptr_t addr, size_t len)
{
	struct arena_detached detached = { .addr = addr, .len = len };

	if (!arena_is_free(addr, len) || !claim_frames(span_of(addr, len)))
		return detached;
	add_claim(&detached, arena_part(addr, addr + len));
	arena_alter(addr, len, MARK_REMAP_BEFORE_USE);
	return detached;
}

/* Where nothing was mapped, and nothing was taken away, all is as it was: for a
 * fresh mapping there may be no room. */
static void free_claims(const struct arena_detached *detached, bool mapped)
{
	for (size_t i = 0; i < detached->count; i++) {
		const struct arena_part *hole = &detached->holes[i];
		struct span s = span_of(hole->start, hole->len);

		if (!mapped && !detached->altered[i] && page_is_there(s))
			mark_clear(arena.marks, MARK_REMAP_BEFORE_USE, s);
		arena_free(hole->start, hole->len, LEAVE_DIRTY);
	}
}

void arena_reattach(const struct arena_detached *detached, bool mapped)
{
	free_claims(detached, mapped);
	arena_reclaim_unmapped(detached->addr, detached->len);
}

long arena_map_over(uintptr_t addr, size_t len, bool populated)
{
	struct arena_detached detached;
	struct arena_part place;
	struct span s;
	long failed;

	if (!arena_touches(addr, len) || arena_is_locked())
		return 1;
	place = arena_place(addr, addr + len);
	if (place.kind == PART_KERNEL || place.len != len)
		return 1;
	s = span_of(addr, len);
	detached = claim_holes(addr, len);
	failed = page_fresh(s, READ_WRITE);
	if (failed)
		free_claims(&detached, false);
	else if (populated)
		page_populate(s);
	return failed;
}

/* Of one page that can be asked. */
static bool is_hole(uintptr_t addr, size_t len)
{
	unsigned char resident;

	return len == arena.page_frames * FRAME && !sandboxed() &&
	       arena.os->mincore((void *)addr, len, &resident) == -ENOMEM;
}

/*
 * Where nothing is mapped at all what was the program's becomes free again:
 * mapped afresh, or when it serves, if the kernel has no memory or mapping for
 * that now. False if anything is mapped there, or may be.
 */
static bool free_hole(uintptr_t addr, size_t len)
{
	long failed = page_occupy((void *)addr, len, READ_WRITE);

	if (!failed) {
		page_advise(span_of(addr, len));
		vma_mapped(span_of(addr, len));
	} else if (failed == -ENOMEM && is_hole(addr, len)) {
		arena_alter(addr, len, MARK_REMAP_BEFORE_USE);
	} else {
		return false;
	}
	arena_free(addr, len, LEAVE_CLEAN);
	return true;
}

/* All at once or page by page. */
static void free_holes(uintptr_t addr, size_t len)
{
	size_t page = arena.page_frames * FRAME, step = ASK_FRAMES * FRAME;
	unsigned char resident[ASK_FRAMES];

	if (free_hole(addr, len))
		return;
	for (size_t at = 0; at < len; at += step) {
		size_t part = len - at < step ? len - at : step;

		/* That can be asked only of what is mapped. */
		if (page_resident(span_of(addr + at, part), resident))
			continue;
		for (size_t i = at; i < at + part; i += page)
			free_hole(addr + i, page);
	}
}

void arena_reclaim_unmapped(uintptr_t addr, size_t len)
{
	struct arena_part part;

	if (!arena_touches(addr, len))
		return;
	for (uintptr_t at = addr; at < addr + len; at += part.len) {
		part = arena_part(at, addr + len);
		if (part.kind == PART_LIVE)
			free_holes(at, part.len);
	}
}

static bool is_live(uintptr_t addr, size_t page)
{
	return arena_touches(addr, page) &&
	       arena_part(addr, addr + page).kind == PART_LIVE;
}

size_t arena_reclaim_hole(uintptr_t addr)
{
	size_t page = arena.page_frames * FRAME;
	uintptr_t at = addr;

	while (is_live(at, page) && free_hole(at, page))
		at += page;
	return at - addr;
}
