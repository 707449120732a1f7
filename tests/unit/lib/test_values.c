/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* The header's values: ids, optionals, results, requests, sizes. */

#include "tests/unit/lib/fixture.h"

static void test_ids(void **state)
{
	(void)state;
	assert_true(frame_id(UINT64_MAX).value == UINT64_MAX);
	assert_int_equal(frame_id(0).value, 0);
	assert_true(tree_id(SIZE_MAX).value == SIZE_MAX);
	assert_int_equal(tree_id(7).value, 7);
	assert_int_equal(sizeof(frame_id_t), 8);
}

static void test_optionals(void **state)
{
	(void)state;
	assert_true(ll_some(0).present);
	assert_true(ll_some(SIZE_MAX).value == SIZE_MAX);
	assert_false(ll_none().present);
	assert_true(frame_id_some(frame_id(5)).present);
	assert_int_equal(frame_id_some(frame_id(5)).value.value, 5);
	assert_false(frame_id_none().present);
	assert_true(tree_id_some(tree_id(6)).present);
	assert_int_equal(tree_id_some(tree_id(6)).value.value, 6);
	assert_false(tree_id_none().present);
}

static void test_results(void **state)
{
	llfree_result_t ok = llfree_ok(frame_id(77), 3);

	(void)state;
	assert_true(llfree_is_ok(ok));
	assert_int_equal(ok.frame.value, 77);
	assert_int_equal(ok.class, 3);
	assert_int_equal(ok.error, LLFREE_ERR_OK);
	for (uint8_t e = LLFREE_ERR_MEMORY; e <= LLFREE_ERR_INIT; e++) {
		assert_false(llfree_is_ok(llfree_err(e)));
		assert_int_equal(llfree_err(e).error, e);
	}
}

static void test_requests(void **state)
{
	llfree_request_t with = llreq(4, 2, ll_some(9));
	llfree_request_t without = llreq(0, 7, ll_none());

	(void)state;
	assert_int_equal(with.order, 4);
	assert_int_equal(with.class, 2);
	assert_true(with.local.present);
	assert_int_equal(with.local.value, 9);
	assert_int_equal(without.class, 7);
	assert_false(without.local.present);
}

static void test_numbers(void **state)
{
	(void)state;
	assert_int_equal(LLFREE_ERR_OK, 0);
	assert_int_equal(LLFREE_ERR_MEMORY, 1);
	assert_int_equal(LLFREE_ERR_ARGUMENT, 2);
	assert_int_equal(LLFREE_ERR_INIT, 3);
	assert_int_equal(LLFREE_INIT_FREE, 0);
	assert_int_equal(LLFREE_INIT_ALLOC, 1);
	assert_int_equal(LLFREE_INIT_RECOVER, 2);
	assert_int_equal(LLFREE_INIT_NONE, 4);
	assert_int_equal(LLFREE_INIT_MAX, 5);
	assert_int_equal(LLFREE_POLICY_MATCH, 0);
	assert_int_equal(LLFREE_POLICY_STEAL, 1);
	assert_int_equal(LLFREE_POLICY_DEMOTE, 2);
	assert_int_equal(LLFREE_POLICY_INVALID, 3);
	assert_int_equal(LLFREE_TREE_OP_NONE, 0);
	assert_int_equal(LLFREE_TREE_OP_ONLINE, 1);
	assert_int_equal(LLFREE_TREE_OP_OFFLINE, 2);
}

static void test_sizes(void **state)
{
	(void)state;
	assert_int_equal(LLFREE_CACHE_SIZE, 64);
	assert_int_equal(LLFREE_FRAME_BITS, 12);
	assert_int_equal(LLFREE_FRAME_SIZE, 4096);
	assert_int_equal(LLFREE_HUGE_ORDER, 9);
	assert_int_equal(LLFREE_ATOMIC_ORDER, 6);
	assert_int_equal(LLFREE_ATOMIC_SIZE, 64);
	assert_int_equal(LLFREE_CHILD_ORDER, LLFREE_HUGE_ORDER);
	assert_int_equal(LLFREE_CHILD_SIZE, 512);
	assert_int_equal(LLFREE_TREE_CHILDREN, 1 << LLFREE_TREE_CHILDREN_ORDER);
	assert_int_equal(LLFREE_TREE_ORDER, 9 + LLFREE_TREE_CHILDREN_ORDER);
	assert_int_equal(LLFREE_TREE_SIZE, 512 * LLFREE_TREE_CHILDREN);
	assert_int_equal(LLFREE_MAX_ORDER, LLFREE_TREE_ORDER);
	assert_true(LLFREE_ALIGN == (size_t)LLFREE_TREE_SIZE * 4096);
	assert_int_equal(LLFREE_CLASS_BITS, 3);
	assert_int_equal(LLFREE_MAX_CLASSES, 8);
	assert_int_equal(LLFREE_CLASS_NONE, UINT8_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_optionals),
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
