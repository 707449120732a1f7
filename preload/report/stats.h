/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Counters of what was asked for and what became of it, for the report.
 *
 * Each processor counts in cache lines of its own; any thread and any signal
 * handler may count beside any other. Nothing is counted unless a report was
 * asked for. A child of fork starts from zero, however it was forked; a child
 * of vfork or posix_spawn works in its parent's memory and counts there.
 */
#pragma once

#include "preload/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Regions of up to 2^n pages, the last one for all larger ones. */
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

/* Starts to count, from zero. Once. */
void stats_start(void);

/* Calls `inherit` in a child of fork when its counters have become zero. */
void stats_on_fork(void (*inherit)(void));

void stats_add(unsigned stat, uint64_t n);

static inline void stats_count(unsigned stat, uint64_t n)
{
	if (__builtin_expect(stats_on, 0))
		stats_add(stat, n);
}

/*
 * At the start of each call that hands out or takes back: a child of fork that
 * no handler of fork has run in finds out here, with nothing in its own hands,
 * and not at the first thing that it counts.
 */
void stats_notice_fork(void);

static inline void stats_enter(void)
{
	if (__builtin_expect(stats_on, 0))
		stats_notice_fork();
}

/* A request for `len` bytes that was served, or passed for a reason. */
void stats_served(enum counter calls, size_t len);
void stats_mapped(size_t len, size_t page); /* by mmap */
void stats_passed(enum counter calls, enum reason why, size_t len);

/* Which STAT_SIZE counts a region of `pages` pages. */
unsigned stats_size(size_t pages);

bool stats_any(void); /* whether anything was counted */
uint64_t stats_sum(unsigned stat);

/*
 * Whose counters these are. In a child that was forked and has not counted
 * yet, stats_owner makes them the child's.
 */
enum stats_owner {
	STATS_OURS,
	STATS_CHILD, /* of fork: ours, from zero */
	STATS_PARENT, /* after vfork: not ours */
};
enum stats_owner stats_owner(void);

/* In a child of fork, as early as can be; the child would find out itself if
 * the kernel can clear a page on fork. */
void stats_forked(void);

/* True once in a process, for the one who may write its report. */
bool stats_claim_report(void);
/* The report was premature: another one may follow. */
void stats_unclaim_report(void);
