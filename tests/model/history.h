/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What a few threads call on one allocator, and whether what came of it is
 * right: whether the calls, each at one moment between its first and its last
 * step, give these results on a plain array of frames.
 *
 * Where the interface promises less than that, so does the check:
 * - A get may fail although something fits when calls in flight beside it had
 *   claimed it or not yet given it back: it must fit in a huge frame (for
 *   parts) or tree with all of their frames in that place counted as used.
 * - A put that is wrong and races may fail, whatever it puts.
 */
#pragma once

#include "tests/model/explore.h"

#include <llfree.h>

#define MODEL_TREES 3u
#define MODEL_FRAMES (MODEL_TREES * LLFREE_TREE_SIZE)
#define MODEL_SLOTS 3u /* of each class */
#define MODEL_OPS 4u

typedef enum {
	OP_END, /* no more */
	OP_GET,
	OP_GET_AT,
	OP_PUT, /* of what is allocated from the start */
	OP_PUT_OWN, /* of what the thread's op number `frame` got */
	OP_RANGE,
	OP_RANGE_AT,
	OP_RANGE_PUT,
	OP_DRAIN,
	OP_CHANGE, /* tree number `frame`: operation `order` */
} op_kind_t;

#define NO_SLOT -1

typedef struct {
	op_kind_t kind;
	size_t frame;
	size_t frames; /* of ranges; the others: 2^order */
	uint8_t order;
	uint8_t class;
	int slot; /* or NO_SLOT */
} op_t;

typedef struct {
	char name[96];
	size_t frames; /* managed */
	uint8_t init;
	bool wrong; /* some puts are mistakes: only safety is checked */
	unsigned threads;
	op_t before[16]; /* one thread's calls before the others begin */
	op_t ops[EXPLORE_THREADS][MODEL_OPS + 1];
} scenario_t;

/* All interleavings (up to so many preemptions), or with a stopped thread. */
explore_result_t scenario_explore(const scenario_t *scenario, bool stop,
				  unsigned preemptions);

/* Prints one execution. */
const char *scenario_replay(const scenario_t *scenario, const char *schedule);
