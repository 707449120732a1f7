/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* llfree_drain, llfree_change_tree and the statistics. */

#include "tests/unit/lib/fixture.h"

#define TREES 4
#define LAST (HUGE_FRAME + ROW + 3)
#define FRAMES (TREES * TREE + LAST)
/* The last tree is partial; with one huge frame a tree it is two. */
#define PARTIAL (FRAMES / TREE)

static void make(struct fx *fx)
{
	llfree_classing_t classing = llfree_classing_movable(2);

	fx_make(fx, FRAMES, LLFREE_INIT_FREE, &classing);
}

static llfree_tree_match_t tree_match(size_t tree)
{
	llfree_tree_match_t match = { tree_id_some(tree_id(tree)),
				      LLFREE_CLASS_NONE, 0 };
	return match;
}

static llfree_tree_match_t any_match(uint8_t class, size_t free)
{
	llfree_tree_match_t match = { tree_id_none(), class, free };
	return match;
}

static llfree_tree_change_t change_to(uint8_t class, uint8_t operation)
{
	llfree_tree_change_t change = { class, operation };
	return change;
}

static const uint8_t KEEP = LLFREE_CLASS_NONE;

static llfree_result_t offline(struct fx *fx, size_t tree)
{
	return llfree_change_tree(fx->self, tree_match(tree),
				  change_to(KEEP, LLFREE_TREE_OP_OFFLINE));
}

static llfree_result_t online(struct fx *fx, size_t tree)
{
	return llfree_change_tree(fx->self, tree_match(tree),
				  change_to(KEEP, LLFREE_TREE_OP_ONLINE));
}

static void set_class(struct fx *fx, size_t tree, uint8_t class)
{
	llfree_result_t changed =
		llfree_change_tree(fx->self, tree_match(tree),
				   change_to(class, LLFREE_TREE_OP_NONE));

	assert_ok(changed);
	assert_int_equal(changed.frame.value, tree * TREE);
	assert_int_equal(changed.class, class);
}

static size_t managed(size_t tree)
{
	size_t left = FRAMES - tree * TREE;

	return left < TREE ? left : TREE;
}

/* ------------------------------------------------------------------------ */
/* Statistics                                                                */

static void test_stats_at(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	fx_get_at(&fx, TREE + 70, fx_order(0));
	ll_stats_t frame = llfree_stats_at(fx.self, frame_id(TREE + 70), 0);
	ll_stats_t next = llfree_stats_at(fx.self, frame_id(TREE + 71), 0);
	ll_stats_t huge = llfree_stats_at(fx.self, frame_id(TREE + 300), 9);
	ll_stats_t tree = llfree_stats_at(fx.self, frame_id(2 * TREE - 1),
					  LLFREE_TREE_ORDER);

	assert_int_equal(frame.free_frames, 0);
	assert_int_equal(next.free_frames, 1);
	assert_int_equal(huge.free_frames, HUGE_FRAME - 1);
	assert_int_equal(huge.free_huge, 0);
	assert_int_equal(tree.free_frames, TREE - 1);
	assert_int_equal(tree.free_huge, CHILDREN - 1);
	assert_int_equal(tree.free_trees, 0);
	fx_end(&fx);
}

static void test_stats_at_free(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	for (size_t t = 0; t < fx_trees(&fx); t++) {
		ll_stats_t stats = llfree_stats_at(
			fx.self, frame_id(t * TREE + 5), LLFREE_TREE_ORDER);

		assert_int_equal(stats.free_frames, managed(t));
		assert_int_equal(stats.free_huge, managed(t) / HUGE_FRAME);
		assert_int_equal(stats.free_trees, 1);
	}
	ll_stats_t huge = llfree_stats_at(fx.self, frame_id(HUGE_FRAME + 1), 9);

	assert_int_equal(huge.free_frames, HUGE_FRAME);
	assert_int_equal(huge.free_huge, 1);
	fx_end(&fx);
}

