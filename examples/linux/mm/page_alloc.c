// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: the llfree-preload contributors

/*
 * Included at the end of mm/page_alloc.c, whose functions of these names are
 * called buddy_NAME: what is got and put goes to LLFree. No zone lock, and no
 * lists of single pages for each processor.
 */
#ifdef CONFIG_LLFREE

static void __init build_all_zonelists_init(void)
{
	buddy_build_all_zonelists_init();
	llfree_zones_init();
}

static inline bool pcp_allowed_order(unsigned int order)
{
	return !llfree_active && buddy_pcp_allowed_order(order);
}

static struct page *rmqueue_buddy(struct zone *preferred_zone,
				  struct zone *zone, unsigned int order,
				  unsigned int alloc_flags, int migratetype)
{
	struct page *page;

	if (!llfree_active)
		return buddy_rmqueue_buddy(preferred_zone, zone, order,
					   alloc_flags, migratetype);
	do {
		page = llfree_zone_get(zone, order,
				       migratetype == MIGRATE_MOVABLE);
		if (!page)
			return NULL;
		mod_zone_page_state(zone, NR_FREE_PAGES, -(1l << order));
	} while (check_new_pages(page, order));
	__count_zid_vm_events(PGALLOC, zone_idx(zone), 1 << order);
	zone_statistics(preferred_zone, zone, 1);
	return page;
}

/* The pages have been prepared: they can be got at once. */
static void put_prepared(struct zone *zone, struct page *page,
			 unsigned int order)
{
	mod_zone_page_state(zone, NR_FREE_PAGES, 1l << order);
	llfree_zone_put(zone, page, order);
	__count_vm_events(PGFREE, 1 << order);
}

/*
 * LLFree has no count of free blocks of an order: a request passes when the
 * zone has enough pages, and may find out later that they are scattered.
 */
bool __zone_watermark_ok(struct zone *zone, unsigned int order,
			 unsigned long mark, int highest_zoneidx,
			 unsigned int alloc_flags, long free_pages)
{
	if (llfree_active) {
		free_pages -= (1l << order) - 1;
		order = 0;
	}
	return buddy___zone_watermark_ok(zone, order, mark, highest_zoneidx,
					 alloc_flags, free_pages);
}

/* Get all with what one may do without, but for the first. */
static unsigned long get_each(gfp_t gfp, int nid, nodemask_t *nodes, int count,
			      struct list_head *list, struct page **array,
			      struct page *(*get)(gfp_t, unsigned int, int,
						  nodemask_t *))
{
	int done = 0;

	while (done < count) {
		struct page *page;

		if (array && array[done]) {
			done++;
			continue;
		}
		page = get(gfp, 0, nid, nodes);
		if (!page)
			break;
		if (list)
			list_add(&page->lru, list);
		else
			array[done] = page;
		done++;
		gfp &= ~(__GFP_DIRECT_RECLAIM | __GFP_NOFAIL);
		gfp |= __GFP_NOWARN;
	}
	return done;
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)

static void reserve_highatomic_pageblock(struct page *page, int order,
					 struct zone *zone)
{
	if (!llfree_active)
		buddy_reserve_highatomic_pageblock(page, order, zone);
}

static void free_one_page(struct zone *zone, struct page *page,
			  unsigned long pfn, unsigned int order, fpi_t flags)
{
	if (llfree_active)
		put_prepared(zone, page, order);
	else
		buddy_free_one_page(zone, page, pfn, order, flags);
}

unsigned long alloc_pages_bulk_noprof(gfp_t gfp, int nid, nodemask_t *nodes,
				      int count, struct list_head *list,
				      struct page **array)
{
	if (llfree_active)
		return get_each(gfp, nid, nodes, count, list, array,
				__alloc_pages_noprof);
	return buddy_alloc_pages_bulk_noprof(gfp, nid, nodes, count, list,
					     array);
}

#else

static void reserve_highatomic_pageblock(struct page *page, struct zone *zone,
					 unsigned int order)
{
	if (!llfree_active)
		buddy_reserve_highatomic_pageblock(page, zone, order);
}

static void __free_pages_ok(struct page *page, unsigned int order, fpi_t flags)
{
	if (!llfree_active)
		buddy___free_pages_ok(page, order, flags);
	else if (free_pages_prepare(page, order, true, flags))
		put_prepared(page_zone(page), page, order);
}

void free_unref_page(struct page *page, unsigned int order)
{
	if (llfree_active)
		__free_pages_ok(page, order, FPI_NONE);
	else
		buddy_free_unref_page(page, order);
}

void free_unref_page_list(struct list_head *list)
{
	struct page *page, *next;

	if (!llfree_active) {
		buddy_free_unref_page_list(list);
		return;
	}
	list_for_each_entry_safe(page, next, list, lru)
	{
		list_del(&page->lru);
		__free_pages_ok(page, 0, FPI_NONE);
	}
}

unsigned long __alloc_pages_bulk(gfp_t gfp, int nid, nodemask_t *nodes,
				 int count, struct list_head *list,
				 struct page **array)
{
	if (llfree_active)
		return get_each(gfp, nid, nodes, count, list, array,
				__alloc_pages);
	return buddy___alloc_pages_bulk(gfp, nid, nodes, count, list, array);
}

#endif
#endif
