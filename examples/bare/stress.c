/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include <llfree_platform.h>
#include "examples/bare/stress.h"

#define MOST_BULK 16u
#define MOST_RANGE 1500u
#define NO_FRAME UINT64_MAX

static uint64_t below(struct worker *w, uint64_t bound)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (w->random >> 16) % bound;
}

static _Noreturn void fail(const char *what, uint64_t number)
{
	print_number(what, number);
	llfree_panic("the stress found an error");
}

static void must_be(const char *what, uint64_t found, uint64_t expected)
{
	if (found == expected)
		return;
	print_number("expected: ", expected);
	fail(what, found);
}

/* ------------------------------------------------------------------------ */
/* Owners                                                                    */

static uint64_t mark_of(const struct worker *w, uint64_t frame)
{
	return (frame << 8 | w->cpu) * 0x9e3779b97f4a7c15ull;
}

static void own(struct stress *s, struct worker *w, struct extent extent)
{
	for (uint64_t f = extent.first; f < extent.first + extent.frames; f++) {
		if (atom_swap(&s->owners[f], (uint8_t)(w->cpu + 1)))
			fail("got, but has an owner: frame ", f);
		*frame_contents(f) = mark_of(w, f);
	}
}

static void disown(struct stress *s, struct worker *w, struct extent extent)
{
	for (uint64_t f = extent.first; f < extent.first + extent.frames; f++) {
		if (*frame_contents(f) != mark_of(w, f))
			fail("written to by another: frame ", f);
		if (atom_swap(&s->owners[f], 0) != w->cpu + 1)
			fail("taken by another: frame ", f);
	}
}

static void keep(struct stress *s, struct worker *w, struct extent extent)
{
	own(s, w, extent);
	w->extents[w->count++] = extent;
}

/* ------------------------------------------------------------------------ */
/* Steps                                                                     */

static llfree_request_t request_of(const struct stress *s,
				   const struct worker *w, unsigned order)
{
	return llfree_simple_request(s->cpus, (uint8_t)order, w->cpu);
}

static void got(struct stress *s, struct worker *w, llfree_result_t result,
		size_t frames)
{
	if (llfree_is_ok(result))
		keep(s, w, (struct extent){ result.frame.value, frames });
	else
		w->refused++;
	w->calls++;
}

static void get_block(struct stress *s, struct worker *w)
{
	unsigned order = (unsigned)below(w, 1 + below(w, LLFREE_MAX_ORDER + 1));

	got(s, w,
	    llfree_get(s->allocator, frame_id_none(), request_of(s, w, order)),
	    (size_t)1 << order);
}

static void get_range(struct stress *s, struct worker *w)
{
	size_t frames = 1 + below(w, MOST_RANGE);

	got(s, w,
	    llfree_get_range(s->allocator, frame_id_none(), frames,
			     request_of(s, w, 0)),
	    frames);
}

static void get_bulk(struct stress *s, struct worker *w)
{
	frame_id_t frames[MOST_BULK];
	llfree_bulk_t bulk = llfree_get_bulk(s->allocator, frames, MOST_BULK,
					     request_of(s, w, 0));

	for (size_t i = 0; i < bulk.count; i++)
		keep(s, w, (struct extent){ frames[i].value, 1 });
	w->refused += bulk.error != LLFREE_ERR_OK;
	w->calls++;
}

static void put_extent(struct stress *s, struct worker *w, struct extent extent)
{
	llfree_request_t request = request_of(s, w, 0);
	frame_id_t first = frame_id(extent.first);
	llfree_result_t result;

	if (extent.frames == 1)
		result = llfree_put(s->allocator, first, request);
	else
		result = llfree_put_range(s->allocator, first, extent.frames,
					  request);
	if (!llfree_is_ok(result))
		fail("cannot put what is held: frame ", extent.first);
	w->calls++;
}

