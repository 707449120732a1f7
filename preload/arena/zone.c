/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena/zone.h"

#include "preload/arena/class.h"
#include "preload/arena/epoch.h"
#include "preload/arena/state.h"

/* Whole trees; its allocator counts frames from 0. */
struct zone {
	llfree_t *llfree;
	struct span frames;
	size_t cores; /* slots */
	size_t handle, local, trees, lower; /* offsets of its data */
};
enum { ZONE_REGIONS, ZONE_HEAP, ZONES };

static struct zone zones[ZONES];

/* Each zone that has frames. */
#define for_each_zone(zone)                                           \
	for (struct zone *zone = zones; zone < zones + ZONES; zone++) \
		if (zone->frames.count)

static size_t border(void)
{
	return span_end(zones[ZONE_REGIONS].frames);
}

static inline const struct zone *zone_of(size_t frame)
{
	return &zones[frame < border() ? ZONE_REGIONS : ZONE_HEAP];
}

static inline frame_id_t number_in(const struct zone *zone, size_t frame)
{
	return frame_id(frame - zone->frames.first);
}

/* ------------------------------------------------------------------------ */
/* Frames                                                                    */

static inline unsigned order_of(size_t count)
{
	return (unsigned)__builtin_ctzll(count);
}

static inline bool is_block(size_t count)
{
	return count <= HUGE && !(count & (count - 1));
}

/* A request of `order`, in the class for regions of `count` frames. */
static llfree_request_t request_for(const struct zone *zone, size_t count,
				    unsigned order)
{
	unsigned kind = count < HUGE ? 0 : LLFREE_HUGE_ORDER;
	llfree_request_t request = llfree_simple_request(
		zone->cores, (uint8_t)kind, arena.os->cpu());

	request.order = (uint8_t)order;
	return request;
}

static llfree_result_t get_anywhere(const struct zone *zone, size_t count)
{
	unsigned order = count >= HUGE ? LLFREE_HUGE_ORDER
				       : order_of(arena.page_frames);

	if (is_block(count))
		return llfree_get(zone->llfree, frame_id_none(),
				  request_for(zone, count, order_of(count)));
	return llfree_get_range(zone->llfree, frame_id_none(), count,
				request_for(zone, count, order));
}

struct span zone_get(size_t count)
{
	const struct zone *zone = &zones[ZONE_REGIONS];
	llfree_result_t got = get_anywhere(zone, count);

	if (!llfree_is_ok(got)) {
		stats_count(STAT_GET_FAILED, 1);
		return span(0, 0);
	}
	stats_count(STAT_GET, 1);
	return span(zone->frames.first + got.frame.value, count);
}

static bool get_at(const struct zone *zone, struct span s)
{
	return llfree_is_ok(llfree_get_range(
		zone->llfree, frame_id_some(number_in(zone, s.first)), s.count,
		request_for(zone, s.count, order_of(arena.page_frames))));
}

bool zone_get_at(struct span s)
{
	const struct zone *zone = zone_of(s.first);
	unsigned tries = 0;
	uint32_t epoch;
	bool got;

	do {
		epoch = epoch_now();
		got = get_at(zone, s);
	} while (!got && !mark_any(arena.marks, MARK_LIVE, 0, s) &&
		 epoch_passed(epoch, &tries));
	stats_count(got ? STAT_GET : STAT_GET_FAILED, 1);
	return got;
}

static void put_to(const struct zone *zone, struct span s)
{
	frame_id_t first = number_in(zone, s.first);
	llfree_result_t put;

	if (!s.count)
		return;
	if (is_block(s.count) && !(s.first & (s.count - 1)))
		put = llfree_put(zone->llfree, first,
				 request_for(zone, s.count, order_of(s.count)));
	else
		put = llfree_put_range(zone->llfree, first, s.count,
				       request_for(zone, s.count, 0));
	stats_count(STAT_PUT, 1);
	if (!llfree_is_ok(put))
		leak(s.count);
}

void zone_put(struct span s)
{
	put_to(&zones[ZONE_REGIONS], span_before(s, border()));
	put_to(&zones[ZONE_HEAP], span_from(s, border()));
}

