/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Freeing: what is live of a region becomes free. After that, once for a call,
 * mappings that were divided are merged, and other memory goes back if too much
 * is dirty.
 */
#include "preload/arena/frames.h"
#include "preload/arena/merge.h"
#include "preload/arena/purge.h"

/* *freed is in bytes. */
static long free_span(struct span s, enum leave leave, size_t *freed)
{
	size_t count = 0;
	long failed = frames_free(s, leave, &count);

	*freed += count * FRAME;
	if (count) {
		merge_if_due(s);
		purge_excess(s.first, count);
	}
	return failed;
}

long arena_free(struct region r, enum leave leave)
{
	size_t freed = 0;

	return free_span(span_of(r), leave, &freed);
}

static long unmap_by_kernel(struct region r, struct arena_tally *tally)
{
	long failed = arena.os->munmap((void *)r.start, r.len);

	if (!failed)
		tally->kernel += r.len;
	return failed;
}

/* What lies behind the arena goes first: if it ends past the address space, the
 * kernel refuses all of the region. *r loses it. */
static long unmap_behind(struct region *r, struct arena_tally *tally)
{
	uintptr_t behind = region_end(arena_bounds);
	long failed = 0;

	if (region_end(*r) > behind && r->start < behind) {
		failed = unmap_by_kernel(region_from(*r, behind), tally);
		r->len = behind - r->start;
	}
	return failed;
}

/* The kernel's part goes first: the kernel knows best what is wrong with the
 * region. */
long arena_unmap(struct region r, struct arena_tally *tally)
{
	long failed = unmap_behind(&r, tally);

	for_each_place(place, r) {
		if (!failed && place.kind == PART_KERNEL)
			failed = unmap_by_kernel(place.region, tally);
	}
	for_each_place(place, r) {
		if (!failed && place.kind != PART_KERNEL)
			failed = free_span(span_of(place.region), LEAVE_DIRTY,
					   &tally->ours);
	}
	return failed;
}
