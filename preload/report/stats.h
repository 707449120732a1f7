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

/* Have `inherit` called in a child of fork when its counters are zero. */
void stats_on_fork(void (*inherit)(void));

void stats_add(unsigned stat, uint64_t n);

static inline void stats_count(unsigned stat, uint64_t n)
{
	if (__builtin_expect(stats_on, 0))
		stats_add(stat, n);
}

/*
 * Find out whether this process is a child of fork in which no fork handler has
 * run. Called at the start of each call that allocates or frees, when the call
 * holds no frames yet, and not only at the first event that it counts.
 */
void stats_notice_fork(void);

static inline void stats_enter(void)
{
	if (__builtin_expect(stats_on, 0))
		stats_notice_fork();
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

/*
 * The process that the counters belong to. In a child of fork that has not
 * counted yet, stats_owner makes them the child's, from zero.
 */
enum stats_owner {
	STATS_OURS, /* this process, which is no child of fork */
	STATS_CHILD, /* this process, a child of fork */
	STATS_PARENT, /* the parent: this is a child of vfork */
};
enum stats_owner stats_owner(void);

/* Start from zero in a child of fork, as early as possible. Where the kernel can
 * clear a page on fork, the child would find out by itself. */
void stats_forked(void);

/* Return true once in a process, to the thread that may write its report. */
bool stats_claim_report(void);
/* Let another report follow, because the process goes on after all. */
void stats_unclaim_report(void);
