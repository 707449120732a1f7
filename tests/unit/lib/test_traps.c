/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Defects that designs of this kind are known for, each with the scenario that
 * shows it:
 *
 *    1  the undo of a claim over several entries      test_traps_undo.c
 *    2  the end of the range
 *    3  a huge frame split by two partial frees       test_traps_threads.c
 *    4  exact fit
 *    5  frames freed into a tree that an idle slot holds
 *    6  the width of the search
 *    7  priorities, up to 255
 *    8  the arguments of the policy
 *    9  trees that are offline, and come back
 *   10  classes with numbers left out
 *   11  statistics by class
 *   12  buffers taken as they are                     test_recover.c
 *   13  silence, and a layout of no compiler          test_debug.c, layout.sh
 *
 * What only happens beside another thread is in test_traps_threads.c.
 */

#include "tests/unit/lib/fixture.h"

static void make(struct fx *fx, size_t frames)
{
	llfree_classing_t classing = fx_one_class(3);

	fx_make(fx, frames, LLFREE_INIT_FREE, &classing);
}

/* ------------------------------------------------------------------------ */
/* 2. End of the range                                                       */

static const size_t ends[] = {
	HUGE_FRAME + 1,
	2 * HUGE_FRAME - 1,
	TREE + 1,
	TREE + ROW,
	TREE + HUGE_FRAME,
	2 * TREE - 1,
	2 * TREE - HUGE_FRAME + ROW * 3 + 17,
};

/* After all was freed, by any way, there is as much as before and no more. */
static void assert_end(struct fx *fx)
{
	unsigned stride = CHILDREN > 16 ? 3 : 1;

	assert_int_equal(fx_free_frames(fx), fx->frames);
	for (unsigned order = 0; order <= MAX_ORDER; order += stride) {
		size_t blocks = fx->frames >> order;

		if ((size_t)1 << order > fx->frames)
			continue;
		for (size_t b = 0; b < blocks; b++)
			fx_get(fx, fx_slot(order, b % 3));
		assert_err(llfree_get(fx->self, frame_id_none(),
				      fx_slot(order, 0)),
			   MEMORY);
		for (size_t b = 0; b < blocks; b++)
			fx_put(fx, b << order, fx_slot(order, b % 3));
	}
	fx_check(fx);
}

static void test_2_end(void **state)
{
	llfree_classing_t classing = fx_one_class(3);

	(void)state;
	for (size_t i = 0; i < LENGTH(ends); i++) {
		struct fx fx;

		make(&fx, ends[i]);
		assert_end(&fx);
		fx_end(&fx);
		fx_make(&fx, ends[i], LLFREE_INIT_ALLOC, &classing);
		fx_give(&fx, 0, ends[i]);
		assert_end(&fx);
		assert_ok(llfree_init(fx.self, ends[i], LLFREE_INIT_RECOVER,
				      fx.meta, &classing));
		assert_end(&fx);
		fx_end(&fx);
	}
}

static void test_2_end_offline(void **state)
{
	llfree_tree_match_t match = { tree_id_none(), LLFREE_CLASS_NONE, 0 };
	llfree_tree_change_t change = { LLFREE_CLASS_NONE,
					LLFREE_TREE_OP_OFFLINE };

	(void)state;
	for (size_t i = 0; i < LENGTH(ends); i++) {
		struct fx fx;

		make(&fx, ends[i]);
		match.id = tree_id_some(tree_id((ends[i] - 1) / TREE));
		change.operation = LLFREE_TREE_OP_OFFLINE;
		assert_ok(llfree_change_tree(fx.self, match, change));
		change.operation = LLFREE_TREE_OP_ONLINE;
		assert_ok(llfree_change_tree(fx.self, match, change));
		assert_end(&fx);
		fx_end(&fx);
	}
}

/* ------------------------------------------------------------------------ */
/* 4. Exact fit                                                              */

/* The slot's tree is used up; then `back` frees some of it for the slot. */
static void use_up(struct fx *fx, size_t *tree)
{
	size_t first = fx_get(fx, fx_slot(0, 0));

	*tree = first / TREE;
	for (size_t i = 1; i < TREE; i++)
		assert_int_equal(fx_get(fx, fx_slot(0, 0)) / TREE, *tree);
}

