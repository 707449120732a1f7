/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Numbers of frames, huge frames and trees, and the conversions between them.
 * Each has a type of its own, so that the compiler finds a missing shift.
 */
#pragma once

#include <llfree.h>

/* On the path of nearly every call, where a call instruction or a value passed
 * in memory is measurable. */
#define HOT static inline __attribute__((always_inline))

/* Number of a huge frame: LLFREE_HUGE_SIZE frames, one child, one bitfield. */
typedef struct {
	size_t value;
} huge_id_t;

static inline huge_id_t huge_id(size_t value)
{
	return (huge_id_t){ value };
}

static inline huge_id_t huge_of_frame(frame_id_t frame)
{
	return huge_id(frame.value >> LLFREE_HUGE_ORDER);
}

static inline frame_id_t frame_of_huge(huge_id_t huge)
{
	return frame_id((uint64_t)huge.value << LLFREE_HUGE_ORDER);
}

static inline tree_id_t tree_of_frame(frame_id_t frame)
{
	return tree_id(frame.value >> LLFREE_TREE_ORDER);
}

static inline frame_id_t frame_of_tree(tree_id_t tree)
{
	return frame_id((uint64_t)tree.value << LLFREE_TREE_ORDER);
}

static inline tree_id_t tree_of_huge(huge_id_t huge)
{
	return tree_id(huge.value >> LLFREE_TREE_CHILDREN_ORDER);
}

/* Position of a frame within its huge frame. */
static inline size_t frame_in_huge(frame_id_t frame)
{
	return frame.value % LLFREE_HUGE_SIZE;
}

static inline frame_id_t frame_plus(frame_id_t frame, size_t frames)
{
	return frame_id(frame.value + frames);
}

static inline size_t size_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline size_t div_ceil(size_t n, size_t by)
{
	return n / by + (n % by != 0);
}

static inline bool is_aligned(uint64_t value, unsigned order)
{
	return (value & ((UINT64_C(1) << order) - 1)) == 0;
}

static inline uint64_t align_up(uint64_t value, unsigned order)
{
	uint64_t mask = (UINT64_C(1) << order) - 1;

	return (value + mask) & ~mask;
}

/*
 * The run of frames that a search looks for: `frames` contiguous frames, the
 * first one aligned to 2^align. A request of order k is a run of 2^k frames
 * aligned to 2^k.
 */
typedef struct {
	size_t frames;
	unsigned align;
} run_t;
