/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* Classes and policies: the two ready-made ones, and some of our own. */

#include "tests/unit/lib/fixture.h"

/* ------------------------------------------------------------------------ */
/* Ready-made                                                                */

static void assert_conf(const llfree_classing_t *classing, size_t classes,
			size_t cores)
{
	assert_int_equal(classing->num_classes, classes);
	assert_int_equal(classing->default_class, classes - 1);
	for (uint8_t c = 0; c < classes; c++) {
		assert_int_equal(classing->classes[c].class, c);
		assert_int_equal(classing->classes[c].count, cores);
	}
}

static void test_classings(void **state)
{
	(void)state;
	for (size_t cores = 0; cores < 300; cores += 37) {
		llfree_classing_t simple = llfree_classing_simple(cores);
		llfree_classing_t movable = llfree_classing_movable(cores);

		assert_conf(&simple, 2, cores);
		assert_true(simple.policy == llfree_simple_policy);
		assert_conf(&movable, 3, cores);
		assert_true(movable.policy == llfree_movable_policy);
	}
}

static void assert_policy(llfree_policy_fn policy, uint8_t classes,
			  uint8_t lowest)
{
	for (uint8_t asked = 0; asked < classes; asked++)
		for (uint8_t has = 0; has < classes; has++)
			for (size_t free = 0; free <= TREE; free++) {
				llfree_policy_t p = policy(asked, has, free);

				if (asked != has) {
					assert_int_equal(
						p.type,
						asked > has
							? LLFREE_POLICY_STEAL
							: LLFREE_POLICY_DEMOTE);
					continue;
				}
				assert_int_equal(p.type, LLFREE_POLICY_MATCH);
				assert_int_equal(p.priority,
						 free >= TREE / 2    ? 1
						 : free >= TREE / 64 ? UINT8_MAX
								     : lowest);
			}
}

static void test_policies(void **state)
{
	(void)state;
	assert_policy(llfree_simple_policy, 2, 0);
	assert_policy(llfree_movable_policy, 3, 2);
}

static void test_requests(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= MAX_ORDER; order++) {
		for (size_t core = 0; core < 5; core++) {
			bool huge = order >= LLFREE_HUGE_ORDER;
			llfree_request_t simple =
				llfree_simple_request(5, (uint8_t)order, core);
			llfree_request_t fixed = llfree_movable_request(
				5, (uint8_t)order, core, false);
			llfree_request_t moves = llfree_movable_request(
				5, (uint8_t)order, core, true);

			assert_int_equal(simple.order, order);
			assert_int_equal(fixed.order, order);
			assert_int_equal(moves.order, order);
			assert_int_equal(simple.class, huge ? 1 : 0);
			assert_int_equal(fixed.class, huge ? 2 : 0);
			assert_int_equal(moves.class, huge ? 2 : 1);
			assert_true(simple.local.present);
			assert_int_equal(simple.local.value, core);
			assert_int_equal(fixed.local.value, core);
			assert_int_equal(moves.local.value, core);
		}
	}
}

/* The first small request demotes an empty tree, which is the huge class. */
static void test_simple_separates(void **state)
{
	llfree_classing_t classing = llfree_classing_simple(2);
	struct fx fx;

	(void)state;
	fx_make(&fx, 4 * TREE, LLFREE_INIT_FREE, &classing);
	llfree_result_t small = llfree_get(fx.self, frame_id_none(),
					   llfree_simple_request(2, 0, 0));
	llfree_result_t huge = llfree_get(fx.self, frame_id_none(),
					  llfree_simple_request(2, 9, 0));

	assert_ok(small);
	assert_int_equal(small.class, 0);
	assert_ok(huge);
	assert_int_equal(huge.class, 1);
	assert_int_not_equal(small.frame.value / TREE, huge.frame.value / TREE);
	fx_end(&fx);
}