/* Others free exactly one block: the slot's next get must have that one. */
static void test_4_exact_fit(void **state)
{
	(void)state;
	for (unsigned order = 0; order < MAX_ORDER; order++) {
		struct fx fx;
		size_t tree, block;

		make(&fx, 3 * TREE);
		use_up(&fx, &tree);
		block = tree * TREE + TREE - ((size_t)1 << order);
		fx_put(&fx, block, fx_order(order));
		assert_int_equal(fx_get(&fx, fx_slot(order, 0)), block);
		fx_put(&fx, block, fx_slot(order, 1));
		assert_int_equal(fx_get(&fx, fx_slot(order, 0)), block);
		fx_end(&fx);
	}
}

/* Half of the block is the slot's own, half was freed by others. */
static void test_4_exact_fit_of_both(void **state)
{
	(void)state;
	for (unsigned order = 1; order < MAX_ORDER; order++) {
		struct fx fx;
		size_t tree, block, half = (size_t)1 << (order - 1);

		make(&fx, 3 * TREE);
		use_up(&fx, &tree);
		block = tree * TREE + TREE - 2 * half;
		fx_put(&fx, block, fx_slot(order - 1, 0));
		fx_put(&fx, block + half, fx_order(order - 1));
		assert_int_equal(fx_get(&fx, fx_slot(order, 0)), block);
		fx_end(&fx);
	}
}

/* ------------------------------------------------------------------------ */
/* 5. Frames in a tree that an idle slot holds                               */

enum place { IN_SLOT, FREED_BY_OTHERS, BOTH };

/*
 * Everything is taken but one block in the tree that slot 2 holds, whose free
 * frames stand in the slot, in the tree entry, or half in each.
 */
static size_t hide_block(struct fx *fx, unsigned order, enum place place)
{
	size_t size = (size_t)1 << order, tree, block;

	make(fx, 3 * TREE);
	tree = fx_get(fx, fx_slot(0, 2)) / TREE;
	for (size_t i = 1; i < TREE; i++)
		assert_int_equal(fx_get(fx, fx_slot(0, 2)) / TREE, tree);
	for (size_t f = 0; f < fx->frames; f += TREE)
		if (f / TREE != tree)
			fx_take(fx, f, TREE);
	block = tree * TREE + TREE / 2 / size * size;
	if (place == BOTH && order > 0) {
		fx_put(fx, block, fx_slot(order - 1, 2));
		fx_put(fx, block + size / 2, fx_order(order - 1));
	} else {
		fx_put(fx, block,
		       place == IN_SLOT ? fx_slot(order, 2) : fx_order(order));
	}
	assert_int_equal(fx_free_frames(fx), size);
	return block;
}

static void test_5_idle_slot(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= MAX_ORDER; order++)
		for (enum place place = IN_SLOT; place <= BOTH; place++)
			for (size_t who = 0; who < 3; who++) {
				struct fx fx;
				size_t block = hide_block(&fx, order, place);
				llfree_request_t request =
					who == 2 ? fx_order(order)
						 : fx_slot(order, who);

				assert_int_equal(fx_get(&fx, request), block);
				assert_int_equal(fx_free_frames(&fx), 0);
				fx_end(&fx);
			}
}

static void test_5_idle_slot_range(void **state)
{
	(void)state;
	for (unsigned order = 1; order <= MAX_ORDER; order++)
		for (enum place place = IN_SLOT; place <= BOTH; place++) {
			struct fx fx;
			size_t block = hide_block(&fx, order, place);
			llfree_result_t got = llfree_get_range(
				fx.self, frame_id_none(),
				((size_t)1 << order) - 1, fx_slot(0, 0));

			assert_ok(got);
			assert_int_equal(got.frame.value, block);
			fx_end(&fx);
		}
}

/* The idle slot is of another class than the request. */
static void test_5_idle_slot_of_other_class(void **state)
{
	(void)state;
	for (uint8_t holder = 0; holder < 3; holder++)
		for (uint8_t asker = 0; asker < 3; asker++)
			for (size_t by_others = 0; by_others < 2; by_others++) {
				llfree_classing_t classing =
					llfree_classing_movable(2);
				llfree_request_t mine =
					llreq(0, holder, ll_some(1));
				llfree_request_t theirs =
					llreq(0, asker, ll_some(0));
				struct fx fx;

				fx_make(&fx, TREE, LLFREE_INIT_FREE, &classing);
				for (size_t i = 0; i < TREE; i++)
					fx_get(&fx, mine);
				fx_put(&fx, TREE - 5,
				       by_others ? fx_order(0) : mine);
				assert_int_equal(fx_get(&fx, theirs), TREE - 5);
				fx_end(&fx);
			}
}

