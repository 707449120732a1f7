/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Serving: frames are allocated, their trees brought online, and the frames
 * become the program's.
 */
#include "preload/arena/frames.h"
#include "preload/arena/page.h"
#include "preload/arena/purge.h"
#include "preload/arena/tree.h"
#include "preload/arena/usage.h"
#include "preload/arena/zone.h"

static size_t frames_for(size_t len)
{
	size_t page = arena.page_frames * FRAME;

	return (len + page - 1) / page * arena.page_frames;
}

static bool serve(struct span s, size_t head, enum fill fill)
{
	if (!frames_serve(s, head, fill))
		return false;
	purge_excess(s.first, s.count);
	return true;
}

static enum reason serve_anywhere(size_t count, size_t head, enum fill fill,
				  struct span *got)
{
	enum trees_result trees;

	do {
		*got = zone_get(count);
		if (!got->count)
			return REASON_ARENA_FULL;
		trees = tree_bring_online(*got);
	} while (trees == TREES_TRY_AGAIN);
	if (trees == TREES_REFUSED || !serve(*got, head, fill))
		return REASON_KERNEL_REFUSED;
	return REASON_NONE;
}

static enum reason serve_len(size_t len, size_t head, enum fill fill,
			     struct span *got)
{
	size_t count = frames_for(len);
	enum reason why;

	if (is_locked())
		return REASON_LOCK_ALL;
	if (!usage_reserve(count, head))
		return REASON_MAX;
	why = serve_anywhere(count, head, fill, got);
	if (why != REASON_NONE)
		usage_release(count);
	return why;
}

enum reason arena_get(size_t len, bool populate, void **addr)
{
	struct span got;
	enum reason why = serve_len(len, 0, FILL_ZERO, &got);

	if (why != REASON_NONE)
		return why;
	if (populate)
		page_populate(got);
	*addr = address_of(got.first);
	return REASON_NONE;
}

enum reason arena_get_for(size_t len, size_t head, enum fill fill,
			  uintptr_t *addr)
{
	struct span got;
	enum reason why = serve_len(len, head / FRAME, fill, &got);

	if (why == REASON_NONE)
		*addr = (uintptr_t)address_of(got.first);
	return why;
}

void arena_serve_absent(void)
{
	atom_store(&arena.serve_absent, true);
}

static void empty_zeros(struct span s)
{
	unsigned char resident[PAGE_ASK_MOST];
	size_t page = arena.page_frames;

	if (!page_resident(s, resident))
		return;
	for (size_t i = 0; i < s.count; i += page) {
		if (resident[i] & 1 &&
		    is_zero(address_of(s.first + i), page * FRAME))
			page_empty(span(s.first + i, page));
	}
}

void arena_empty_zeros(struct region r)
{
	struct span s = span_of(r);

	if (!arena_touches(r) || !arena_is_live(r))
		return;
	while (s.count) {
		struct span part = span_before(s, s.first + PAGE_ASK_MOST);

		empty_zeros(part);
		s = span_from(s, span_end(part));
	}
}

bool arena_get_at(struct region r)
{
	struct span s = span_of(r);

	if (r.start - arena_bounds.start >= arena_bounds.len ||
	    span_end(s) > arena.frames || !usage_reserve(s.count, 0))
		return false;
	if (zone_get_at(s) && tree_bring_online(s) == TREES_ONLINE &&
	    serve(s, 0, FILL_ZERO))
		return true;
	usage_release(s.count);
	return false;
}
