/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* From addresses to what is there: parts, places and VMAs of a region. */
#include "preload/arena/parts.h"

#include "preload/arena/vma.h"

static bool is_online(uintptr_t addr)
{
	return addr - arena_bounds.start < arena_bounds.len &&
	       frame_is_online(frame_of(addr));
}

/* Where a tree, or the arena, begins or ends next. */
static uintptr_t next_border(uintptr_t addr)
{
	uintptr_t start = arena_bounds.start;

	if (addr < start)
		return start;
	if (addr - start >= arena_bounds.len)
		return UINTPTR_MAX;
	return addr - (addr - start) % LLFREE_ALIGN + LLFREE_ALIGN;
}

struct arena_part arena_place(struct region r)
{
	bool online = is_online(r.start);
	uintptr_t at = next_border(r.start), end = region_end(r);
	struct arena_part part = { r, online ? PART_ONLINE : PART_KERNEL };

	while (at < end && is_online(at) == online)
		at = next_border(at);
	if (at < end)
		part.region.len = at - r.start;
	return part;
}

struct arena_part arena_part(struct region r)
{
	struct arena_part part = arena_place(r);
	struct mark_run run;

	if (part.kind == PART_KERNEL)
		return part;
	run = mark_run(arena.marks, MARK_LIVE, 0, span_of(part.region));
	part.region.len = bytes_of(run.span);
	part.kind = run.have ? PART_LIVE : PART_HOLE;
	return part;
}

struct span span_within(struct region r)
{
	uintptr_t start = arena_bounds.start, end = region_end(r);
	uintptr_t last = region_end(arena_bounds);

	if (!arena_touches(r) || end <= r.start)
		return span(0, 0);
	start = r.start > start ? r.start : start;
	return span_of(region(start, (end < last ? end : last) - start));
}

bool arena_has(struct region r)
{
	struct arena_part first;

	if (!arena_touches(r))
		return false;
	first = arena_place(r);
	return first.kind != PART_KERNEL || first.region.len < r.len;
}

static bool is_all(struct region r, enum part_kind kind)
{
	struct arena_part part = arena_part(r);

	return part.kind == kind && part.region.len == r.len;
}

bool arena_is_live(struct region r)
{
	return is_all(r, PART_LIVE);
}

bool arena_is_plain(struct region r)
{
	return is_all(r, PART_LIVE) &&
	       !mark_any(arena.marks, MARK_REMAP_BEFORE_USE, 0, span_of(r));
}

bool arena_is_free(struct region r)
{
	return arena_touches(r) && is_all(r, PART_HOLE);
}

struct region arena_vma(struct region r)
{
	struct arena_part part = arena_place(r);

	if (part.kind != PART_KERNEL && r.len)
		part.region.len = bytes_of(vma_first(span_of(part.region)));
	return part.region;
}

void arena_vma_starts(uintptr_t addr)
{
	if (is_online(addr))
		vma_starts(frame_of(addr));
}
