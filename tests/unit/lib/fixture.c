/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "tests/unit/lib/fixture.h"

static uint8_t *garbage(size_t size)
{
	void *buffer = NULL;

	assert_int_equal(posix_memalign(&buffer, LLFREE_CACHE_SIZE, size), 0);
	memset(buffer, 0xa5, size);
	return buffer;
}

void fx_alloc(struct fx *fx, size_t frames, const llfree_classing_t *classing)
{
	fx->frames = frames;
	fx->classing = *classing;
	fx->size = llfree_metadata_size(classing, frames);
	assert_true(fx->size.llfree > 0 && fx->size.trees > 0);
	assert_true(fx->size.lower > 0);
	fx->self = (llfree_t *)garbage(fx->size.llfree);
	fx->meta.local = garbage(fx->size.local);
	fx->meta.trees = garbage(fx->size.trees);
	fx->meta.lower = garbage(fx->size.lower);
}

void fx_release(struct fx *fx)
{
	free(fx->self);
	free(fx->meta.local);
	free(fx->meta.trees);
	free(fx->meta.lower);
}

void fx_make(struct fx *fx, size_t frames, uint8_t mode,
	     const llfree_classing_t *classing)
{
	fx_alloc(fx, frames, classing);
	assert_ok(llfree_init(fx->self, frames, mode, fx->meta, classing));
}

void fx_end(struct fx *fx)
{
	fx_check(fx);
	fx_release(fx);
}

void fx_check(const struct fx *fx)
{
	ll_stats_t exact = llfree_stats(fx->self);
	ll_tree_stats_t fast = llfree_tree_stats(fx->self);
	size_t free_frames = 0, alloc_frames = 0;

	llfree_validate(fx->self);
	for (size_t i = 0; i < LLFREE_MAX_CLASSES; i++) {
		free_frames += fast.classes[i].free_frames;
		alloc_frames += fast.classes[i].alloc_frames;
	}
	assert_int_equal(fast.free_frames, exact.free_frames);
	assert_int_equal(fast.free_trees, exact.free_trees);
	assert_int_equal(free_frames, exact.free_frames);
	assert_int_equal(alloc_frames, fx->frames - exact.free_frames);
}

static uint8_t *duplicate(const void *from, size_t size)
{
	uint8_t *copy = malloc(size + 1);

	assert_non_null(copy);
	memcpy(copy, from, size);
	return copy;
}

struct fx_copy fx_copy(const struct fx *fx)
{
	struct fx_copy copy = {
		.self = duplicate(fx->self, fx->size.llfree),
		.local = duplicate(fx->meta.local, fx->size.local),
		.trees = duplicate(fx->meta.trees, fx->size.trees),
		.lower = duplicate(fx->meta.lower, fx->size.lower),
		.stats = llfree_stats(fx->self),
	};
	return copy;
}

void fx_copy_release(struct fx_copy *copy)
{
	free(copy->self);
	free(copy->local);
	free(copy->trees);
	free(copy->lower);
}

void fx_assert_same(const struct fx *fx, const struct fx_copy *copy)
{
	assert_memory_equal(fx->self, copy->self, fx->size.llfree);
	if (fx->size.local)
		assert_memory_equal(fx->meta.local, copy->local,
				    fx->size.local);
	assert_memory_equal(fx->meta.trees, copy->trees, fx->size.trees);
	fx_assert_same_lower(fx, copy);
}

void fx_assert_same_lower(const struct fx *fx, const struct fx_copy *copy)
{
	ll_stats_t now = llfree_stats(fx->self);

	assert_memory_equal(fx->meta.lower, copy->lower, fx->size.lower);
	assert_int_equal(now.free_frames, copy->stats.free_frames);
	assert_int_equal(now.free_huge, copy->stats.free_huge);
	assert_int_equal(now.free_trees, copy->stats.free_trees);
	fx_check(fx);
}