static void assert_nothing(ll_stats_t stats)
{
	assert_int_equal(stats.free_frames, 0);
	assert_int_equal(stats.free_huge, 0);
	assert_int_equal(stats.free_trees, 0);
}

static void test_stats_at_wrong(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	for (size_t order = 0; order < 70; order++) {
		assert_nothing(
			llfree_stats_at(fx.self, frame_id(FRAMES), order));
		assert_nothing(
			llfree_stats_at(fx.self, frame_id(UINT64_MAX), order));
		if (order != 0 && order != LLFREE_HUGE_ORDER &&
		    order != LLFREE_TREE_ORDER)
			assert_nothing(
				llfree_stats_at(fx.self, frame_id(0), order));
	}
	assert_nothing(llfree_stats_at(fx.self, frame_id(0), SIZE_MAX));
	assert_nothing(llfree_stats_at(fx.self, frame_id(0), 256));
	fx_end(&fx);
}

/* A random walk; every level of the statistics says the same. */
static void assert_levels_agree(const struct fx *fx)
{
	ll_stats_t all = llfree_stats(fx->self);
	ll_stats_t trees = { 0 }, huges = { 0 };
	uint8_t *map = fx_map(fx);
	size_t free_frames = 0;

	for (size_t f = 0; f < FRAMES; f += TREE) {
		ll_stats_t one = llfree_stats_at(fx->self, frame_id(f),
						 LLFREE_TREE_ORDER);
		trees.free_frames += one.free_frames;
		trees.free_huge += one.free_huge;
		trees.free_trees += one.free_trees;
	}
	for (size_t f = 0; f < FRAMES; f += HUGE_FRAME) {
		ll_stats_t one = llfree_stats_at(fx->self, frame_id(f),
						 LLFREE_HUGE_ORDER);
		huges.free_frames += one.free_frames;
		huges.free_huge += one.free_huge;
	}
	for (size_t f = 0; f < FRAMES; f++)
		free_frames += !map[f];
	free(map);
	assert_int_equal(trees.free_frames, all.free_frames);
	assert_int_equal(trees.free_huge, all.free_huge);
	assert_int_equal(trees.free_trees, all.free_trees);
	assert_int_equal(huges.free_frames, all.free_frames);
	assert_int_equal(huges.free_huge, all.free_huge);
	assert_int_equal(free_frames, all.free_frames);
	fx_check(fx);
}

static void test_levels_agree(void **state)
{
	uint64_t seed = 0xabcdef;
	struct fx fx;

	(void)state;
	make(&fx);
	for (size_t i = 0; i < 30; i++) {
		llfree_request_t request =
			llreq((uint8_t)fx_below(&seed, MAX_ORDER),
			      (uint8_t)fx_below(&seed, 3),
			      ll_some(fx_below(&seed, 2)));
		llfree_result_t got =
			llfree_get(fx.self, frame_id_none(), request);

		assert_levels_agree(&fx);
		if (llfree_is_ok(got) && i % 3)
			fx_put(&fx, got.frame.value, request);
		assert_levels_agree(&fx);
	}
	fx_end(&fx);
}

/* A partial last tree is a free tree when all of it is free. */
static void test_partial_tree_counts(void **state)
{
	size_t all = (FRAMES + TREE - 1) / TREE;
	struct fx fx;

	(void)state;
	make(&fx);
	assert_int_equal(llfree_stats(fx.self).free_trees, all);
	assert_int_equal(llfree_tree_stats(fx.self).free_trees, all);
	fx_get_at(&fx, FRAMES - 1, fx_order(0));
	assert_int_equal(llfree_stats(fx.self).free_trees, all - 1);
	assert_int_equal(llfree_tree_stats(fx.self).free_trees, all - 1);
	fx_put(&fx, FRAMES - 1, fx_order(0));
	assert_int_equal(llfree_stats(fx.self).free_trees, all);
	assert_int_equal(llfree_tree_stats(fx.self).free_trees, all);
	fx_end(&fx);
}

