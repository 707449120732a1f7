/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The figures of the report as one table, fields.def, from which the counters
 * (stats.h), the text report, the JSON report and the check of the manual page
 * are made.
 *
 * To add a figure that is counted, edit three files:
 *
 *	1. Where it happens: stats_count(STAT_SPLITS, 1);
 *	2. fields.def, a row in its group:
 *	   FIELD(ALLOCATOR, LAST, "splits", "huge frames split", COUNT,
 *		 COUNTER(STAT_SPLITS))
 *	3. doc/llfree-preload.7, an item in the list of that group:
 *	   .It Va splits Pq huge frames split
 *	   and below it what the figure means.
 *
 * The row declares the counter, prints it in both reports and makes the tests
 * tests/doc/ fail until the manual page has the item. A figure that is computed
 * from other figures needs 2 and 3, and a function in fields.c in place of 1.
 *
 * The columns of FIELD:
 *
 *	group	a section of the text report and an object of the JSON report
 *	place	in the JSON object, from 1; LAST: behind all that have a number
 *	key	in JSON; "": the figure is in the text report only
 *	words	in the text report; "": the figure is in the JSON report only
 *	unit	see enum field_unit
 *	from	COUNTER(name): a counter, which this declares;
 *		COUNTERS(name): calls, and their bytes in name_BYTES;
 *		MEMBER(name): a member of struct report;
 *		FUNCTION(name): a function in fields.c
 *
 * Figures that are lists (requests by reason, regions by size, huge frames by
 * free part) are no rows: text.c and json.c each print them by themselves.
 */
#pragma once

#include "preload/arena/arena.h"
#include "preload/config.h"
#include "preload/report/stats.h"
#include "preload/sys/print.h"

/* What a report says, collected once. */
struct report {
	const struct config *settings;
	const char *trigger; /* what made the process report, as in "exit" */
	const char *background; /* see report_background */
	int64_t pid;
	bool running; /* the process goes on */
	bool any; /* something was counted */
	bool balanced; /* the counters agree with the arena */
	uint64_t counters[STAT_COUNT];
	struct arena_snapshot arena;
};

enum field_group {
	FIELD_MMAP,
	FIELD_MUNMAP,
	FIELD_MREMAP,
	FIELD_BRK,
	FIELD_CALLS,
	FIELD_MEMORY,
	FIELD_FRAGMENTATION,
	FIELD_ALLOCATOR,
	FIELD_ALTERED,
	FIELD_BALANCE,
	FIELD_GROUPS
};

struct field_group_names {
	const char *outer; /* the JSON object around it; "": the report */
	const char *key; /* the JSON object */
	const char *heading; /* in the text report; "": none of its own */
	const char *columns[2]; /* above the values; "": no such column */
};
extern const struct field_group_names field_groups[FIELD_GROUPS];

enum field_unit {
	UNIT_COUNT,
	UNIT_FRAMES, /* printed as bytes */
	UNIT_FRAMES_IF_ANY, /* no line in the text report for 0 */
	UNIT_CALLS, /* calls and their bytes; no line for 0 calls */
};

#define FIELD_LAST 10

struct field {
	enum field_group group;
	unsigned place;
	const char *key;
	const char *bytes_key; /* for the second value of UNIT_CALLS */
	const char *words;
	enum field_unit unit;
	size_t offset; /* in struct report, of a uint64_t */
	uint64_t (*function)(const struct report *report); /* or NULL */
};

/* Return the figure of `group` that follows `last`, the first one for NULL, or
 * NULL when there is no other. */
const struct field *field_next(enum field_group group,
			       const struct field *last);

/* Return the figure's value; in frames for UNIT_FRAMES. */
uint64_t field_value(const struct field *field, const struct report *report);
/* Return the bytes of UNIT_CALLS. */
uint64_t field_bytes(const struct field *field, const struct report *report);

/* Print the report (text.c, json.c). */
void report_text(struct print *out, const struct report *report);
void report_json(struct print *out, const struct report *report);