/* With one tree only, a huge request steals from the small class. */
static void test_simple_steals(void **state)
{
	llfree_classing_t classing = llfree_classing_simple(1);
	struct fx fx;

	(void)state;
	if (CHILDREN < 2) {
		print_message("# skipped: a tree has one huge frame only\n");
		skip();
	}
	for (size_t drain = 0; drain < 2; drain++) {
		fx_make(&fx, TREE, LLFREE_INIT_FREE, &classing);
		assert_int_equal(llfree_get(fx.self, frame_id_none(),
					    llfree_simple_request(1, 0, 0))
					 .class,
				 0);
		if (drain)
			assert_ok(llfree_drain(fx.self));
		llfree_result_t huge =
			llfree_get(fx.self, frame_id_none(),
				   llfree_simple_request(1, 9, 0));

		assert_ok(huge);
		assert_int_equal(huge.class, 0);
		assert_int_equal(
			llfree_tree_stats(fx.self).classes[1].free_frames, 0);
		fx_end(&fx);
	}
}

/* A small request takes over a tree of the huge class when it must. */
static void test_simple_demotes(void **state)
{
	llfree_classing_t classing = llfree_classing_simple(1);
	struct fx fx;

	(void)state;
	if (CHILDREN < 2) {
		print_message("# skipped: a tree has one huge frame only\n");
		skip();
	}
	for (size_t drain = 0; drain < 2; drain++) {
		fx_make(&fx, TREE, LLFREE_INIT_FREE, &classing);
		assert_int_equal(llfree_get(fx.self, frame_id_none(),
					    llfree_simple_request(1, 9, 0))
					 .class,
				 1);
		if (drain)
			assert_ok(llfree_drain(fx.self));
		llfree_result_t small =
			llfree_get(fx.self, frame_id_none(),
				   llfree_simple_request(1, 0, 0));

		assert_ok(small);
		assert_int_equal(small.class, 0);
		assert_int_equal(
			llfree_tree_stats(fx.self).classes[1].alloc_frames, 0);
		fx_end(&fx);
	}
}

/* ------------------------------------------------------------------------ */
/* Of our own                                                                */

/* What another class's trees are good for; the same class always matches. */
static uint8_t foreign_type;

static llfree_policy_t foreign_policy(uint8_t requested, uint8_t target,
				      size_t free)
{
	llfree_policy_t policy = { LLFREE_POLICY_MATCH,
				   free == TREE ? 1 : 100 };

	if (requested != target)
		policy.type = foreign_type;
	return policy;
}

static llfree_classing_t two_classes(size_t slots)
{
	llfree_classing_t classing = { .classes = { { 0, slots },
						    { 1, slots } },
				       .num_classes = 2,
				       .default_class = 1,
				       .policy = foreign_policy };
	return classing;
}

static llfree_request_t of_class(unsigned order, uint8_t class, bool slot)
{
	return llreq((uint8_t)order, class, slot ? ll_some(0) : ll_none());
}

static void set_class(struct fx *fx, size_t tree, uint8_t class)
{
	llfree_tree_match_t match = { tree_id_some(tree_id(tree)),
				      LLFREE_CLASS_NONE, 0 };
	llfree_tree_change_t change = { class, LLFREE_TREE_OP_NONE };

	assert_ok(llfree_change_tree(fx->self, match, change));
}

/* Trees of a class that is not usable stay untouched, also at the end. */
static void test_invalid(void **state)
{
	llfree_classing_t classing = two_classes(1);
	struct fx fx;

	(void)state;
	foreign_type = LLFREE_POLICY_INVALID;
	for (size_t slot = 0; slot < 2; slot++) {
		fx_make(&fx, 4 * TREE, LLFREE_INIT_FREE, &classing);
		assert_err(llfree_get(fx.self, frame_id_none(),
				      of_class(0, 0, slot)),
			   MEMORY);
		set_class(&fx, 2, 0);
		for (size_t i = 0; i < TREE; i++) {
			llfree_result_t got = llfree_get(
				fx.self, frame_id_none(), of_class(0, 0, slot));
			assert_ok(got);
			assert_int_equal(got.class, 0);
			assert_int_equal(got.frame.value / TREE, 2);
		}
		assert_err(llfree_get(fx.self, frame_id_none(),
				      of_class(0, 0, slot)),
			   MEMORY);
		assert_int_equal(
			llfree_tree_stats(fx.self).classes[1].free_frames,
			3 * TREE);
		fx_end(&fx);
	}
}