/* Put an extent, or the first half of it; the rest stays. */
static void put_some(struct stress *s, struct worker *w)
{
	size_t i = below(w, w->count);
	struct extent extent = w->extents[i];
	bool half = extent.frames > 1 && below(w, 4) == 0;

	if (half)
		extent.frames /= 2;
	disown(s, w, extent);
	put_extent(s, w, extent);
	if (half) {
		w->extents[i].first += extent.frames;
		w->extents[i].frames -= extent.frames;
	} else {
		w->extents[i] = w->extents[--w->count];
	}
}

static void step(struct stress *s, struct worker *w)
{
	static void (*const gets[])(struct stress *,
				    struct worker *) = { get_block, get_range,
							 get_bulk };

	if (w->count + MOST_BULK > STRESS_EXTENTS ||
	    (w->count && below(w, STRESS_EXTENTS) < w->count))
		put_some(s, w);
	else
		gets[below(w, 3)](s, w);
}

static void make_mistake(struct stress *s, struct worker *w)
{
	if (s->mistake == NO_MISTAKE || w->cpu != 0 || !w->count)
		return;
	if (s->mistake == PUT_TWICE) {
		put_extent(s, w, w->extents[0]);
	} else {
		disown(s, w, w->extents[0]);
		w->extents[0] = w->extents[--w->count];
	}
	s->mistake = NO_MISTAKE;
}

static void take_steps(struct stress *s, struct worker *w)
{
	for (uint64_t i = 0; i < s->rounds; i++) {
		step(s, w);
		if (i >= s->rounds / 2)
			make_mistake(s, w);
	}
	while (w->count)
		put_some(s, w);
}

/* Get single frames, linked through themselves, until there are none. */
static void exhaust(struct stress *s, struct worker *w)
{
	uint64_t last = NO_FRAME, count = 0;
	llfree_result_t result;

	while (llfree_is_ok(result = llfree_get(s->allocator, frame_id_none(),
						request_of(s, w, 0)))) {
		own(s, w, (struct extent){ result.frame.value, 1 });
		frame_contents(result.frame.value)[1] = last;
		last = result.frame.value;
		count++;
	}
	atom_add(&s->exhausted, count);
	barrier_wait(s->cpus);
	while (last != NO_FRAME) {
		struct extent extent = { last, 1 };

		last = frame_contents(last)[1];
		disown(s, w, extent);
		put_extent(s, w, extent);
	}
}

/* ------------------------------------------------------------------------ */

void stress_begin(struct stress *s)
{
	s->before = llfree_stats(s->allocator);
}

void stress_run(struct stress *s, unsigned cpu)
{
	struct worker *w = &s->workers[cpu];

	w->cpu = cpu;
	w->random = (cpu + 1) * 0x9e3779b97f4a7c15ull;
	barrier_wait(s->cpus);
	take_steps(s, w);
	barrier_wait(s->cpus);
	exhaust(s, w);
	barrier_wait(s->cpus);
}

void stress_end(struct stress *s)
{
	ll_stats_t after = llfree_stats(s->allocator);
	uint64_t calls = 0, refused = 0;

	llfree_validate(s->allocator);
	must_be("free frames: ", after.free_frames, s->before.free_frames);
	must_be("free frames by the trees' counters: ",
		llfree_tree_stats(s->allocator).free_frames,
		s->before.free_frames);
	must_be("free huge frames: ", after.free_huge, s->before.free_huge);
	must_be("frames got until there were none: ", s->exhausted,
		s->before.free_frames);
	for (unsigned i = 0; i < s->cpus; i++) {
		calls += s->workers[i].calls;
		refused += s->workers[i].refused;
	}
	print_number("processors: ", s->cpus);
	print_number("frames managed: ", llfree_frames(s->allocator));
	print_number("frames free: ", after.free_frames);
	print_number("calls: ", calls);
	print_number("refused: ", refused);
	print_number("repeated compare-and-swaps: ",
		     llfree_counters(s->allocator).retries);
}
