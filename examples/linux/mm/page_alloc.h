/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Included by mm/page_alloc.c behind its other headers: what our page_alloc.c
 * defines at its end and is used before.
 */
#include "llfree/names.h"

#ifdef CONFIG_LLFREE
#include <linux/version.h>
#include "llfree/zones.h"

/* Its functions that others call are its own now. */
static typeof(__zone_watermark_ok) buddy___zone_watermark_ok;

static void __init build_all_zonelists_init(void);
static struct page *rmqueue_buddy(struct zone *preferred_zone,
				  struct zone *zone, unsigned int order,
				  unsigned int alloc_flags, int migratetype);
static inline bool pcp_allowed_order(unsigned int order);

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
static typeof(alloc_pages_bulk_noprof) buddy_alloc_pages_bulk_noprof;

static void reserve_highatomic_pageblock(struct page *page, int order,
					 struct zone *zone);
/* The flags are an fpi_t, which has no name yet. */
static void free_one_page(struct zone *zone, struct page *page,
			  unsigned long pfn, unsigned int order, int flags);
#else
static typeof(__alloc_pages_bulk) buddy___alloc_pages_bulk;
static typeof(free_unref_page) buddy_free_unref_page;
static typeof(free_unref_page_list) buddy_free_unref_page_list;

static void reserve_highatomic_pageblock(struct page *page, struct zone *zone,
					 unsigned int order);
#endif
#endif
