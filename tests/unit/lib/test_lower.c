/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* lib/lower: set-up, layout, search within a tree, and places. */

#include "tests/unit/lib/fixture.h"

#include "lib/lower.h"

#define FRAMES (2 * TREE + HUGE_FRAME + ROW + 9)

static lower_t lower;
static uint8_t *buffer;

static void setup(lower_init_t how)
{
	void *memory = NULL;

	assert_int_equal(posix_memalign(&memory, 64, lower_size(FRAMES)), 0);
	buffer = memory;
	memset(buffer, how == LOWER_FREE_ZEROED ? 0 : 0x5a, lower_size(FRAMES));
	lower_init(&lower, FRAMES, buffer, how);
	assert_null(lower_broken(&lower));
}

static void teardown(void)
{
	assert_null(lower_broken(&lower));
	free(buffer);
}

static size_t free_frames(void)
{
	size_t sum = 0;

	for (size_t t = 0; t * TREE < FRAMES; t++) {
		size_t one = lower_free_in_tree(&lower, tree_id(t));

		assert_int_equal(lower_count_in_tree(&lower, tree_id(t)), one);
		sum += one;
	}
	return sum;
}

static void test_init(void **state)
{
	const lower_init_t ways[] = { LOWER_FREE, LOWER_FREE_ZEROED,
				      LOWER_ALLOC };

	(void)state;
	for (size_t i = 0; i < LENGTH(ways); i++) {
		setup(ways[i]);
		assert_int_equal(free_frames(),
				 ways[i] == LOWER_ALLOC ? 0 : FRAMES);
		for (size_t f = 0; f < FRAMES; f += 5)
			assert_int_equal(lower_is_free(&lower, frame_id(f)),
					 ways[i] != LOWER_ALLOC);
		assert_int_equal(lower_is_allocated(&lower, frame_id(0),
						    FRAMES),
				 ways[i] == LOWER_ALLOC);
		teardown();
	}
}

/* A tree's entries and bitfields are on no cache line of another tree. */
static void test_layout(void **state)
{
	(void)state;
	setup(LOWER_FREE);
	for (size_t h = CHILDREN; h * HUGE_FRAME < FRAMES; h += CHILDREN) {
		uintptr_t here = (uintptr_t)lower_child(&lower, huge_id(h));
		uintptr_t last = (uintptr_t)lower_child(&lower, huge_id(h - 1));

		assert_int_equal(here % LLFREE_CACHE_SIZE, 0);
		assert_true(here / 64 > last / 64);
	}
	for (size_t h = 0; h * HUGE_FRAME < FRAMES; h++) {
		const uint8_t *field =
			(const uint8_t *)lower_field(&lower, huge_id(h));
		const uint8_t *child =
			(const uint8_t *)lower_child(&lower, huge_id(h));

		assert_int_equal((uintptr_t)field % LLFREE_CACHE_SIZE, 0);
		assert_in_range(field - buffer, 0, lower_size(FRAMES) - 64);
		assert_in_range(child - buffer, 0, lower_size(FRAMES) - 2);
	}
	teardown();
}

/* Every place and many lengths within a tree, and back. */
static void test_places(void **state)
{
	const size_t lengths[] = { 1,	63, 64, 65, HUGE_FRAME, HUGE_FRAME + 1,
				   TREE };

	(void)state;
	setup(LOWER_FREE);
	for (size_t i = 0; i < LENGTH(lengths); i++)
		for (size_t at = 0; at + lengths[i] <= TREE;
		     at += 31 + TREE / 50) {
			frame_id_t first = frame_id(TREE + at);

			assert_true(lower_get_at(&lower, first, lengths[i]).ok);
			assert_true(
				lower_is_allocated(&lower, first, lengths[i]));
			assert_int_equal(free_frames(), FRAMES - lengths[i]);
			assert_false(
				lower_get_at(&lower, first, lengths[i]).ok);
			assert_int_equal(lower_put(&lower, first, lengths[i]),
					 lengths[i]);
			assert_int_equal(lower_put(&lower, first, lengths[i]),
					 0);
			assert_int_equal(free_frames(), FRAMES);
		}
	teardown();
}