static void test_steal(void **state)
{
	llfree_classing_t classing = two_classes(1);
	struct fx fx;

	(void)state;
	foreign_type = LLFREE_POLICY_STEAL;
	for (size_t slot = 0; slot < 2; slot++) {
		fx_make(&fx, 3 * TREE, LLFREE_INIT_FREE, &classing);
		for (size_t i = 0; i < 3 * TREE; i++) {
			llfree_result_t got = llfree_get(
				fx.self, frame_id_none(), of_class(0, 0, slot));
			assert_ok(got);
			assert_int_equal(got.class, 1);
		}
		ll_tree_stats_t stats = llfree_tree_stats(fx.self);

		assert_int_equal(stats.classes[1].alloc_frames, 3 * TREE);
		assert_int_equal(stats.classes[0].alloc_frames, 0);
		fx_end(&fx);
	}
}

static void test_demote(void **state)
{
	llfree_classing_t classing = two_classes(1);
	struct fx fx;

	(void)state;
	foreign_type = LLFREE_POLICY_DEMOTE;
	for (size_t slot = 0; slot < 2; slot++) {
		fx_make(&fx, 3 * TREE, LLFREE_INIT_FREE, &classing);
		for (size_t i = 0; i < 3 * TREE; i++) {
			llfree_result_t got = llfree_get(
				fx.self, frame_id_none(), of_class(0, 0, slot));
			assert_ok(got);
			assert_int_equal(got.class, 0);
		}
		ll_tree_stats_t stats = llfree_tree_stats(fx.self);

		assert_int_equal(stats.classes[0].alloc_frames, 3 * TREE);
		assert_int_equal(stats.classes[1].alloc_frames, 0);
		fx_end(&fx);
	}
}

/* What of it is counted, when all of three trees is got without a slot, and
 * then two frames of one tree through two slots. */
static void test_counters(void **state)
{
	llfree_classing_t classing = two_classes(2);
	llfree_counters_t counters;
	struct fx fx;

	(void)state;
	for (uint8_t type = LLFREE_POLICY_STEAL; type <= LLFREE_POLICY_DEMOTE;
	     type++) {
		bool steals = type == LLFREE_POLICY_STEAL;

		foreign_type = type;
		fx_make(&fx, 3 * TREE, LLFREE_INIT_FREE, &classing);
		for (size_t i = 0; i < 3 * TREE; i++)
			fx_get(&fx, of_class(0, 0, false));
		counters = llfree_counters(fx.self);
		assert_int_equal(counters.steals, steals ? 3 * TREE : 0);
		assert_int_equal(counters.demotions, steals ? 0 : 3);
		assert_int_equal(counters.reservations, 0);
		assert_int_equal(counters.reserved_steals, 0);
		fx_end(&fx);
	}
	fx_make(&fx, TREE, LLFREE_INIT_FREE, &classing);
	fx_get(&fx, llreq(0, 1, ll_some(0)));
	assert_int_equal(llfree_counters(fx.self).reservations, 1);
	fx_get(&fx, llreq(0, 1, ll_some(1)));
	assert_int_equal(llfree_counters(fx.self).reservations, 1);
	assert_int_equal(llfree_counters(fx.self).reserved_steals, 1);
	fx_end(&fx);
}

/*
 * A slot went on in the tree of another one, which a third has taken over
 * meanwhile: it has no more to do there than anyone of its class.
 */
