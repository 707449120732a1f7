/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What the kernel does to the arena's addresses: it maps something over them,
 * by MAP_FIXED and the like, or takes mappings away.
 *
 * Detaching makes the free frames of a region the program's before the kernel
 * maps over them, so that no other thread is served them meanwhile; and marks
 * all of the region, so that nothing that the kernel has mapped there serves
 * again. A frame that is neither free nor live is on its way in another thread:
 * it is waited for. When the kernel refuses, the frames are freed again.
 *
 *	detach		  the kernel maps	   detach again
 *	free -> live	  ...			   what was freed meanwhile -> live
 *	mark all				   mark all
 */
#include "preload/arena/frames.h"
#include "preload/arena/page.h"
#include "preload/arena/parts.h"
#include "preload/arena/tree.h"
#include "preload/arena/vma.h"

#include <errno.h>

static unsigned mark_for(enum remap when)
{
	return when == REMAP_BEFORE_USE ? MARK_REMAP_BEFORE_USE
					: MARK_REMAP_ON_FREE;
}

/* Frames that are not live as well: one may be on its way. */
void arena_remap_later(struct region r, enum remap when)
{
	unsigned mark = mark_for(when);

	for_each_place(place, r) {
		struct span s = span_of(place.region);

		if (place.kind == PART_KERNEL)
			continue;
		if (stats_on && when == REMAP_BEFORE_USE)
			stats_count(STAT_FRAMES_ALTERED,
				    mark_count(arena.marks, 0, mark, s));
		mark_set(arena.marks, mark, s);
	}
}

/* ------------------------------------------------------------------------ */
/* Detaching                                                                 */

/*
 * Frames of a hole that cannot be had are on their way in another thread: soon
 * they are free, or live. If that thread never goes on, or is gone with a
 * fork, they stay out of use: after some time this thread goes on as well.
 */
#define DETACH_TRIES 1200u

static void detach_page(struct span s, unsigned *tries)
{
	while (!frames_detach(s) && mark_any(arena.marks, 0, MARK_LIVE, s) &&
	       ++*tries < DETACH_TRIES)
		arena.os->yield(*tries);
}

static void add_hole(struct arena_detached *d, struct region hole)
{
	if (d->count == ARENA_DETACHED_MOST)
		return;
	d->altered[d->count] =
		mark_any(arena.marks, MARK_REMAP_BEFORE_USE, 0, span_of(hole));
	d->holes[d->count++] = hole;
}

static void detach_hole(struct arena_detached *d, struct region hole,
			unsigned *tries)
{
	struct span s = span_of(hole);
	size_t page = arena.page_frames;

	if (frames_detach(s)) {
		add_hole(d, hole);
		return;
	}
	for (size_t i = 0; i < s.count; i += page)
		detach_page(span(s.first + i, page), tries);
}

static void set_unavailable(struct region r)
{
	for_each_tree(t, span_within(r))
		tree_set_unavailable(t);
}

static struct arena_detached detach_holes(struct region r)
{
	struct arena_detached d = { .region = r };
	unsigned tries = 0;

	for_each_part(part, r) {
		if (part.kind == PART_HOLE)
			detach_hole(&d, part.region, &tries);
		else if (part.kind == PART_KERNEL)
			set_unavailable(part.region);
	}
	return d;
}

/* Whether the address space has such a region at all: what is mapped there is
 * the second thing that the kernel looks at. Up to a place that is mapped it
 * has; beyond, that place is in what is asked for, so nothing gets mapped. */
static bool is_possible(struct region r)
{
	uintptr_t mapped = sys_stack(), end = region_end(r);
	uintptr_t start = r.start < mapped ? r.start : mapped;

	return end <= mapped ||
	       page_occupy((void *)start, end - start, PROT_NONE) == -EEXIST;
}

/* A thread that brings a tree of the region online has mapped it, or soon has:
 * only then is there something to detach. */
static void await_trees(struct region r)
{
	unsigned tries = 0;

	for_each_tree(t, span_within(r))
		tree_await(t, &tries, DETACH_TRIES);
}

