/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* lib/local: a slot names a tree, or none. */

#include "tests/unit/lib/fixture.h"

#include "lib/local.h"

static const size_t trees[] = { 0, 1, 2, 63, 4095, (size_t)1 << 40 };

static void test_slot(void **state)
{
	(void)state;
	assert_false(slot_is_present(0));
	for (size_t i = 0; i < LENGTH(trees); i++) {
		slot_t slot = slot_of(tree_id(trees[i]));

		assert_true(slot_is_present(slot));
		assert_true(slot_tree(slot).value == trees[i]);
		assert_false(slot_holds(0, tree_id(trees[i])));
		for (size_t j = 0; j < LENGTH(trees); j++)
			assert_int_equal(slot_holds(slot, tree_id(trees[j])),
					 i == j);
	}
}

static void test_replace(void **state)
{
	local_t local = { 0 };
	slot_t before = 0;

	(void)state;
	for (size_t i = 0; i < LENGTH(trees); i++) {
		slot_t slot = slot_of(tree_id(trees[i]));

		assert_true(local_replace(&local, slot) == before);
		assert_true(local.slot == slot);
		before = slot;
	}
	assert_true(local_replace(&local, 0) == before);
	assert_true(local_replace(&local, 0) == 0);
}

/* Only the tree that it has can be lost, and only once. */
static void test_lose(void **state)
{
	local_t local = { 0 };

	(void)state;
	assert_false(local_lose(&local, tree_id(0)));
	local_replace(&local, slot_of(tree_id(3)));
	assert_false(local_lose(&local, tree_id(0)));
	assert_false(local_lose(&local, tree_id(2)));
	assert_false(local_lose(&local, tree_id(4)));
	assert_true(slot_holds(local.slot, tree_id(3)));
	assert_true(local_lose(&local, tree_id(3)));
	assert_false(slot_is_present(local.slot));
	assert_false(local_lose(&local, tree_id(3)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slot),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_lose),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