/* ------------------------------------------------------------------------ */
/* 6. Search width                                                           */

/* About this many huge frames, in as many trees as that makes. */
static size_t search_trees(void)
{
	size_t trees = 256 / CHILDREN;

	return trees < 3 ? 3 : trees;
}

/*
 * Every aligned block of `order` has one frame taken, in its middle; then each
 * in turn is made whole, and must be found.
 */
static void search(unsigned order, bool drain)
{
	size_t size = (size_t)1 << order, frames = search_trees() * TREE;
	size_t blocks = frames / size, most = CHILDREN > 16 ? 40 : 200;
	struct fx fx;

	make(&fx, frames);
	for (size_t b = 0; b < frames; b += size)
		fx_get_at(&fx, b + size / 2, fx_order(0));
	for (size_t b = 0; b < blocks; b += blocks / most + 1) {
		llfree_request_t request = b % 4 == 3 ? fx_order(order)
						      : fx_slot(order, b % 4);
		size_t spoiler = b * size + size / 2;

		fx_put(&fx, spoiler, fx_order(0));
		assert_int_equal(fx_get(&fx, request), b * size);
		assert_err(llfree_get(fx.self, frame_id_none(), request),
			   MEMORY);
		fx_put(&fx, b * size, request);
		fx_get_at(&fx, spoiler, fx_order(0));
		if (drain)
			assert_ok(llfree_drain(fx.self));
	}
	fx_end(&fx);
}

static void test_6_search_width(void **state)
{
	(void)state;
	for (unsigned order = 1; order <= MAX_ORDER; order++)
		search(order, order % 2);
	for (unsigned order = 6; order <= 10 && order <= MAX_ORDER; order++)
		search(order, !(order % 2));
}

/* Half-used trees with different fills, and one free huge frame in one. */
static void test_6_half_used_trees(void **state)
{
	llfree_classing_t classing = llfree_classing_simple(2);
	size_t huges = search_trees() * CHILDREN;
	struct fx fx;

	(void)state;
	for (size_t only = 0; only < huges; only += huges / 50 + 1) {
		fx_make(&fx, huges * HUGE_FRAME, LLFREE_INIT_FREE, &classing);
		for (size_t h = 0; h < huges; h++)
			if (h != only)
				fx_take(&fx, h * HUGE_FRAME + 3,
					1 + (h * 37) % 400);
		assert_int_equal(fx_get(&fx, llfree_simple_request(2, 9, 1)),
				 only * HUGE_FRAME);
		fx_end(&fx);
	}
}

/* ------------------------------------------------------------------------ */
/* 7. Priorities and 8. policy arguments                                     */

static llfree_policy_t told;

static llfree_policy_t as_told(uint8_t requested, uint8_t target, size_t free)
{
	llfree_policy_t match = { LLFREE_POLICY_MATCH, UINT8_MAX };

	(void)free;
	return requested == target ? match : told;
}

static llfree_classing_t told_classing(llfree_policy_fn policy)
{
	llfree_classing_t classing = { .classes = { { 0, 1 }, { 1, 1 } },
				       .num_classes = 2,
				       .default_class = 1,
				       .policy = policy };
	return classing;
}

/* Any type with any priority, with and without a slot: usable to the end. */
static void assert_usable(llfree_policy_t policy, bool slot, unsigned order)
{
	llfree_classing_t classing = told_classing(as_told);
	llfree_request_t request =
		llreq((uint8_t)order, 0, slot ? ll_some(0) : ll_none());
	struct fx fx;

	told = policy;
	fx_make(&fx, 3 * TREE, LLFREE_INIT_FREE, &classing);
	for (size_t i = 0; i < 3 * TREE >> order; i++) {
		llfree_result_t got =
			llfree_get(fx.self, frame_id_none(), request);

		assert_ok(got);
		if (policy.type == LLFREE_POLICY_STEAL)
			assert_int_equal(got.class, 1);
		if (policy.type == LLFREE_POLICY_DEMOTE)
			assert_int_equal(got.class, 0);
	}
	assert_err(llfree_get(fx.self, frame_id_none(), request), MEMORY);
	fx_end(&fx);
}