/* What a slot holds counts as free, in the class of its tree. */
static void test_tree_stats_of_reserved(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	for (uint8_t kind = 0; kind < 3; kind++) {
		llfree_request_t request = llreq(0, kind, ll_some(1));
		llfree_result_t got =
			llfree_get(fx.self, frame_id_none(), request);

		assert_ok(got);
		assert_int_equal(got.class, kind);
		ll_tree_stats_t stats = llfree_tree_stats(fx.self);

		assert_int_equal(stats.classes[kind].alloc_frames, 1);
		assert_int_equal(stats.free_frames, FRAMES - kind - 1);
		fx_check(&fx);
	}
	assert_ok(llfree_drain(fx.self));
	ll_tree_stats_t stats = llfree_tree_stats(fx.self);

	for (uint8_t kind = 0; kind < 3; kind++)
		assert_int_equal(stats.classes[kind].alloc_frames, 1);
	for (size_t kind = 3; kind < LLFREE_MAX_CLASSES; kind++) {
		assert_int_equal(stats.classes[kind].free_frames, 0);
		assert_int_equal(stats.classes[kind].alloc_frames, 0);
	}
	fx_end(&fx);
}

/* ------------------------------------------------------------------------ */
/* drain                                                                     */

static void test_drain(void **state)
{
	llfree_request_t request = llreq(0, 1, ll_some(0));
	struct fx fx;

	(void)state;
	make(&fx);
	assert_ok(llfree_drain(fx.self));
	size_t frame = fx_get(&fx, request);

	assert_err(offline(&fx, frame / TREE), MEMORY);
	assert_ok(llfree_drain(fx.self));
	assert_int_equal(fx_free_frames(&fx), FRAMES - 1);
	fx_check(&fx);
	assert_ok(offline(&fx, frame / TREE));
	assert_ok(online(&fx, frame / TREE));
	assert_ok(llfree_drain(fx.self));
	fx_put(&fx, frame, request);
	assert_int_equal(fx_free_frames(&fx), FRAMES);
	fx_end(&fx);
}

/* Each slot of each class, the first and the last as well. */
static void test_drain_every_slot(void **state)
{
	llfree_classing_t classing = llfree_classing_movable(2);
	struct fx fx;

	(void)state;
	fx_make(&fx, 3 * TREE, LLFREE_INIT_FREE, &classing);
	for (uint8_t class = 0; class < 3; class ++)
		for (size_t slot = 0; slot < 2; slot++) {
			llfree_request_t request =
				llreq(0, class, ll_some(slot));
			size_t frame = fx_get(&fx, request);

			assert_err(offline(&fx, frame / TREE), MEMORY);
			assert_ok(llfree_drain(fx.self));
			assert_ok(offline(&fx, frame / TREE));
			assert_ok(online(&fx, frame / TREE));
			fx_put(&fx, frame, request);
		}
	fx_end(&fx);
}

/* A slot is empty after a drain, whatever was freed into its tree. */
static void test_drain_keeps_frames(void **state)
{
	llfree_request_t mine = llreq(3, 0, ll_some(0));
	llfree_request_t other = llreq(3, 0, ll_some(1));
	struct fx fx;

	(void)state;
	make(&fx);
	size_t frames[50];

	for (size_t i = 0; i < 50; i++)
		frames[i] = fx_get(&fx, mine);
	for (size_t i = 0; i < 50; i += 2)
		fx_put(&fx, frames[i], i % 4 ? other : mine);
	assert_ok(llfree_drain(fx.self));
	assert_int_equal(fx_free_frames(&fx), FRAMES - 25 * 8);
	fx_check(&fx);
	for (size_t i = 1; i < 50; i += 2)
		fx_put(&fx, frames[i], mine);
	assert_int_equal(fx_free_frames(&fx), FRAMES);
	fx_end(&fx);
}

