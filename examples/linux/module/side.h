/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The allocators that are compared. A block is the number of its first page
 * frame; 0 is none.
 */
#pragma once

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/types.h>

struct side {
	const char *name;
	unsigned long (*get)(unsigned int order);
	void (*put)(unsigned long pfn, unsigned int order);
	/* How often a processor had to wait or to repeat, so far. */
	u64 (*contended)(void);
	/* How much is free, in frames, and in whole huge frames. */
	void (*free)(size_t *frames, size_t *huge);
};

/* The kernel's. Without reclaim, as there is nothing to reclaim. */
static inline unsigned long kernel_get(unsigned int order)
{
	struct page *page = alloc_pages(GFP_NOWAIT | __GFP_NOWARN, order);

	return page ? page_to_pfn(page) : 0;
}

static inline void kernel_put(unsigned long pfn, unsigned int order)
{
	__free_pages(pfn_to_page(pfn), order);
}

enum { SIDE_LLFREE, SIDE_KERNEL, SIDES };
extern const struct side sides[SIDES];

/* Count contended spin locks between these two; 0, or a negative errno. */
int side_count_locks(void);
void side_count_locks_end(void);
