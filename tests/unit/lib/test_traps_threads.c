/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The defects of test_traps.c that need a second thread: two threads meet,
 * race for one place, and what is left is compared with what must be left.
 */

#include "tests/unit/lib/fixture.h"
#include "tests/unit/lib/threads.h"

#define ROUNDS 2000

struct race {
	struct fx fx;
	struct meeting meeting;
	unsigned order, part;
	size_t position;
	atomic_size_t inside;
	atomic_size_t done;
};

static void race_make(struct race *race, size_t frames)
{
	llfree_classing_t classing = fx_one_class(2);

	memset(race, 0, sizeof(*race));
	fx_make(&race->fx, frames, LLFREE_INIT_FREE, &classing);
	race->meeting.count = 2;
}

static bool get_at(struct race *race, size_t frame, unsigned order)
{
	llfree_result_t got =
		llfree_get(race->fx.self, fx_at(frame), fx_order(order));

	must(got.error != LLFREE_ERR_ARGUMENT);
	return llfree_is_ok(got);
}

static bool put(struct race *race, size_t frame, unsigned order, size_t slot)
{
	llfree_result_t freed =
		llfree_put(race->fx.self, frame_id(frame),
			   slot ? fx_slot(order, slot) : fx_order(order));

	must(freed.error != LLFREE_ERR_ARGUMENT);
	return llfree_is_ok(freed);
}

static size_t free_in_huge(struct race *race)
{
	return llfree_stats_at(race->fx.self, frame_id(0), LLFREE_HUGE_ORDER)
		.free_frames;
}

static size_t all_free(struct race *race)
{
	return llfree_stats(race->fx.self).free_frames == race->fx.frames;
}

/* ------------------------------------------------------------------------ */
/* 3. Split of a huge frame by two partial frees                             */

/* The two free every other part of one huge frame; none of it may fail. */
static void split(void *arg, size_t id)
{
	struct race *race = arg;
	size_t size = (size_t)1 << race->part;
	size_t rounds = (size_t)ROUNDS >> (9 - race->part) / 2;

	for (size_t round = 0; round < rounds; round++) {
		if (id == 0)
			must(get_at(race, 0, 9));
		meet(&race->meeting);
		for (size_t f = id * size; f < HUGE_FRAME; f += 2 * size)
			must(put(race, f, race->part, id));
		meet(&race->meeting);
		must(free_in_huge(race) == HUGE_FRAME);
		must(all_free(race));
		meet(&race->meeting);
	}
}

static void test_3_split(void **state)
{
	(void)state;
	for (unsigned part = 0; part < LLFREE_HUGE_ORDER; part++) {
		struct race race;

		race_make(&race, 2 * TREE);
		race.part = part;
		run_threads(2, split, &race);
		fx_end(&race.fx);
	}
}

/* Both free neighbouring frames in the same row of a huge frame. */
static void split_one_row(void *arg, size_t id)
{
	struct race *race = arg;

	for (size_t round = 0; round < ROUNDS / 4; round++) {
		size_t row = round % 8 * ROW;

		if (id == 0)
			must(get_at(race, 0, 9));
		meet(&race->meeting);
		must(put(race, row + id * 13, 0, id));
		meet(&race->meeting);
		if (id == 0) {
			must(free_in_huge(race) == 2);
			must(!put(race, row, 0, 0));
			must(!put(race, row + 13, 0, 0));
		}
		meet(&race->meeting);
		if (id == 0)
			for (size_t f = 0; f < HUGE_FRAME; f++)
				must(put(race, f, 0, 0) ==
				     (f != row && f != row + 13));
		must(id == 1 || all_free(race));
	}
}

static void test_3_split_one_row(void **state)
{
	struct race race;

	(void)state;
	race_make(&race, 2 * TREE);
	run_threads(2, split_one_row, &race);
	fx_end(&race.fx);
}

/*
 * One frees a row and takes it again, over and over, while the other's first
 * partial free is still under way: a stale view would free or take it.
 */
