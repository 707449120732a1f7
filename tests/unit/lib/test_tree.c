/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* lib/tree: each field of a tree's word keeps out of the others' way. */

#include "tests/unit/lib/fixture.h"

#include "lib/tree.h"

static const size_t counts[] = { 0, 1, 2, ROW, HUGE_FRAME - 1, TREE - 1, TREE };

/* All that a tree can be, but for its version. */
#define EVERY_TREE(tree, body)                                              \
	for (size_t n_ = 0; n_ < LENGTH(counts); n_++)                      \
		for (uint8_t c_ = 0; c_ < LLFREE_MAX_CLASSES; c_++)         \
			for (unsigned f_ = 0; f_ < 4; f_++)                 \
				for (size_t r_ = 0; r_ < TREE;              \
				     r_ += TREE / 8) {                      \
					tree_t tree =                       \
						tree_new(counts[n_], c_);   \
					tree |= f_ & 1 ? TREE_RESERVED : 0; \
					tree |= f_ & 2 ? TREE_OFFLINE : 0;  \
					tree_move(&tree, frame_id(r_));     \
					body                                \
				}

/* Everything but the count and what a version counts. */
static tree_t rest(tree_t tree)
{
	return tree & (TREE_ROW | TREE_CLASS | TREE_RESERVED | TREE_OFFLINE);
}

static tree_t version(tree_t tree)
{
	return tree / TREE_VERSION_ONE;
}

static void test_new(void **state)
{
	(void)state;
	for (size_t n = 0; n < LENGTH(counts); n++)
		for (uint8_t c = 0; c < LLFREE_MAX_CLASSES; c++) {
			tree_t tree = tree_new(counts[n], c);

			assert_int_equal(tree_free(tree), counts[n]);
			assert_int_equal(tree_counted(tree), counts[n]);
			assert_int_equal(tree_class(tree), c);
			assert_int_equal(tree_hint(tree), 0);
			assert_false(tree_is_reserved(tree));
			assert_false(tree_is_offline(tree));
		}
}

static void test_claim_some(void **state)
{
	(void)state;
	EVERY_TREE(tree, {
		for (size_t i = 0; i < LENGTH(counts); i++) {
			tree_t next = tree;
			size_t some = tree_free(tree);
			size_t claimed = 0;

			some = some < counts[i] ? some : counts[i];
			assert_int_equal(tree_claim_some(&next, counts[i],
							 &claimed),
					 some > 0);
			assert_int_equal(claimed, some);
			assert_true(next == tree - some);
			assert_true(rest(next) == rest(tree));
		}
	})
}

static void test_claim(void **state)
{
	(void)state;
	EVERY_TREE(tree, {
		for (size_t i = 1; i < LENGTH(counts); i++) {
			tree_t next = tree;
			bool enough = tree_free(tree) >= counts[i];

			assert_int_equal(tree_claim(&next, counts[i]), enough);
			assert_true(next == tree - (enough ? counts[i] : 0));
			assert_true(rest(next) == rest(tree));
		}
	})
}

/* An offline tree has nothing, and loses none of what it counts. */
static void test_offline_has_nothing(void **state)
{
	(void)state;
	EVERY_TREE(tree, {
		if (tree_is_offline(tree)) {
			assert_int_equal(tree_free(tree), 0);
			assert_int_equal(tree_counted(tree), counts[n_]);
			assert_int_equal(tree_counted(tree ^ TREE_OFFLINE),
					 counts[n_]);
		}
	})
}

/* Up to what is managed; a tree that is all free has the default class. */
static void test_give(void **state)
{
	(void)state;
	EVERY_TREE(tree, {
		for (size_t i = 1; i < LENGTH(counts); i++) {
			tree_t next = tree;
			size_t sum = size_min(counts[n_] + counts[i], TREE);
			bool back = sum == TREE && !tree_is_reserved(tree);

			assert_true(tree_give(&next, counts[i], TREE, 5));
			assert_int_equal(tree_counted(next), sum);
			assert_int_equal(tree_class(next), back ? 5 : c_);
			assert_true((rest(next) & ~TREE_CLASS) ==
				    (rest(tree) & ~TREE_CLASS));
			assert_true(version(next) > version(tree));
		}
	})
}

/* In a partial tree that is when all that is managed is free. */
static void test_give_to_partial(void **state)
{
	tree_t tree = tree_new(0, 1);

	(void)state;
	assert_true(tree_give(&tree, 6, 9, 2));
	assert_int_equal(tree_class(tree), 1);
	assert_true(tree_give(&tree, 3, 9, 2));
	assert_int_equal(tree_class(tree), 2);
	assert_true(tree_give(&tree, 3, 9, 2));
	assert_int_equal(tree_counted(tree), 9);
}

static void test_reserve(void **state)
{
	(void)state;
	EVERY_TREE(tree, {
		tree_t next = tree;
		bool can = f_ == 0;

		assert_int_equal(tree_reserve(&next, 3), can);
		assert_int_equal(tree_counted(next), tree_counted(tree));
		assert_int_equal(tree_hint(next), tree_hint(tree));
		assert_true(can || next == tree);
		assert_true(!can || version(next) > version(tree));
		assert_int_equal(tree_class(next), can ? 3 : c_);
		if (can) {
			assert_true(tree_is_reserved(next));
			assert_true(tree_unreserve(&next, TREE, 6));
			assert_false(tree_is_reserved(next));
			assert_int_equal(tree_class(next),
					 counts[n_] == TREE ? 6 : 3);
		}
	})
}

static void test_move_and_class(void **state)
{
	(void)state;
	EVERY_TREE(tree, {
		for (size_t at = 0; at < TREE; at += ROW + TREE / 9) {
			tree_t next = tree;

			assert_true(tree_move(&next, frame_id(5 * TREE + at)));
			assert_int_equal(tree_hint(next), at / ROW * ROW);
			assert_true((next & ~TREE_ROW) == (tree & ~TREE_ROW));
			assert_true(tree_set_class(&next, 7 - c_));
			assert_int_equal(tree_class(next), 7 - c_);
			assert_int_equal(tree_hint(next), at / ROW * ROW);
			assert_int_equal(tree_counted(next), counts[n_]);
		}
	})
}

/* The version runs over into nothing. */
static void test_version_wraps(void **state)
{
	tree_t tree = tree_new(7, 2) | ~(TREE_VERSION_ONE - 1);

	(void)state;
	assert_true(tree_give(&tree, 1, TREE, 0));
	assert_true(tree == tree_new(8, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_claim),
		cmocka_unit_test(test_claim_some),
		cmocka_unit_test(test_offline_has_nothing),
		cmocka_unit_test(test_give),
		cmocka_unit_test(test_give_to_partial),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_move_and_class),
		cmocka_unit_test(test_version_wraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