static void test_7_priorities(void **state)
{
	const uint8_t priorities[] = { 0, 1, 128, UINT8_MAX - 1, UINT8_MAX };

	(void)state;
	for (uint8_t type = 0; type < LLFREE_POLICY_INVALID; type++)
		for (size_t i = 0; i < LENGTH(priorities); i++)
			for (size_t slot = 0; slot < 2; slot++) {
				llfree_policy_t policy = { type,
							   priorities[i] };

				assert_usable(policy, slot, 4);
				assert_usable(policy, slot, 9);
				assert_usable(policy, slot, MAX_ORDER);
			}
}

static void test_7_invalid_with_priority(void **state)
{
	llfree_classing_t classing = told_classing(as_told);
	struct fx fx;

	(void)state;
	for (unsigned priority = 0; priority <= UINT8_MAX; priority++) {
		told.type = LLFREE_POLICY_INVALID;
		told.priority = (uint8_t)priority;
		fx_make(&fx, 2 * TREE, LLFREE_INIT_FREE, &classing);
		assert_err(llfree_get(fx.self, frame_id_none(), fx_order(0)),
			   MEMORY);
		assert_err(llfree_get(fx.self, frame_id_none(), fx_slot(0, 0)),
			   MEMORY);
		fx_end(&fx);
	}
}

/* Trees in which one frame is taken are worth 255, and others what is told. */
static llfree_policy_t by_use(uint8_t requested, uint8_t target, size_t free)
{
	llfree_policy_t policy = told;

	if (free == TREE - 1)
		policy.priority = UINT8_MAX;
	else if (free == TREE - 2)
		policy.priority = 100;
	policy.type = requested == target ? LLFREE_POLICY_INVALID : told.type;
	return policy;
}

/* The tree of the highest priority is taken, wherever it is. */
static void test_7_highest_first(void **state)
{
	llfree_classing_t classing = told_classing(by_use);

	(void)state;
	for (uint8_t type = 0; type < LLFREE_POLICY_INVALID; type++)
		for (size_t used = 1; used <= 2; used++)
			for (size_t tree = 0; tree < 5; tree++) {
				struct fx fx;

				told.type = type;
				told.priority = 3;
				fx_make(&fx, 5 * TREE, LLFREE_INIT_FREE,
					&classing);
				told.type = LLFREE_POLICY_STEAL;
				fx_take(&fx, tree * TREE + 9, used);
				told.type = type;
				assert_int_equal(
					fx_get(&fx, fx_order(0)) / TREE, tree);
				fx_end(&fx);
			}
}

/* What the policy may be asked now: by whom, and about which trees. */
static struct {
	const struct fx *fx;
	uint8_t asking;
	size_t calls;
	size_t wrong;
} asked;

static llfree_policy_t recording(uint8_t requested, uint8_t target, size_t free)
{
	bool known = false;

	for (size_t t = 0; t < fx_trees(asked.fx); t++)
		known |= fx_tree_free(asked.fx, t) == free;
	asked.calls++;
	asked.wrong += requested != asked.asking || target > 1 || !known;
	return llfree_simple_policy(requested, target, free);
}

/* Trees with a free count each of its own; none of it may be made up. */
static void test_8_policy_arguments(void **state)
{
	llfree_classing_t classing = told_classing(recording);
	size_t n = 6;
	struct fx fx;

	(void)state;
	asked.fx = &fx;
	fx_make(&fx, n * TREE, LLFREE_INIT_FREE, &classing);
	asked.asking = 0;
	for (size_t t = 0; t < n; t++)
		fx_take(&fx, t * TREE, TREE / 2 + 3 * t + 1);
	asked.calls = asked.wrong = 0;
	for (size_t i = 0; i < n * TREE; i++) {
		uint8_t class = i / 5 % 2;
		llfree_request_t request =
			llreq(0, class, i % 3 ? ll_some(0) : ll_none());

		asked.asking = class;
		if (!llfree_is_ok(
			    llfree_get(fx.self, frame_id_none(), request)))
			break;
		if (i > 4000)
			break;
	}
	assert_true(asked.calls > 0);
	assert_int_equal(asked.wrong, 0);
	fx_end(&fx);
}

/* Frees a frame when it is asked for the n-th time, and wants no more. */
static struct {
	struct fx *fx;
	size_t calls; /* with the most, before it does */
	size_t most; /* free frames that a tree may have */
} meddling;

