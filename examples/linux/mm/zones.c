// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: the llfree-preload contributors

#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/smp.h>

#include <llfree.h>
#include <llfree_platform.h>
#include "zones.h"

struct instance {
	llfree_t *llfree;
	unsigned long first_pfn;
};

static struct instance instances[MAX_NR_ZONES] __ro_after_init;
static bool wanted __initdata = true;
bool llfree_active __ro_after_init;
DEFINE_PER_CPU(unsigned long, llfree_retries);

static int __init read_wanted(char *value)
{
	return kstrtobool(value, &wanted);
}
early_param("llfree", read_wanted);

/* ------------------------------------------------------------------------ */
/* Mistakes                                                                  */

#ifdef CONFIG_LLFREE_MISTAKES
enum mistake { NO_MISTAKE, LOSE, KEEP_FREE };

static unsigned int chosen_mistake __ro_after_init;

static int __init read_mistake(char *value)
{
	return kstrtouint(value, 0, &chosen_mistake);
}
early_param("llfree_mistake", read_mistake);

/* Return whether now is the time for it. */
static bool mistake(enum mistake kind)
{
	static atomic_t calls;

	return unlikely(chosen_mistake == kind) &&
	       atomic_inc_return(&calls) % 16384 == 0;
}
#else
#define mistake(kind) false
#endif

/* ------------------------------------------------------------------------ */

llfree_t *llfree_of_zone(const struct zone *zone)
{
	return instances[zone_idx(zone)].llfree;
}

unsigned long llfree_first_pfn(const struct zone *zone)
{
	return instances[zone_idx(zone)].first_pfn;
}

static llfree_request_t request(unsigned int order, bool movable)
{
	return llfree_movable_request(nr_cpu_ids, order, raw_smp_processor_id(),
				      movable);
}

static void __init make_instance(struct instance *instance, struct zone *zone)
{
	llfree_classing_t classing = llfree_classing_movable(nr_cpu_ids);
	unsigned long first =
		round_down(zone->zone_start_pfn, LLFREE_TREE_SIZE);
	size_t frames = max(zone_end_pfn(zone) - first,
			    (unsigned long)LLFREE_HUGE_SIZE);
	llfree_meta_size_t size = llfree_metadata_size(&classing, frames);
	llfree_meta_t meta = {
		.local = memblock_alloc(size.local, LLFREE_CACHE_SIZE),
		.trees = memblock_alloc(size.trees, LLFREE_CACHE_SIZE),
		.lower = memblock_alloc(size.lower, LLFREE_CACHE_SIZE),
	};

	instance->llfree = memblock_alloc(size.llfree, LLFREE_CACHE_SIZE);
	instance->first_pfn = first;
	if (!instance->llfree || !meta.local || !meta.trees || !meta.lower ||
	    !llfree_is_ok(llfree_init(instance->llfree, frames,
				      LLFREE_INIT_ALLOC, meta, &classing)))
		panic("llfree: no instance for zone %s", zone->name);
}

void __init llfree_zones_init(void)
{
	struct zone *zone;

	if (!wanted)
		return;
	for_each_zone(zone)
		if (zone->spanned_pages)
			make_instance(&instances[zone_idx(zone)], zone);
	llfree_active = true;
}

struct page *llfree_zone_get(struct zone *zone, unsigned int order,
			     bool movable)
{
	struct instance *instance = &instances[zone_idx(zone)];
	llfree_result_t got = llfree_get(instance->llfree, frame_id_none(),
					 request(order, movable));

	if (!llfree_is_ok(got))
		return NULL;
	if (mistake(KEEP_FREE))
		llfree_put(instance->llfree, got.frame,
			   request(order, movable));
	return pfn_to_page(instance->first_pfn + got.frame.value);
}

/* Most pages that come and go are movable; for the others it is a worse hint. */
void llfree_zone_put(struct zone *zone, struct page *page, unsigned int order)
{
	struct instance *instance = &instances[zone_idx(zone)];
	unsigned long pfn = page_to_pfn(page);

	if (mistake(LOSE))
		return;
	if (!llfree_is_ok(llfree_put(instance->llfree,
				     frame_id(pfn - instance->first_pfn),
				     request(order, true))))
		panic("llfree: page %lu, order %u is freed, but not allocated",
		      pfn, order);
}

/* ------------------------------------------------------------------------ */
/* Free blocks                                                               */

/* Return whether a block is entirely free; if not, count those within. */
static bool count_within(const llfree_t *llfree, size_t first,
			 unsigned int order, size_t *blocks)
{
	size_t half = (1ul << order) / 2;
	bool low, high;

	if (order == 0 || order == LLFREE_HUGE_ORDER) {
		size_t free = llfree_stats_at(llfree, frame_id(first), order)
				      .free_frames;

		if (free == 0 || free == 1ul << order)
			return free;
	}
	low = count_within(llfree, first, order - 1, blocks);
	high = count_within(llfree, first + half, order - 1, blocks);
	if (!(low && high))
		blocks[order - 1] += low + high;
	return low && high;
}

void llfree_count_blocks(const struct zone *zone, size_t *blocks,
			 unsigned int orders)
{
	const llfree_t *llfree = llfree_of_zone(zone);
	unsigned int most = orders - 1;
	size_t first;

	memset(blocks, 0, orders * sizeof(*blocks));
	for (first = 0; first < llfree_frames(llfree); first += 1ul << most)
		blocks[most] += count_within(llfree, first, most, blocks);
}