/* A search stays in its tree, also when that is full and others are not. */
static void test_search_stays_in_tree(void **state)
{
	(void)state;
	setup(LOWER_FREE);
	for (unsigned order = 0; order <= MAX_ORDER; order++) {
		run_t want = { (size_t)1 << order, order };

		for (size_t n = 0; n < TREE >> order; n++) {
			found_t got = lower_get(&lower, frame_id(TREE), want);

			assert_true(got.ok);
			assert_int_equal(got.first.value / TREE, 1);
			assert_int_equal(got.first.value % want.frames, 0);
		}
		assert_false(lower_get(&lower, frame_id(TREE), want).ok);
		assert_false(lower_may_fit(&lower, tree_id(1), want));
		assert_true(lower_may_fit(&lower, tree_id(0), want));
		assert_int_equal(free_frames(), FRAMES - TREE);
		assert_int_equal(lower_put(&lower, frame_id(TREE), TREE), TREE);
	}
	teardown();
}

/* Partly used huge frames are used up before a free one is touched. */
static void test_keeps_huge_frames_whole(void **state)
{
	run_t one = { 1, 0 };

	(void)state;
	if (CHILDREN < 2) {
		print_message("# skipped: a tree has one huge frame only\n");
		skip();
	}
	setup(LOWER_FREE);
	assert_true(lower_get_at(&lower, frame_id(TREE - 1), 1).ok);
	for (size_t n = 1; n < HUGE_FRAME; n++) {
		found_t got = lower_search(&lower, frame_id(0), one);

		assert_true(got.ok);
		assert_int_equal(got.first.value / HUGE_FRAME, CHILDREN - 1);
	}
	assert_int_equal(lower_search(&lower, frame_id(0), one).first.value /
				 HUGE_FRAME,
			 0);
	teardown();
}

/* The last tree ends where the range ends. */
static void test_end(void **state)
{
	run_t one = { 1, 0 };
	size_t last = (FRAMES - 1) / TREE * TREE;

	(void)state;
	setup(LOWER_FREE);
	for (size_t n = last; n < FRAMES; n++) {
		found_t got = lower_get(&lower, frame_id(last), one);

		assert_true(got.ok);
		assert_in_range(got.first.value, last, FRAMES - 1);
	}
	assert_false(lower_get(&lower, frame_id(last), one).ok);
	teardown();
}

/* What a crash can leave: counts that say too little, and busy entries. */
static void test_recover(void **state)
{
	(void)state;
	setup(LOWER_FREE);
	assert_true(lower_get_at(&lower, frame_id(3), 70).ok);
	assert_true(lower_get_at(&lower, frame_id(TREE), HUGE_FRAME).ok);
	*lower_child(&lower, huge_id(0)) -= 9;
	*lower_child(&lower, huge_id(CHILDREN)) = CHILD_BUSY;
	lower_field(&lower, huge_id(CHILDREN))->rows[2] = 0;
	assert_non_null(lower_broken(&lower));
	lower_init(&lower, FRAMES, buffer, LOWER_RECOVER);
	assert_null(lower_broken(&lower));
	assert_int_equal(free_frames(), FRAMES - 70 - HUGE_FRAME);
	assert_true(lower_is_allocated(&lower, frame_id(TREE), HUGE_FRAME));
	teardown();
}

/* Each invariant that does not hold is told. */
static void test_broken(void **state)
{
	child_t *child;
	size_t past = (FRAMES + HUGE_FRAME - 1) / HUGE_FRAME;

	(void)state;
	setup(LOWER_FREE);
	child = lower_child(&lower, huge_id(0));
	*child = CHILD_FREE - 1;
	assert_non_null(lower_broken(&lower));
	*child = CHILD_BUSY;
	assert_non_null(lower_broken(&lower));
	*child = CHILD_WHOLE;
	assert_non_null(lower_broken(&lower));
	*child = CHILD_FREE;
	lower_field(&lower, huge_id(past - 1))->rows[7] = 0;
	assert_non_null(lower_broken(&lower));
	lower_field(&lower, huge_id(past - 1))->rows[7] = ROW_FULL;
	assert_null(lower_broken(&lower));
	if (past % CHILDREN) {
		*lower_child(&lower, huge_id(past)) = CHILD_FREE;
		assert_non_null(lower_broken(&lower));
		*lower_child(&lower, huge_id(past)) = CHILD_WHOLE;
	}
	teardown();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_search_stays_in_tree),
		cmocka_unit_test(test_keeps_huge_frames_whole),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_recover),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