/* ------------------------------------------------------------------------ */
/* change_tree: class and match                                              */

static void test_change_class(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	for (uint8_t kind = 0; kind < 3; kind++) {
		for (size_t t = 0; t < fx_trees(&fx); t++)
			set_class(&fx, t, kind);
		ll_tree_stats_t stats = llfree_tree_stats(fx.self);

		assert_int_equal(stats.classes[kind].free_frames, FRAMES);
		fx_check(&fx);
	}
	fx_end(&fx);
}

/* A tree keeps the class it was given until it is entirely free again. */
static void test_class_returns_to_default(void **state)
{
	llfree_request_t request = llreq(0, 0, ll_none());
	struct fx fx;

	(void)state;
	make(&fx);
	for (size_t t = 0; t < fx_trees(&fx); t++) {
		fx_get_at(&fx, t * TREE + 1, request);
		set_class(&fx, t, 1);
		ll_tree_stats_t stats = llfree_tree_stats(fx.self);

		assert_int_equal(stats.classes[1].alloc_frames, 1);
		assert_int_equal(stats.classes[1].free_frames, managed(t) - 1);
		fx_put(&fx, t * TREE + 1, request);
		stats = llfree_tree_stats(fx.self);
		assert_int_equal(stats.classes[1].alloc_frames, 0);
		assert_int_equal(stats.classes[1].free_frames, 0);
		assert_int_equal(stats.classes[2].free_frames, FRAMES);
	}
	fx_end(&fx);
}

static void test_match_by_free(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	for (size_t t = 0; t < fx_trees(&fx); t++)
		fx_take(&fx, t * TREE, t == 2 ? 5 : 9);
	assert_ok(llfree_drain(fx.self));
	llfree_result_t found =
		llfree_change_tree(fx.self, any_match(KEEP, TREE - 5),
				   change_to(KEEP, LLFREE_TREE_OP_NONE));

	assert_ok(found);
	assert_int_equal(found.frame.value, 2 * TREE);
	found = llfree_change_tree(fx.self, any_match(KEEP, TREE - 4),
				   change_to(KEEP, LLFREE_TREE_OP_NONE));
	assert_err(found, MEMORY);
	found = llfree_change_tree(fx.self, any_match(KEEP, SIZE_MAX),
				   change_to(KEEP, LLFREE_TREE_OP_NONE));
	assert_err(found, MEMORY);
	fx_end(&fx);
}

static void test_match_by_class(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	for (size_t want = 0; want < fx_trees(&fx); want++) {
		set_class(&fx, want, 1);
		llfree_result_t found =
			llfree_change_tree(fx.self, any_match(1, 0),
					   change_to(2, LLFREE_TREE_OP_NONE));

		assert_ok(found);
		assert_int_equal(found.frame.value, want * TREE);
		assert_int_equal(found.class, 2);
		found = llfree_change_tree(fx.self, any_match(1, 0),
					   change_to(2, LLFREE_TREE_OP_NONE));
		assert_err(found, MEMORY);
	}
	fx_end(&fx);
}

/* All of id, class and free have to fit. */
static void test_match_by_all(void **state)
{
	llfree_tree_change_t nothing = change_to(KEEP, LLFREE_TREE_OP_NONE);
	struct fx fx;

	(void)state;
	make(&fx);
	set_class(&fx, 1, 0);
	fx_get_at(&fx, TREE, llreq(0, 0, ll_none()));
	llfree_tree_match_t match = { tree_id_some(tree_id(1)), 0, TREE - 1 };
	llfree_result_t found = llfree_change_tree(fx.self, match, nothing);

	assert_ok(found);
	assert_int_equal(found.class, 0);
	match.free = TREE;
	assert_err(llfree_change_tree(fx.self, match, nothing), MEMORY);
	match.free = 0;
	match.class = 2;
	assert_err(llfree_change_tree(fx.self, match, nothing), MEMORY);
	match.class = 0;
	match.id = tree_id_some(tree_id(2));
	assert_err(llfree_change_tree(fx.self, match, nothing), MEMORY);
	fx_end(&fx);
}