static llfree_policy_t meddler(uint8_t requested, uint8_t target, size_t free)
{
	llfree_policy_t policy = { LLFREE_POLICY_MATCH, 1 };

	(void)requested;
	(void)target;
	if (free > meddling.most)
		policy.type = LLFREE_POLICY_INVALID;
	if (free == meddling.most && meddling.calls > 0 &&
	    --meddling.calls == 0)
		fx_put(meddling.fx, 1, fx_order(0));
	return policy;
}

/* A tree that changes after the policy was asked is asked about again. */
static void assert_asked_again(frame_id_optional_t at, size_t calls)
{
	llfree_classing_t classing = told_classing(meddler);
	llfree_result_t got;
	struct fx fx;

	meddling.fx = &fx;
	meddling.calls = 0;
	meddling.most = TREE;
	fx_make(&fx, TREE, LLFREE_INIT_FREE, &classing);
	fx_take(&fx, 0, 2);
	meddling.most = TREE - 2;
	meddling.calls = calls;
	got = llfree_get(fx.self, at, fx_order(0));
	assert_int_equal(got.error, meddling.calls == 0 ? LLFREE_ERR_MEMORY
							: LLFREE_ERR_OK);
	fx_end(&fx);
}

static void test_8_asked_again(void **state)
{
	(void)state;
	for (size_t calls = 1; calls < 8; calls++) {
		assert_asked_again(frame_id_none(), calls);
		assert_asked_again(fx_at(7), calls);
	}
}

/* 5. again: frames that move past the search, which a policy can do as well. */
static struct {
	struct fx *fx;
	size_t at; /* the only free frame */
	size_t moves; /* that are left */
	bool inside;
} moving;

/* Frees one frame of the other tree, then takes the one that was free. */
static llfree_policy_t mover(uint8_t requested, uint8_t target, size_t free)
{
	llfree_policy_t policy = { LLFREE_POLICY_MATCH, 1 };
	size_t from = moving.at;

	(void)requested;
	(void)target;
	(void)free;
	if (moving.moves == 0 || moving.inside)
		return policy;
	moving.moves--;
	moving.inside = true;
	moving.at = (from + TREE) % (2 * TREE);
	fx_put(moving.fx, moving.at, fx_order(0));
	fx_get_at(moving.fx, from, fx_order(0));
	moving.inside = false;
	return policy;
}

/* There is a free frame at every moment, so the get must have one in the end. */
static void test_5_moving_frame(void **state)
{
	llfree_classing_t classing = told_classing(mover);

	(void)state;
	for (size_t moves = 0; moves < 40; moves++)
		for (size_t slot = 0; slot < 2; slot++) {
			struct fx fx;

			fx_make(&fx, 2 * TREE, LLFREE_INIT_ALLOC, &classing);
			fx_put(&fx, 3, fx_order(0));
			moving.fx = &fx;
			moving.at = 3;
			moving.moves = moves;
			fx_get(&fx, slot ? fx_slot(0, 0) : fx_order(0));
			moving.moves = 0;
			fx_end(&fx);
		}
}

/* ------------------------------------------------------------------------ */
/* 9. Offline                                                                */

static llfree_result_t switch_tree(struct fx *fx, size_t tree,
				   uint8_t operation)
{
	llfree_tree_match_t match = { tree_id_some(tree_id(tree)),
				      LLFREE_CLASS_NONE, 0 };
	llfree_tree_change_t change = { LLFREE_CLASS_NONE, operation };

	return llfree_change_tree(fx->self, match, change);
}

static void assert_offline(struct fx *fx, size_t tree)
{
	assert_int_equal(fx_free_frames(fx), fx->frames - TREE);
	assert_int_equal(fx_tree_free(fx, tree), 0);
	assert_err(llfree_get(fx->self, fx_at(tree * TREE), fx_slot(0, 0)),
		   MEMORY);
	assert_err(switch_tree(fx, tree, LLFREE_TREE_OP_OFFLINE), MEMORY);
	fx_check(fx);
}

