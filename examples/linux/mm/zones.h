/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The free pages of each zone, in an instance of LLFree. An instance begins and
 * ends at or outside its zone; what is no page of the zone, or was never freed,
 * is allocated for ever.
 */
#pragma once

#include <linux/init.h>
#include <linux/types.h>

struct page;
struct zone;
struct llfree;

/* False before llfree_zones_init, and after llfree=0. */
extern bool llfree_active;

/* Make the instances, all allocated. While memblock can allocate. */
void __init llfree_zones_init(void);

/* Get 2^order pages of the zone, or null. Any context, interrupts on or off. */
struct page *llfree_zone_get(struct zone *zone, unsigned int order,
			     bool movable);

/* Put 2^order pages that are allocated. Any context. */
void llfree_zone_put(struct zone *zone, struct page *page, unsigned int order);

/*
 * Count the free blocks of each order below `orders`, each as large as it can be,
 * as a buddy allocator would have them. Beside running calls it is not exact.
 */
void llfree_count_blocks(const struct zone *zone, size_t *blocks,
			 unsigned int orders);

/* The instance of a zone, or null; and the page frame of its frame 0. */
struct llfree *llfree_of_zone(const struct zone *zone);
unsigned long llfree_first_pfn(const struct zone *zone);