/* The frames of a huge frame that is neither free nor taken as a whole. */
static void map_frames(const struct fx *fx, uint8_t *map, size_t first,
		       size_t count)
{
	for (size_t i = first; i < first + count; i++)
		map[i] =
			llfree_stats_at(fx->self, frame_id(i), 0).free_frames ==
			0;
}

uint8_t *fx_map(const struct fx *fx)
{
	uint8_t *map = malloc(fx->frames);

	assert_non_null(map);
	for (size_t i = 0; i < fx->frames; i += HUGE_FRAME) {
		size_t left = fx->frames - i;
		size_t count = left < HUGE_FRAME ? left : HUGE_FRAME;
		size_t free_frames = llfree_stats_at(fx->self, frame_id(i),
						     LLFREE_HUGE_ORDER)
					     .free_frames;

		if (free_frames > 0 && free_frames < count)
			map_frames(fx, map, i, count);
		else
			memset(map + i, free_frames == 0, count);
	}
	return map;
}

void fx_assert_map(const struct fx *fx, const uint8_t *map)
{
	uint8_t *now = fx_map(fx);

	assert_memory_equal(now, map, fx->frames);
	free(now);
	fx_check(fx);
}

size_t fx_free_frames(const struct fx *fx)
{
	return llfree_stats(fx->self).free_frames;
}

size_t fx_trees(const struct fx *fx)
{
	return (fx->frames + TREE - 1) / TREE;
}

size_t fx_tree_free(const struct fx *fx, size_t tree)
{
	return llfree_stats_at(fx->self, frame_id(tree * TREE),
			       LLFREE_TREE_ORDER)
		.free_frames;
}

static llfree_policy_t fuller_first(uint8_t requested, uint8_t target,
				    size_t free)
{
	size_t used = TREE - free;
	llfree_policy_t policy = { LLFREE_POLICY_MATCH,
				   (uint8_t)(used * UINT8_MAX / TREE) };

	if (requested != target)
		policy.type = LLFREE_POLICY_INVALID;
	return policy;
}

llfree_classing_t fx_one_class(size_t slots)
{
	llfree_classing_t classing = { .classes = { { 0, slots } },
				       .num_classes = 1,
				       .default_class = 0,
				       .policy = fuller_first };
	return classing;
}

llfree_request_t fx_order(unsigned order)
{
	return llreq((uint8_t)order, 0, ll_none());
}

llfree_request_t fx_slot(unsigned order, size_t slot)
{
	return llreq((uint8_t)order, 0, ll_some(slot));
}

size_t fx_get(struct fx *fx, llfree_request_t request)
{
	llfree_result_t got = llfree_get(fx->self, frame_id_none(), request);
	size_t size = (size_t)1 << request.order;

	assert_ok(got);
	assert_int_equal(got.frame.value % size, 0);
	assert_in_range(got.frame.value, 0, fx->frames - size);
	return (size_t)got.frame.value;
}

void fx_get_at(struct fx *fx, size_t frame, llfree_request_t request)
{
	llfree_result_t got = llfree_get(fx->self, fx_at(frame), request);

	assert_ok(got);
	assert_int_equal(got.frame.value, frame);
}

void fx_put(struct fx *fx, size_t frame, llfree_request_t request)
{
	assert_ok(llfree_put(fx->self, frame_id(frame), request));
}

void fx_take(struct fx *fx, size_t frame, size_t frames)
{
	llfree_result_t got =
		llfree_get_range(fx->self, fx_at(frame), frames, fx_order(0));

	assert_ok(got);
	assert_int_equal(got.frame.value, frame);
}

void fx_give(struct fx *fx, size_t frame, size_t frames)
{
	assert_ok(llfree_put_range(fx->self, frame_id(frame), frames,
				   fx_order(0)));
}

frame_id_optional_t fx_at(size_t frame)
{
	return frame_id_some(frame_id(frame));
}

uint64_t fx_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1dull;
}

size_t fx_below(uint64_t *state, size_t bound)
{
	return (size_t)((fx_random(state) >> 20) % bound);
}