/* Frees into an offline tree, down to the last frame, do not bring it back. */
static void test_9_put_into_offline(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= MAX_ORDER; order++) {
		struct fx fx;

		make(&fx, 3 * TREE);
		fx_take(&fx, TREE, TREE);
		assert_ok(switch_tree(&fx, 1, LLFREE_TREE_OP_OFFLINE));
		for (size_t b = 0; b < TREE >> order; b++) {
			fx_put(&fx, TREE + (b << order),
			       b % 2 ? fx_order(order) : fx_slot(order, 0));
			if (b % 97 == 0)
				assert_offline(&fx, 1);
		}
		assert_offline(&fx, 1);
		assert_ok(switch_tree(&fx, 1, LLFREE_TREE_OP_ONLINE));
		assert_int_equal(fx_free_frames(&fx), fx.frames);
		assert_int_equal(llfree_stats(fx.self).free_trees, 3);
		fx_end(&fx);
	}
}

/* Some frames stay allocated over it all; the others are counted once. */
static void test_9_online_counts_once(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx, 2 * TREE);
	fx_take(&fx, TREE + 5, HUGE_FRAME - 70);
	for (size_t freed = 0; freed < 3 * ROW; freed += 7) {
		assert_ok(switch_tree(&fx, 1, LLFREE_TREE_OP_OFFLINE));
		fx_give(&fx, TREE + 5 + freed, 7);
		assert_offline(&fx, 1);
		assert_ok(switch_tree(&fx, 1, LLFREE_TREE_OP_ONLINE));
		assert_int_equal(fx_free_frames(&fx),
				 2 * TREE - HUGE_FRAME + 70 + freed + 7);
		assert_err(switch_tree(&fx, 1, LLFREE_TREE_OP_ONLINE), MEMORY);
		fx_check(&fx);
	}
	fx_end(&fx);
}

/* A put of a range that lies partly in an offline tree. */
static void test_9_range_over_offline(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx, 3 * TREE);
	fx_take(&fx, 0, 3 * TREE);
	assert_ok(switch_tree(&fx, 1, LLFREE_TREE_OP_OFFLINE));
	fx_give(&fx, TREE - 3, TREE + 6);
	assert_int_equal(fx_free_frames(&fx), 6);
	fx_check(&fx);
	assert_ok(switch_tree(&fx, 1, LLFREE_TREE_OP_ONLINE));
	assert_int_equal(fx_free_frames(&fx), TREE + 6);
	fx_end(&fx);
}

/* Nothing that gives up reservations or searches brings it back either. */
static void test_9_stays_offline(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx, 2 * TREE);
	assert_ok(switch_tree(&fx, 1, LLFREE_TREE_OP_OFFLINE));
	for (unsigned order = 0; order <= MAX_ORDER; order++) {
		for (size_t b = 0; b < TREE >> order; b++)
			assert_int_equal(fx_get(&fx, fx_slot(order, 0)) / TREE,
					 0);
		assert_err(llfree_get(fx.self, frame_id_none(),
				      fx_slot(order, 1)),
			   MEMORY);
		assert_ok(llfree_drain(fx.self));
		fx_give(&fx, 0, TREE);
		assert_offline(&fx, 1);
	}
	fx_end(&fx);
}

/* ------------------------------------------------------------------------ */
/* 10. Sparse classes and 11. class statistics                               */

static llfree_classing_t sparse(void)
{
	llfree_classing_t classing = {
		.classes = { { 5, 2 }, { 0, 3 }, { 7, 1 } },
		.num_classes = 3,
		.default_class = 5,
		.policy = llfree_movable_policy
	};
	return classing;
}

static void test_10_sparse_requests(void **state)
{
	const size_t slots[LLFREE_MAX_CLASSES] = { 3, 0, 0, 0, 0, 2, 0, 1 };
	llfree_classing_t classing = sparse();
	struct fx fx;

	(void)state;
	fx_make(&fx, 12 * TREE, LLFREE_INIT_FREE, &classing);
	assert_in_range(fx.size.local, 6 * LLFREE_CACHE_SIZE,
			8 * LLFREE_CACHE_SIZE);
	for (uint8_t c = 0; c < LLFREE_MAX_CLASSES; c++) {
		for (size_t s = 0; s < 5; s++) {
			llfree_request_t request = llreq(0, c, ll_some(s));
			llfree_result_t got =
				llfree_get(fx.self, frame_id_none(), request);

			assert_int_equal(got.error,
					 s < slots[c] ? LLFREE_ERR_OK
						      : LLFREE_ERR_ARGUMENT);
			if (llfree_is_ok(got))
				assert_int_equal(got.class, c < 5 ? c : 5);
			fx_check(&fx);
		}
	}
	fx_end(&fx);
}