static void test_demoted_beside_guest(void **state)
{
	llfree_classing_t classing = two_classes(2);
	llfree_result_t got;
	struct fx fx;

	(void)state;
	foreign_type = LLFREE_POLICY_DEMOTE;
	fx_make(&fx, TREE, LLFREE_INIT_FREE, &classing);
	fx_get(&fx, llreq(0, 0, ll_some(0)));
	fx_get(&fx, llreq(0, 0, ll_some(1)));
	fx_get(&fx, llreq(0, 1, ll_some(0)));
	assert_int_equal(llfree_tree_stats(fx.self).classes[1].alloc_frames, 3);
	got = llfree_get(fx.self, frame_id_none(), llreq(0, 0, ll_some(1)));
	assert_ok(got);
	assert_int_equal(got.class, 0);
	assert_int_equal(llfree_tree_stats(fx.self).classes[0].alloc_frames, 4);
	fx_end(&fx);
}

/* A tree of another class that matches takes the class when reserved. */
static void test_match_other_class(void **state)
{
	llfree_classing_t classing = two_classes(1);
	struct fx fx;

	(void)state;
	foreign_type = LLFREE_POLICY_MATCH;
	fx_make(&fx, 3 * TREE, LLFREE_INIT_FREE, &classing);
	llfree_result_t got =
		llfree_get(fx.self, frame_id_none(), of_class(0, 0, true));

	assert_ok(got);
	assert_int_equal(got.class, 0);
	ll_tree_stats_t stats = llfree_tree_stats(fx.self);

	assert_int_equal(stats.classes[0].free_frames, TREE - 1);
	assert_int_equal(stats.classes[1].free_frames, 2 * TREE);
	fx_end(&fx);
}

/* Without a slot, others' reservations are the last resort. */
static void test_no_slot_spares_reserved(void **state)
{
	llfree_classing_t classing = two_classes(1);
	struct fx fx;

	(void)state;
	foreign_type = LLFREE_POLICY_STEAL;
	fx_make(&fx, 3 * TREE, LLFREE_INIT_FREE, &classing);
	size_t held = fx_get(&fx, of_class(0, 1, true)) / TREE;

	for (size_t i = 0; i < 2 * TREE; i++)
		assert_int_not_equal(fx_get(&fx, of_class(0, 1, false)) / TREE,
				     held);
	for (size_t i = 1; i < TREE; i++)
		assert_int_equal(fx_get(&fx, of_class(0, 1, false)) / TREE,
				 held);
	assert_err(llfree_get(fx.self, frame_id_none(), of_class(0, 1, false)),
		   MEMORY);
	fx_end(&fx);
}

/* A get-at reaches into the tree that another slot has reserved. */
static void test_at_in_reserved(void **state)
{
	llfree_classing_t classing = two_classes(1);
	struct fx fx;

	(void)state;
	foreign_type = LLFREE_POLICY_STEAL;
	fx_make(&fx, 2 * TREE, LLFREE_INIT_FREE, &classing);
	size_t first = fx_get(&fx, of_class(0, 1, true));
	size_t base = first / TREE * TREE;

	for (size_t i = 0; i < TREE; i++) {
		llfree_request_t request = of_class(0, i % 2, i % 3);

		if (base + i != first)
			fx_get_at(&fx, base + i, request);
	}
	fx_check(&fx);
	assert_int_equal(fx_free_frames(&fx), TREE);
	fx_end(&fx);
}

