/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What the allocator's tests share: an allocator with buffers of exactly the
 * size that it asked for, copies of its state to compare with, and a small
 * random number generator. Alone: cmocka's assertions are for one thread.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <llfree.h>

#include <cmocka.h>

#define TREE ((size_t)LLFREE_TREE_SIZE)
#define HUGE_FRAME ((size_t)LLFREE_HUGE_SIZE)
#define ROW ((size_t)LLFREE_ATOMIC_SIZE)
#define CHILDREN ((size_t)LLFREE_TREE_CHILDREN)
#define MAX_ORDER ((unsigned)LLFREE_MAX_ORDER)
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define assert_ok(result) assert_int_equal((result).error, LLFREE_ERR_OK)
#define assert_err(result, code) \
	assert_int_equal((result).error, LLFREE_ERR_##code)

/* An allocator and what belongs to it. */
struct fx {
	llfree_t *self;
	llfree_meta_t meta;
	llfree_meta_size_t size;
	size_t frames;
	llfree_classing_t classing;
};

/* A copy of everything that an allocator keeps. */
struct fx_copy {
	uint8_t *self;
	uint8_t *local;
	uint8_t *trees;
	uint8_t *lower;
	ll_stats_t stats;
};

/* Garbage-filled buffers of the asked size; nothing initialised. */
void fx_alloc(struct fx *fx, size_t frames, const llfree_classing_t *classing);
/* Frees the buffers without looking at them. */
void fx_release(struct fx *fx);
/* fx_alloc and a successful llfree_init. */
void fx_make(struct fx *fx, size_t frames, uint8_t mode,
	     const llfree_classing_t *classing);
/* fx_check, then fx_release. */
void fx_end(struct fx *fx);

/* Every invariant that can be seen at rest: validate, both statistics. */
void fx_check(const struct fx *fx);

struct fx_copy fx_copy(const struct fx *fx);
void fx_copy_release(struct fx_copy *copy);
/* Byte for byte as it was. */
void fx_assert_same(const struct fx *fx, const struct fx_copy *copy);
/* The persistent part and the counts are as they were. */
void fx_assert_same_lower(const struct fx *fx, const struct fx_copy *copy);

/* One byte a frame, 1 when allocated; to be freed. */
uint8_t *fx_map(const struct fx *fx);
/* The map is as given, and the allocator is sound. */
void fx_assert_map(const struct fx *fx, const uint8_t *map);

size_t fx_free_frames(const struct fx *fx);
size_t fx_trees(const struct fx *fx);
/* Free frames of one tree. */
size_t fx_tree_free(const struct fx *fx, size_t tree);

/* One class 0 with `slots` slots; every tree matches, fuller ones better. */
llfree_classing_t fx_one_class(size_t slots);
/* Class 0, no slot. */
llfree_request_t fx_order(unsigned order);
/* Class 0, slot `slot`. */
llfree_request_t fx_slot(unsigned order, size_t slot);

/* Calls that must succeed. */
size_t fx_get(struct fx *fx, llfree_request_t request);
void fx_get_at(struct fx *fx, size_t frame, llfree_request_t request);
void fx_put(struct fx *fx, size_t frame, llfree_request_t request);
void fx_take(struct fx *fx, size_t frame, size_t frames);
void fx_give(struct fx *fx, size_t frame, size_t frames);

/* Short for frame_id_some(frame_id(frame)). */
frame_id_optional_t fx_at(size_t frame);

/* A random number (xorshift); the state must not be 0. */
uint64_t fx_random(uint64_t *state);
size_t fx_below(uint64_t *state, size_t bound);