static void test_10_sparse_counts(void **state)
{
	llfree_classing_t classing = sparse();
	llfree_request_t seven = llreq(3, 7, ll_some(0));
	struct fx fx;

	(void)state;
	fx_make(&fx, 3 * TREE + 9, LLFREE_INIT_FREE, &classing);
	ll_tree_stats_t stats = llfree_tree_stats(fx.self);

	assert_int_equal(stats.classes[5].free_frames, fx.frames);
	for (size_t i = 0; i < fx.frames / 8; i++)
		fx_get(&fx, seven);
	fx_check(&fx);
	for (size_t i = 0; i < fx.frames / 8; i++)
		fx_put(&fx, i * 8, seven);
	assert_ok(llfree_drain(fx.self));
	fx_check(&fx);
	assert_int_equal(fx_free_frames(&fx), fx.frames);
	fx_end(&fx);
}

/* What a class has free and allocated is what its trees have. */
static void assert_class_stats(struct fx *fx, const uint8_t *class_of)
{
	size_t free_frames[LLFREE_MAX_CLASSES] = { 0 };
	size_t alloc_frames[LLFREE_MAX_CLASSES] = { 0 };
	ll_tree_stats_t stats = llfree_tree_stats(fx->self);

	for (size_t t = 0; t < fx_trees(fx); t++) {
		size_t left = fx->frames - t * TREE;
		size_t all = left < TREE ? left : TREE;
		size_t free = fx_tree_free(fx, t);

		free_frames[class_of[t]] += free;
		alloc_frames[class_of[t]] += all - free;
	}
	for (size_t c = 0; c < LLFREE_MAX_CLASSES; c++) {
		assert_int_equal(stats.classes[c].free_frames, free_frames[c]);
		assert_int_equal(stats.classes[c].alloc_frames,
				 alloc_frames[c]);
	}
	fx_check(fx);
}

static void test_11_class_statistics(void **state)
{
	llfree_classing_t classing = llfree_classing_movable(2);
	size_t frames = 6 * TREE + ROW + 1;
	uint8_t class_of[7] = { 2, 2, 2, 2, 2, 2, 2 };
	struct fx fx;

	(void)state;
	fx_make(&fx, frames, LLFREE_INIT_FREE, &classing);
	assert_class_stats(&fx, class_of);
	for (uint8_t c = 0; c < 3; c++) {
		for (size_t s = 0; s < 2; s++) {
			llfree_result_t got =
				llfree_get(fx.self, frame_id_none(),
					   llreq(2, c, ll_some(s)));
			assert_ok(got);
			class_of[got.frame.value / TREE] = got.class;
			assert_class_stats(&fx, class_of);
			fx_put(&fx, got.frame.value + 2, fx_order(0));
			assert_class_stats(&fx, class_of);
		}
	}
	fx_get_at(&fx, frames - 1, llreq(0, 2, ll_none()));
	assert_class_stats(&fx, class_of);
	assert_ok(llfree_drain(fx.self));
	assert_class_stats(&fx, class_of);
	assert_ok(switch_tree(&fx, 2, LLFREE_TREE_OP_OFFLINE));
	assert_class_stats(&fx, class_of);
	fx_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_2_end),
		cmocka_unit_test(test_2_end_offline),
		cmocka_unit_test(test_4_exact_fit),
		cmocka_unit_test(test_4_exact_fit_of_both),
		cmocka_unit_test(test_5_idle_slot),
		cmocka_unit_test(test_5_idle_slot_range),
		cmocka_unit_test(test_5_idle_slot_of_other_class),
		cmocka_unit_test(test_5_moving_frame),
		cmocka_unit_test(test_6_search_width),
		cmocka_unit_test(test_6_half_used_trees),
		cmocka_unit_test(test_7_priorities),
		cmocka_unit_test(test_7_highest_first),
		cmocka_unit_test(test_7_invalid_with_priority),
		cmocka_unit_test(test_8_policy_arguments),
		cmocka_unit_test(test_8_asked_again),
		cmocka_unit_test(test_9_put_into_offline),
		cmocka_unit_test(test_9_online_counts_once),
		cmocka_unit_test(test_9_range_over_offline),
		cmocka_unit_test(test_9_stays_offline),
		cmocka_unit_test(test_10_sparse_requests),
		cmocka_unit_test(test_10_sparse_counts),
		cmocka_unit_test(test_11_class_statistics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