/* No slots at all: everything goes through the shared trees. */
static void test_no_slots(void **state)
{
	llfree_classing_t classing = two_classes(0);
	struct fx fx;

	(void)state;
	foreign_type = LLFREE_POLICY_DEMOTE;
	for (unsigned order = 0; order <= MAX_ORDER; order++) {
		fx_make(&fx, 3 * TREE, LLFREE_INIT_FREE, &classing);
		assert_err(llfree_get(fx.self, frame_id_none(),
				      of_class(order, 0, true)),
			   ARGUMENT);
		for (size_t i = 0; i < 3 * TREE >> order; i++)
			fx_get(&fx, of_class(order, i % 2, false));
		assert_err(llfree_get(fx.self, frame_id_none(),
				      of_class(order, 0, false)),
			   MEMORY);
		assert_ok(llfree_drain(fx.self));
		assert_err(llfree_put(fx.self, frame_id(0),
				      of_class(order, 1, true)),
			   ARGUMENT);
		for (size_t i = 0; i < 3 * TREE >> order; i++)
			fx_put(&fx, i << order, of_class(order, i % 2, false));
		assert_int_equal(llfree_stats(fx.self).free_trees, 3);
		fx_end(&fx);
	}
}

/* One class has slots, the other has none. */
static void test_some_without_slots(void **state)
{
	llfree_classing_t classing = two_classes(0);
	struct fx fx;

	(void)state;
	foreign_type = LLFREE_POLICY_STEAL;
	classing.classes[1].count = 3;
	fx_make(&fx, 3 * TREE, LLFREE_INIT_FREE, &classing);
	assert_err(llfree_get(fx.self, frame_id_none(), of_class(0, 0, true)),
		   ARGUMENT);
	for (size_t slot = 0; slot < 3; slot++)
		fx_get(&fx, llreq(0, 1, ll_some(slot)));
	assert_err(llfree_get(fx.self, frame_id_none(),
			      llreq(0, 1, ll_some(3))),
		   ARGUMENT);
	fx_get(&fx, of_class(0, 0, false));
	fx_end(&fx);
}

/* Slots stay in different trees while there are enough. */
static void test_slots_keep_apart(void **state)
{
	llfree_classing_t classing = two_classes(3);
	struct fx fx;
	size_t tree[3];

	(void)state;
	foreign_type = LLFREE_POLICY_STEAL;
	fx_make(&fx, 8 * TREE, LLFREE_INIT_FREE, &classing);
	for (size_t slot = 0; slot < 3; slot++)
		tree[slot] = fx_get(&fx, llreq(0, 1, ll_some(slot))) / TREE;
	assert_int_not_equal(tree[0], tree[1]);
	assert_int_not_equal(tree[0], tree[2]);
	assert_int_not_equal(tree[1], tree[2]);
	for (size_t i = 0; i < TREE / 2; i++)
		for (size_t slot = 0; slot < 3; slot++)
			assert_int_equal(
				fx_get(&fx, llreq(0, 1, ll_some(slot))) / TREE,
				tree[slot]);
	fx_end(&fx);
}

/* A loop of one get and one put stays on few frames. */
static void test_reuse(void **state)
{
	llfree_classing_t classing = two_classes(1);
	struct fx fx;

	(void)state;
	foreign_type = LLFREE_POLICY_STEAL;
	for (unsigned order = 0; order <= LLFREE_HUGE_ORDER; order++) {
		fx_make(&fx, 4 * TREE, LLFREE_INIT_FREE, &classing);
		uint8_t *seen = calloc(fx.frames, 1);
		size_t distinct = 0;

		for (size_t i = 0; i < 2000; i++) {
			size_t block = fx_get(&fx, of_class(order, 1, true));

			distinct += !seen[block];
			seen[block] = 1;
			fx_put(&fx, block, of_class(order, 1, true));
		}
		assert_in_range(distinct, 1, 2);
		free(seen);
		fx_end(&fx);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classings),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_simple_separates),
		cmocka_unit_test(test_simple_steals),
		cmocka_unit_test(test_simple_demotes),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_steal),
		cmocka_unit_test(test_demote),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_demoted_beside_guest),
		cmocka_unit_test(test_match_other_class),
		cmocka_unit_test(test_no_slot_spares_reserved),
		cmocka_unit_test(test_at_in_reserved),
		cmocka_unit_test(test_no_slots),
		cmocka_unit_test(test_some_without_slots),
		cmocka_unit_test(test_slots_keep_apart),
		cmocka_unit_test(test_reuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
