/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Counters of the requests and of what the arena did, for the report.
 *
 * Each processor counts in cache lines of its own. Threads and signal handlers
 * may count at once. Nothing is counted unless a report is wanted. A child of
 * fork starts from zero, however it was forked; a child of vfork or posix_spawn
 * runs in its parent's memory and counts there.
 */
#pragma once

#include "preload/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sizes are regions of up to 2^n pages; the last one has all larger regions. */
#define STATS_SIZES 26

/* The counters: one or two for each row of fields.def that is counted, and
 * then one for each reason and for each size. */
#define COUNTER(name) name,
#define COUNTERS(name) name, name##_BYTES,
#define MEMBER(name)
#define FUNCTION(name)
#define FIELD(group, place, key, words, unit, from) from

enum counter {
#include "preload/report/fields.def"
	STAT_PASSED, /* + enum reason: calls */
	STAT_PASSED_BYTES = STAT_PASSED + REASON_COUNT, /* + enum reason */
	STAT_SIZE = STAT_PASSED_BYTES + REASON_COUNT, /* + size: calls served */
	STAT_COUNT = STAT_SIZE + STATS_SIZES
};

#undef COUNTER
#undef COUNTERS
#undef MEMBER
#undef FUNCTION
#undef FIELD

extern bool stats_on;

/* Start to count, from zero. Call once. */
void stats_start(void);

/* Count from zero again: in a child of fork. */
void stats_forked(void);

void stats_add(unsigned stat, uint64_t n);

static inline void stats_count(unsigned stat, uint64_t n)
{
	if (__builtin_expect(stats_on, 0))
		stats_add(stat, n);
}

/* Count a request for `len` bytes that was served, or passed for a reason, in
 * `calls` and its counter of bytes. */
void stats_served(enum counter calls, size_t len);
void stats_mapped(size_t len, size_t page); /* served by mmap */
void stats_passed(enum counter calls, enum reason why, size_t len);

/* Return the size that a region of `pages` pages is counted in. */
unsigned stats_size(size_t pages);

/* Return whether anything was counted. */
bool stats_any(void);
uint64_t stats_sum(unsigned stat);
