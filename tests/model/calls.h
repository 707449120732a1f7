/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The calls that the threads of a scenario do, and what came of each.
 */
#pragma once

#include "tests/model/explore.h"

#include <llfree.h>

#define MODEL_TREES 3u
#define MODEL_FRAMES (MODEL_TREES * LLFREE_TREE_SIZE)
#define MODEL_SLOTS 3u /* of each class */
#define MODEL_OPS 4u
#define MODEL_BULK 3u /* frames of a bulk call */

typedef enum {
	OP_END, /* no more */
	OP_GET,
	OP_GET_AT,
	OP_PUT, /* of what is allocated from the start */
	OP_PUT_OWN, /* of what the thread's op number `frame` got */
	OP_RANGE,
	OP_RANGE_AT,
	OP_RANGE_PUT,
	OP_BULK, /* `frames` of them */
	OP_BULK_PUT, /* from `frame` on, 2^order apart */
	OP_BULK_PUT_OWN, /* what the thread's op number `frame` got */
	OP_DRAIN,
	OP_CHANGE, /* tree number `frame`: operation `order` */
} op_kind_t;

#define NO_SLOT -1

typedef struct {
	op_kind_t kind;
	size_t frame;
	size_t frames; /* of ranges and bulk calls; the others: 2^order */
	uint8_t order;
	uint8_t class;
	int slot; /* or NO_SLOT */
} op_t;

/*
 * What a call did: `result` counts when it is over. For bulk calls, `bulk` and
 * the frames that it is about; the checks then see a call for each of them.
 */
typedef struct {
	op_t op;
	llfree_result_t result;
	llfree_bulk_t bulk;
	frame_id_t frames[MODEL_BULK];
	uint64_t begin, end;
	bool begun, over;
} record_t;

/* How many frames it is about. */
static inline size_t op_frames(const op_t *op)
{
	return op->kind == OP_RANGE || op->kind == OP_RANGE_AT ||
			       op->kind == OP_RANGE_PUT
		       ? op->frames
		       : (size_t)1 << op->order;
}

static inline bool op_is_bulk(const op_t *op)
{
	return op->kind == OP_BULK || op->kind == OP_BULK_PUT ||
	       op->kind == OP_BULK_PUT_OWN;
}

static inline bool op_gets(const op_t *op)
{
	return op->kind == OP_GET || op->kind == OP_GET_AT ||
	       op->kind == OP_RANGE || op->kind == OP_RANGE_AT;
}

static inline bool op_puts(const op_t *op)
{
	return op->kind == OP_PUT || op->kind == OP_PUT_OWN ||
	       op->kind == OP_RANGE_PUT;
}