static void test_reserved_never_matches(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	size_t tree = fx_get(&fx, llreq(0, 0, ll_some(1))) / TREE;

	for (uint8_t op = 0; op <= LLFREE_TREE_OP_OFFLINE; op++)
		assert_err(llfree_change_tree(fx.self, tree_match(tree),
					      change_to(1, op)),
			   MEMORY);
	fx_check(&fx);
	assert_ok(llfree_drain(fx.self));
	set_class(&fx, tree, 1);
	fx_end(&fx);
}

static void wrong_change(struct fx *fx, llfree_tree_match_t match,
			 llfree_tree_change_t change)
{
	struct fx_copy copy = fx_copy(fx);

	assert_err(llfree_change_tree(fx->self, match, change), ARGUMENT);
	fx_assert_same(fx, &copy);
	fx_copy_release(&copy);
}

static void test_change_wrong(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	for (unsigned kind = 3; kind < LLFREE_CLASS_NONE; kind++)
		for (uint8_t op = 0; op <= LLFREE_TREE_OP_OFFLINE; op++) {
			wrong_change(&fx, tree_match(0),
				     change_to((uint8_t)kind, op));
			wrong_change(&fx, any_match(KEEP, 0),
				     change_to((uint8_t)kind, op));
		}
	for (unsigned op = LLFREE_TREE_OP_OFFLINE + 1; op <= UINT8_MAX; op++)
		wrong_change(&fx, tree_match(0), change_to(KEEP, (uint8_t)op));
	wrong_change(&fx, tree_match(fx_trees(&fx)),
		     change_to(KEEP, LLFREE_TREE_OP_NONE));
	wrong_change(&fx, tree_match(SIZE_MAX),
		     change_to(KEEP, LLFREE_TREE_OP_OFFLINE));
	fx_end(&fx);
}

/* ------------------------------------------------------------------------ */
/* change_tree: offline and online                                           */

static void test_offline(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	for (size_t t = 0; t < fx_trees(&fx); t++) {
		llfree_result_t changed = offline(&fx, t);

		assert_ok(changed);
		assert_int_equal(changed.frame.value, t * TREE);
		assert_int_equal(fx_free_frames(&fx), FRAMES - managed(t));
		assert_int_equal(fx_tree_free(&fx, t), 0);
		fx_check(&fx);
		assert_err(llfree_get(fx.self, fx_at(t * TREE), fx_order(0)),
			   MEMORY);
		if (managed(t) >= HUGE_FRAME)
			assert_err(llfree_get(fx.self, fx_at(t * TREE),
					      fx_order(9)),
				   MEMORY);
		changed = online(&fx, t);
		assert_ok(changed);
		assert_int_equal(changed.frame.value, t * TREE);
		assert_int_equal(fx_free_frames(&fx), FRAMES);
	}
	fx_end(&fx);
}

/* Only ONLINE matches an offline tree, and only OFFLINE or NONE another. */
static void test_offline_matches(void **state)
{
	llfree_tree_change_t none = change_to(1, LLFREE_TREE_OP_NONE);
	struct fx fx;

	(void)state;
	make(&fx);
	for (size_t t = 0; t < fx_trees(&fx); t++) {
		assert_err(online(&fx, t), MEMORY);
		assert_ok(offline(&fx, t));
		assert_err(offline(&fx, t), MEMORY);
		assert_err(llfree_change_tree(fx.self, tree_match(t), none),
			   MEMORY);
		assert_ok(online(&fx, t));
		assert_err(online(&fx, t), MEMORY);
		assert_int_equal(fx_free_frames(&fx), FRAMES);
		fx_check(&fx);
	}
	fx_end(&fx);
}

