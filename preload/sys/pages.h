/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Pages of the kernel, and ranges of them.
 *
 * A struct region is a range of whole pages that does not wrap. Where a call of
 * the program arrives, region_of makes one of its arguments, and all below
 * relies on that. Units: bytes.
 */
#pragma once

#include "preload/sys/sys.h"

struct region {
	uintptr_t start;
	size_t len;
};

static inline struct region region(uintptr_t start, size_t len)
{
	struct region made = { start, len };
	return made;
}

static inline uintptr_t region_end(struct region r)
{
	return r.start + r.len;
}

/* What of `r` lies behind `at`, which is within it or its end. */
static inline struct region region_from(struct region r, uintptr_t at)
{
	return region(at, region_end(r) - at);
}

/* Round up to whole pages; 0 when the result would wrap. */
static inline size_t whole_pages(size_t len)
{
	size_t mask = sys_page_size() - 1;

	return (len + mask) & ~mask;
}

/* The address of the page that `addr` lies in. */
static inline uintptr_t page_of(const void *addr)
{
	return (uintptr_t)addr & ~(sys_page_size() - 1);
}

static inline bool is_page_aligned(uintptr_t addr)
{
	return !(addr & (sys_page_size() - 1));
}

/* Whether whole pages hold nothing but zeros. */
static inline bool is_zero(const void *addr, size_t len)
{
	const uint64_t *words = addr;

	for (size_t i = 0; i < len / sizeof(*words); i++)
		if (words[i])
			return false;
	return true;
}

/* The pages of [addr, addr + len). False when there are none, or `addr` is in
 * the middle of a page, or the range wraps: the kernel shall answer then. */
static inline bool region_of(const void *addr, size_t len, struct region *r)
{
	*r = region((uintptr_t)addr, whole_pages(len));
	return r->len && is_page_aligned(r->start) && region_end(*r) > r->start;
}

/* The same for every page that the range touches. */
static inline bool region_around(const void *addr, size_t len, struct region *r)
{
	uintptr_t start = page_of(addr);
	size_t before = (uintptr_t)addr - start;

	return len + before >= len &&
	       region_of((const void *)start, len + before, r);
}