static llfree_request_t borrowing(void)
{
	return llreq(0, CLASS_BORROWED, ll_none());
}

bool zone_borrow(struct span s)
{
	const struct zone *zone = zone_of(s.first);
	frame_id_optional_t at = frame_id_some(number_in(zone, s.first));

	if (!llfree_is_ok(
		    llfree_get_range(zone->llfree, at, s.count, borrowing())))
		return false;
	/* The tree may have left the address space before; now it cannot. */
	if (frame_is_online(s.first))
		return true;
	zone_give_back(s);
	return false;
}

void zone_give_back(struct span s)
{
	const struct zone *zone = zone_of(s.first);

	llfree_put_range(zone->llfree, number_in(zone, s.first), s.count,
			 borrowing());
}

size_t zone_reach(size_t frame)
{
	return frame >= border() || arena.os->alone() ? arena.frames : border();
}

/* ------------------------------------------------------------------------ */
/* Figures                                                                   */

ll_stats_t zone_stats_at(size_t frame, unsigned order)
{
	const struct zone *zone = zone_of(frame);

	return llfree_stats_at(zone->llfree, number_in(zone, frame), order);
}

ll_stats_t zone_stats(void)
{
	ll_stats_t sum = { 0, 0, 0 };

	for_each_zone(zone) {
		ll_stats_t exact = llfree_stats(zone->llfree);

		sum.free_frames += exact.free_frames;
		sum.free_huge += exact.free_huge;
		sum.free_trees += exact.free_trees;
	}
	return sum;
}

size_t zone_fast_free(void)
{
	size_t count = 0;

	for_each_zone(zone)
		count += llfree_tree_stats(zone->llfree).free_frames;
	return count;
}

llfree_counters_t zone_counters(void)
{
	return llfree_counters(zones[ZONE_REGIONS].llfree);
}

/* ------------------------------------------------------------------------ */
/* Setting up                                                                */

void zone_divide(size_t regions, size_t heap, size_t cores)
{
	zones[ZONE_REGIONS].frames = span(0, regions);
	zones[ZONE_REGIONS].cores = cores;
	zones[ZONE_HEAP].frames = span(regions, heap);
}

static llfree_meta_size_t needs(const struct zone *zone)
{
	llfree_classing_t classing = class_classing(zone->cores);

	return llfree_metadata_size(&classing, zone->frames.count);
}

static size_t append(size_t *at, size_t bytes, size_t align)
{
	size_t place = (*at + align - 1) / align * align;

	*at = place + bytes;
	return place;
}

size_t zone_place_upper(size_t at)
{
	for_each_zone(zone) {
		llfree_meta_size_t need = needs(zone);

		zone->handle = append(&at, need.llfree, 2 * LLFREE_CACHE_SIZE);
		zone->local = append(&at, need.local, LLFREE_CACHE_SIZE);
		zone->trees = append(&at, need.trees, LLFREE_CACHE_SIZE);
	}
	return at;
}

size_t zone_place_lower(size_t at)
{
	for_each_zone(zone)
		zone->lower = append(&at, needs(zone).lower, FRAME);
	return at;
}

/* All trees are fresh; from then on those that become free are used ones. */
static bool start(const struct zone *zone, llfree_meta_t meta)
{
	llfree_classing_t classing = class_classing(zone->cores);
	uint8_t used = classing.default_class;

	classing.default_class = CLASS_FRESH;
	if (!llfree_is_ok(llfree_init_zeroed(zone->llfree, zone->frames.count,
					     meta, &classing)))
		return false;
	classing.default_class = used;
	return llfree_is_ok(llfree_init(zone->llfree, zone->frames.count,
					LLFREE_INIT_NONE, meta, &classing));
}

bool zone_start(uint8_t *mapping)
{
	for_each_zone(zone) {
		llfree_meta_t meta = {
			.local = mapping + zone->local,
			.trees = mapping + zone->trees,
			.lower = mapping + zone->lower,
		};

		zone->llfree = (llfree_t *)(void *)(mapping + zone->handle);
		if (!start(zone, meta))
			return false;
	}
	return true;
}