/* Trees go off and on without being named; each is reported once. */
static void test_offline_unnamed(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	for (uint8_t op = LLFREE_TREE_OP_OFFLINE; op >= LLFREE_TREE_OP_ONLINE;
	     op--) {
		uint8_t *seen = calloc(fx_trees(&fx), 1);

		for (size_t i = 0; i < fx_trees(&fx); i++) {
			llfree_result_t changed =
				llfree_change_tree(fx.self, any_match(KEEP, 0),
						   change_to(KEEP, op));

			assert_ok(changed);
			assert_int_equal(changed.frame.value % TREE, 0);
			assert_in_range(changed.frame.value, 0, FRAMES - 1);
			assert_int_equal(seen[changed.frame.value / TREE], 0);
			seen[changed.frame.value / TREE] = 1;
			fx_check(&fx);
		}
		assert_err(llfree_change_tree(fx.self, any_match(KEEP, 0),
					      change_to(KEEP, op)),
			   MEMORY);
		free(seen);
	}
	assert_int_equal(fx_free_frames(&fx), FRAMES);
	fx_end(&fx);
}

static void test_all_offline(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	for (size_t t = 0; t < fx_trees(&fx); t++)
		assert_ok(offline(&fx, t));
	for (unsigned order = 0; order <= MAX_ORDER; order++)
		for (uint8_t kind = 0; kind < 3; kind++)
			assert_err(llfree_get(fx.self, frame_id_none(),
					      llreq((uint8_t)order, kind,
						    ll_some(0))),
				   MEMORY);
	assert_nothing(llfree_stats(fx.self));
	fx_check(&fx);
	assert_ok(online(&fx, PARTIAL));
	for (size_t i = 0; i < managed(PARTIAL); i++)
		assert_int_equal(fx_get(&fx, fx_order(0)) / TREE, PARTIAL);
	assert_err(llfree_get(fx.self, frame_id_none(), fx_order(0)), MEMORY);
	fx_end(&fx);
}

/* The class of an offline tree can be set as it goes and as it comes. */
static void test_offline_with_class(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	llfree_result_t changed = llfree_change_tree(
		fx.self, tree_match(1), change_to(0, LLFREE_TREE_OP_OFFLINE));

	assert_ok(changed);
	assert_int_equal(changed.class, 0);
	assert_int_equal(llfree_tree_stats(fx.self).classes[0].alloc_frames,
			 TREE);
	changed = llfree_change_tree(fx.self, tree_match(1),
				     change_to(1, LLFREE_TREE_OP_ONLINE));
	assert_ok(changed);
	assert_int_equal(changed.class, 1);
	ll_tree_stats_t stats = llfree_tree_stats(fx.self);

	assert_int_equal(stats.classes[1].free_frames, TREE);
	assert_int_equal(stats.classes[0].alloc_frames, 0);
	fx_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stats_at),
		cmocka_unit_test(test_stats_at_free),
		cmocka_unit_test(test_stats_at_wrong),
		cmocka_unit_test(test_levels_agree),
		cmocka_unit_test(test_partial_tree_counts),
		cmocka_unit_test(test_tree_stats_of_reserved),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_drain_every_slot),
		cmocka_unit_test(test_drain_keeps_frames),
		cmocka_unit_test(test_change_class),
		cmocka_unit_test(test_class_returns_to_default),
		cmocka_unit_test(test_match_by_free),
		cmocka_unit_test(test_match_by_class),
		cmocka_unit_test(test_match_by_all),
		cmocka_unit_test(test_reserved_never_matches),
		cmocka_unit_test(test_change_wrong),
		cmocka_unit_test(test_offline),
		cmocka_unit_test(test_offline_matches),
		cmocka_unit_test(test_offline_unnamed),
		cmocka_unit_test(test_all_offline),
		cmocka_unit_test(test_offline_with_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