static void split_and_retake(void *arg, size_t id)
{
	struct race *race = arg;

	for (size_t round = 0; round < ROUNDS; round++) {
		size_t mine = round % 8 * ROW, theirs = (round + 3) % 8 * ROW;

		if (id == 0)
			must(get_at(race, 0, 9));
		meet(&race->meeting);
		for (size_t i = 0; id == 0 && i < 4; i++) {
			must(put(race, mine, 6, 1));
			must(get_at(race, mine, 6));
		}
		if (id == 1)
			must(put(race, theirs, 6, 0));
		meet(&race->meeting);
		must(free_in_huge(race) == ROW);
		must(!get_at(race, mine, 0));
		meet(&race->meeting);
		for (size_t f = 0; id == 0 && f < HUGE_FRAME; f += ROW)
			must(put(race, f, 6, 1) == (f != theirs));
		must(id == 1 || all_free(race));
	}
}

static void test_3_split_and_retake(void **state)
{
	struct race race;

	(void)state;
	race_make(&race, 2 * TREE);
	run_threads(2, split_and_retake, &race);
	fx_end(&race.fx);
}

/* Both free the huge frame: one whole, the other a part of it. */
static void whole_against_part(void *arg, size_t id)
{
	struct race *race = arg;

	for (size_t round = 0; round < ROUNDS / 4; round++) {
		if (id == 0) {
			must(get_at(race, 0, race->order));
			atomic_store(&race->done, 0);
		}
		meet(&race->meeting);
		if (put(race, id ? race->position : 0,
			id ? race->part : race->order, id))
			atomic_fetch_add(&race->done, 1);
		meet(&race->meeting);
		must(id == 1 || atomic_load(&race->done) > 0);
		for (size_t f = 0; id == 0 && f < (size_t)1 << race->order; f++)
			if (!llfree_stats_at(race->fx.self, frame_id(f), 0)
				     .free_frames)
				must(put(race, f, 0, 0));
		must(id == 1 || all_free(race));
	}
}

static void test_3_whole_against_part(void **state)
{
	(void)state;
	for (unsigned order = 6; order <= 11 && order <= MAX_ORDER; order++)
		for (unsigned part = 0; part <= order; part += 3) {
			struct race race;

			race_make(&race, 2 * TREE);
			race.order = order;
			race.part = part;
			race.position =
				((size_t)1 << order) - ((size_t)1 << part);
			run_threads(2, whole_against_part, &race);
			fx_end(&race.fx);
		}
}

/* ------------------------------------------------------------------------ */
/* 1. Undo of a claim, while the place that stops it comes and goes          */

/* Inside the block, only one of the two may ever be. */
static void enter(struct race *race)
{
	must(atomic_fetch_add(&race->inside, 1) == 0);
	atomic_fetch_sub(&race->inside, 1);
}

static void block_against_part(void *arg, size_t id)
{
	struct race *race = arg;
	unsigned order = id ? race->part : race->order;
	size_t frame = id ? race->position : 0;

	meet(&race->meeting);
	for (size_t round = 0; round < ROUNDS; round++) {
		if (!get_at(race, frame, order))
			continue;
		enter(race);
		must(put(race, frame, order, id));
	}
	meet(&race->meeting);
	must(all_free(race));
}

static void test_1_block_against_part(void **state)
{
	(void)state;
	for (unsigned order = 7; order <= 12 && order <= MAX_ORDER; order++) {
		size_t size = (size_t)1 << order;
		size_t unit = order < LLFREE_HUGE_ORDER ? ROW : HUGE_FRAME;

		for (size_t k = 0; k < size / unit; k++) {
			struct race race;

			race_make(&race, 2 * TREE);
			race.order = order;
			race.position = k * unit;
			race.part = unit == ROW ? 6 : k % 2 ? 9 : 0;
			run_threads(2, block_against_part, &race);
			fx_end(&race.fx);
		}
	}
}

/* ------------------------------------------------------------------------ */
/* 8. Who asks, also after a failed compare-and-swap                         */

static _Thread_local uint8_t asking;
static atomic_size_t wrong_asker;

static llfree_policy_t knows_asker(uint8_t requested, uint8_t target,
				   size_t free)
{
	if (requested != asking || target > 1 || free > TREE || free % 8)
		atomic_fetch_add(&wrong_asker, 1);
	return llfree_simple_policy(requested, target, free);
}