struct arena_detached arena_detach(struct region r)
{
	struct arena_detached d = { .count = 0 };

	if (!arena_touches(r) || !is_possible(r))
		return d;
	await_trees(r);
	d = detach_holes(r);
	arena_remap_later(r, REMAP_BEFORE_USE);
	return d;
}

struct arena_detached arena_detach_free(struct region r)
{
	struct arena_detached d = { .region = r };

	if (!arena_is_free(r) || !frames_detach(span_of(r)))
		return d;
	add_hole(&d, r);
	arena_remap_later(r, REMAP_BEFORE_USE);
	return d;
}

/* Where nothing was mapped, and nothing was taken away, all is as it was: for a
 * fresh mapping there may be no room. */
static void free_holes(const struct arena_detached *d, bool mapped)
{
	for (size_t i = 0; i < d->count; i++) {
		struct span s = span_of(d->holes[i]);

		if (!mapped && !d->altered[i] && page_is_mapped(s))
			mark_clear(arena.marks, MARK_REMAP_BEFORE_USE, s);
		arena_free(d->holes[i], LEAVE_DIRTY);
	}
}

void arena_reattach(const struct arena_detached *detached, bool mapped)
{
	free_holes(detached, mapped);
	arena_reclaim_unmapped(detached->region);
}

long arena_map_over(struct region r, bool populate)
{
	struct arena_detached d;
	struct arena_part place;
	long failed;

	if (!arena_touches(r) || is_locked())
		return 1;
	place = arena_place(r);
	if (place.kind == PART_KERNEL || place.region.len != r.len)
		return 1;
	d = detach_holes(r);
	failed = frames_renew(span_of(r));
	if (failed)
		free_holes(&d, false);
	else if (populate)
		page_populate(span_of(r));
	return failed;
}

/* ------------------------------------------------------------------------ */
/* Reclaiming                                                                */

/* Of one page that can be asked. */
static bool is_unmapped_page(struct region r)
{
	unsigned char resident;

	return r.len == arena.page_frames * FRAME &&
	       arena.os->mincore((void *)r.start, r.len, &resident) == -ENOMEM;
}

/*
 * Where nothing is mapped at all what was the program's becomes free again:
 * mapped afresh, or when it serves, if the kernel has no memory or mapping for
 * that now. False if anything is mapped there, or may be.
 */
static bool reclaim(struct region r)
{
	long failed = page_occupy((void *)r.start, r.len, READ_WRITE);

	if (!failed) {
		page_advise(span_of(r));
		vma_mapped(span_of(r));
	} else if (failed == -ENOMEM && is_unmapped_page(r)) {
		arena_remap_later(r, REMAP_BEFORE_USE);
	} else {
		return false;
	}
	arena_free(r, LEAVE_CLEAN);
	return true;
}

/* All at once or page by page. */
static void reclaim_unmapped(struct region r)
{
	size_t page = arena.page_frames * FRAME, step = PAGE_ASK_MOST * FRAME;
	unsigned char resident[PAGE_ASK_MOST];

	if (reclaim(r))
		return;
	for (size_t at = 0; at < r.len; at += step) {
		size_t len = r.len - at < step ? r.len - at : step;
		struct region part = region(r.start + at, len);

		/* The kernel tells residence only of what is mapped. */
		if (page_resident(span_of(part), resident))
			continue;
		for (size_t i = 0; i < len; i += page)
			reclaim(region(part.start + i, page));
	}
}

void arena_reclaim_unmapped(struct region r)
{
	if (!arena_touches(r))
		return;
	for_each_part(part, r) {
		if (part.kind == PART_LIVE)
			reclaim_unmapped(part.region);
	}
}

void arena_reclaim_hole(uintptr_t addr)
{
	struct region page = region(addr, arena.page_frames * FRAME);

	while (arena_touches(page) && arena_is_live(page) && reclaim(page))
		page.start += page.len;
}