static void ask(void *arg, size_t id)
{
	struct fx *fx = arg;

	asking = (uint8_t)id;
	for (size_t round = 0; round < 200; round++) {
		size_t got[64], count = 0;

		for (; count < 64; count++) {
			unsigned order = 3 + (unsigned)(round % 7);
			llfree_request_t request =
				llreq((uint8_t)order, (uint8_t)id,
				      round % 2 ? ll_some(0) : ll_none());
			llfree_result_t one =
				llfree_get(fx->self, frame_id_none(), request);

			if (!llfree_is_ok(one))
				break;
			got[count] = (size_t)one.frame.value;
		}
		while (count-- > 0)
			must(llfree_is_ok(
				llfree_put(fx->self, frame_id(got[count]),
					   llreq((uint8_t)(3 + round % 7),
						 (uint8_t)id, ll_none()))));
		llfree_drain(fx->self);
	}
}

static void test_8_asker(void **state)
{
	llfree_classing_t classing = llfree_classing_simple(1);
	struct fx fx;

	(void)state;
	classing.policy = knows_asker;
	fx_make(&fx, 8 * TREE, LLFREE_INIT_FREE, &classing);
	run_threads(2, ask, &fx);
	assert_int_equal(atomic_load(&wrong_asker), 0);
	assert_int_equal(fx_free_frames(&fx), fx.frames);
	fx_end(&fx);
}

/* ------------------------------------------------------------------------ */
/* 9. Offline and online with a put in flight                                */

static bool switch_tree(struct race *race, uint8_t operation)
{
	llfree_tree_match_t match = { tree_id_some(tree_id(1)),
				      LLFREE_CLASS_NONE, 0 };
	llfree_tree_change_t change = { LLFREE_CLASS_NONE, operation };
	llfree_result_t changed =
		llfree_change_tree(race->fx.self, match, change);

	must(!llfree_is_ok(changed) || changed.frame.value == TREE);
	return llfree_is_ok(changed);
}

/* Switches the tree while the other takes from it and frees into it. */
static void offline_against_put(void *arg, size_t id)
{
	struct race *race = arg;
	size_t size = (size_t)1 << race->order;

	meet(&race->meeting);
	for (size_t round = 0; round < ROUNDS; round++) {
		size_t frame = TREE + round % (TREE / size) * size;

		if (id == 1) {
			if (get_at(race, frame, race->order))
				must(put(race, frame, race->order, round % 2));
		} else if (switch_tree(race, LLFREE_TREE_OP_OFFLINE)) {
			must(!switch_tree(race, LLFREE_TREE_OP_OFFLINE));
			must(switch_tree(race, LLFREE_TREE_OP_ONLINE));
		}
	}
	meet(&race->meeting);
	must(all_free(race));
}

static void test_9_put_in_flight(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= MAX_ORDER; order++) {
		struct race race;

		race_make(&race, 3 * TREE);
		race.order = order;
		run_threads(2, offline_against_put, &race);
		fx_end(&race.fx);
	}
}

/* One frees what it holds of a tree that goes off and on meanwhile, once. */
static void free_while_switching(void *arg, size_t id)
{
	struct race *race = arg;

	for (size_t round = 0; round < ROUNDS / 10; round++) {
		if (id == 0)
			must(get_at(race, TREE, 9));
		meet(&race->meeting);
		for (size_t f = 0; id == 1 && f < HUGE_FRAME; f += 16)
			must(put(race, TREE + f, 4, f / 16 % 2));
		for (size_t i = 0; id == 0 && i < 20; i++)
			if (switch_tree(race, LLFREE_TREE_OP_OFFLINE))
				must(switch_tree(race, LLFREE_TREE_OP_ONLINE));
		meet(&race->meeting);
		must(id == 1 || all_free(race));
		if (id == 0)
			llfree_validate(race->fx.self);
		meet(&race->meeting);
	}
}

static void test_9_free_while_switching(void **state)
{
	struct race race;

	(void)state;
	race_make(&race, 3 * TREE);
	run_threads(2, free_while_switching, &race);
	fx_end(&race.fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_3_split),
		cmocka_unit_test(test_3_split_one_row),
		cmocka_unit_test(test_3_split_and_retake),
		cmocka_unit_test(test_3_whole_against_part),
		cmocka_unit_test(test_1_block_against_part),
		cmocka_unit_test(test_8_asker),
		cmocka_unit_test(test_9_put_in_flight),
		cmocka_unit_test(test_9_free_while_switching),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
