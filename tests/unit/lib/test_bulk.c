/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* llfree_get_bulk and llfree_put_bulk. */

#include "tests/unit/lib/fixture.h"
#include "tests/unit/lib/threads.h"

#include <stdatomic.h>

#define FRAMES (2 * TREE + HUGE_FRAME + ROW + 3)

static struct fx fx;
static frame_id_t list[FRAMES + 1];

static void make(uint8_t mode)
{
	llfree_classing_t classing = fx_one_class(2);

	fx_make(&fx, FRAMES, mode, &classing);
}

static void assert_bulk(llfree_bulk_t done, size_t count, uint8_t error)
{
	assert_int_equal(done.count, count);
	assert_int_equal(done.error, error);
}

static void get_bulk(size_t count, llfree_request_t request)
{
	assert_bulk(llfree_get_bulk(fx.self, list, count, request), count,
		    LLFREE_ERR_OK);
}

static void put_bulk(size_t count, llfree_request_t request)
{
	assert_bulk(llfree_put_bulk(fx.self, list, count, request), count,
		    LLFREE_ERR_OK);
}

/* So many of the list become allocated in the map, which had them free. */
static void mark(uint8_t *map, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		assert_true(list[i].value < FRAMES);
		assert_int_equal(map[list[i].value], 0);
		map[list[i].value] = 1;
	}
}

static void shuffle(size_t count, uint64_t *seed)
{
	for (size_t i = count; i > 1; i--) {
		size_t j = fx_below(seed, i);
		frame_id_t other = list[j];

		list[j] = list[i - 1];
		list[i - 1] = other;
	}
}

/* ------------------------------------------------------------------------ */
/* One thread                                                                */

static void test_counts(void **state)
{
	static const size_t counts[] = { 0,   1,   2,	63,  64,  65,
					 127, 128, 130, 511, 512, 513 };

	(void)state;
	make(LLFREE_INIT_FREE);
	for (size_t i = 0; i < LENGTH(counts); i++) {
		for (size_t slot = 0; slot < 2; slot++) {
			llfree_request_t request = slot ? fx_slot(0, 0)
							: fx_order(0);
			uint8_t *map = fx_map(&fx);

			get_bulk(counts[i], request);
			mark(map, counts[i]);
			fx_assert_map(&fx, map);
			put_bulk(counts[i], request);
			assert_int_equal(fx_free_frames(&fx), FRAMES);
			free(map);
		}
	}
	fx_end(&fx);
}

static void assert_refused(llfree_t *self, const frame_id_t *frames,
			   size_t count, llfree_request_t request)
{
	frame_id_t into[4] = { frame_id(7), frame_id(7), frame_id(7),
			       frame_id(7) };

	assert_bulk(llfree_put_bulk(self, frames, count, request), 0,
		    LLFREE_ERR_ARGUMENT);
	assert_bulk(llfree_get_bulk(self, frames ? into : NULL, count, request),
		    0, LLFREE_ERR_ARGUMENT);
	assert_int_equal(into[0].value, 7);
}

static void test_arguments(void **state)
{
	const frame_id_t there[] = { frame_id(0), frame_id(1), frame_id(2) };
	struct fx_copy copy;

	(void)state;
	make(LLFREE_INIT_ALLOC);
	fx_give(&fx, HUGE_FRAME, HUGE_FRAME);
	copy = fx_copy(&fx);
	assert_refused(fx.self, there, 3, fx_order(1));
	assert_refused(fx.self, there, 3, fx_order(MAX_ORDER + 1));
	assert_refused(fx.self, there, 0, fx_order(1));
	assert_refused(fx.self, there, 3, llreq(0, 1, ll_none()));
	assert_refused(fx.self, there, 3, llreq(0, 8, ll_none()));
	assert_refused(fx.self, there, 3, fx_slot(0, 2));
	assert_refused(fx.self, there, 3, fx_slot(0, SIZE_MAX));
	assert_refused(fx.self, NULL, 3, fx_order(0));
	fx_assert_same(&fx, &copy);
	fx_copy_release(&copy);
	fx_end(&fx);
}

/* A frame out of range anywhere in the list: none is freed. */
static void test_put_out_of_range(void **state)
{
	static const uint64_t beyond[] = { FRAMES, FRAMES + 1,
					   UINT64_C(1) << 32, UINT64_MAX };
	struct fx_copy copy;

	(void)state;
	make(LLFREE_INIT_ALLOC);
	copy = fx_copy(&fx);
	for (size_t at = 0; at < 3; at++) {
		for (size_t i = 0; i < LENGTH(beyond); i++) {
			for (size_t j = 0; j < 3; j++)
				list[j] = frame_id(j);
			list[at] = frame_id(beyond[i]);
			assert_bulk(llfree_put_bulk(fx.self, list, 3,
						    fx_order(0)),
				    0, LLFREE_ERR_ARGUMENT);
		}
	}
	fx_assert_same(&fx, &copy);
	fx_copy_release(&copy);
	fx_end(&fx);
}

static void test_nothing(void **state)
{
	(void)state;
	make(LLFREE_INIT_ALLOC);
	assert_bulk(llfree_get_bulk(fx.self, NULL, 0, fx_order(0)), 0,
		    LLFREE_ERR_OK);
	assert_bulk(llfree_get_bulk(fx.self, list, 0, fx_slot(0, 1)), 0,
		    LLFREE_ERR_OK);
	assert_bulk(llfree_put_bulk(fx.self, NULL, 0, fx_order(0)), 0,
		    LLFREE_ERR_OK);
	assert_int_equal(fx_free_frames(&fx), 0);
	fx_end(&fx);
}

/* More than there is: all that is there, wherever. */
static void test_partial(void **state)
{
	static const size_t free[] = {
		0, 5, ROW - 1, ROW, HUGE_FRAME - 1, TREE, FRAMES - 3
	};

	(void)state;
	make(LLFREE_INIT_ALLOC);
	for (size_t at = 0; at < LENGTH(free); at++)
		fx_give(&fx, free[at], 1);
	assert_bulk(llfree_get_bulk(fx.self, list, 20, fx_slot(0, 0)),
		    LENGTH(free), LLFREE_ERR_MEMORY);
	for (size_t at = 0; at < LENGTH(free); at++) {
		size_t found = 0;

		for (size_t i = 0; i < LENGTH(free); i++)
			found += list[i].value == free[at];
		assert_int_equal(found, 1);
	}
	assert_int_equal(fx_free_frames(&fx), 0);
	fx_end(&fx);
}

static void test_partial_leaves_the_rest(void **state)
{
	(void)state;
	make(LLFREE_INIT_ALLOC);
	fx_give(&fx, 3, 1);
	for (size_t i = 0; i < 4; i++)
		list[i] = frame_id(77);
	assert_bulk(llfree_get_bulk(fx.self, list, 4, fx_order(0)), 1,
		    LLFREE_ERR_MEMORY);
	assert_int_equal(list[0].value, 3);
	for (size_t i = 1; i < 4; i++)
		assert_int_equal(list[i].value, 77);
	fx_end(&fx);
}

/* The last frame of all trees, whoever has reserved them. */
static void exhaust(llfree_request_t request)
{
	uint8_t *map;

	make(LLFREE_INIT_FREE);
	map = fx_map(&fx);
	list[0] = frame_id(fx_get(&fx, fx_slot(0, 1)));
	mark(map, 1);
	assert_bulk(llfree_get_bulk(fx.self, list, FRAMES + 1, request),
		    FRAMES - 1, LLFREE_ERR_MEMORY);
	mark(map, FRAMES - 1);
	assert_int_equal(fx_free_frames(&fx), 0);
	assert_bulk(llfree_get_bulk(fx.self, list, 1, request), 0,
		    LLFREE_ERR_MEMORY);
	put_bulk(FRAMES - 1, request);
	assert_int_equal(fx_free_frames(&fx), FRAMES - 1);
	free(map);
	fx_end(&fx);
}

static void test_exhaust(void **state)
{
	(void)state;
	exhaust(fx_slot(0, 0));
	exhaust(fx_order(0));
}

/* An offline tree gives nothing. */
static void test_offline(void **state)
{
	llfree_tree_match_t match = { tree_id_some(tree_id(1)),
				      LLFREE_CLASS_NONE, 0 };
	llfree_tree_change_t change = { LLFREE_CLASS_NONE,
					LLFREE_TREE_OP_OFFLINE };

	(void)state;
	make(LLFREE_INIT_FREE);
	assert_ok(llfree_change_tree(fx.self, match, change));
	assert_bulk(llfree_get_bulk(fx.self, list, FRAMES, fx_slot(0, 0)),
		    FRAMES - TREE, LLFREE_ERR_MEMORY);
	for (size_t i = 0; i < FRAMES - TREE; i++)
		assert_true(list[i].value / TREE != 1);
	fx_end(&fx);
}

/* Free huge frames stay whole as long as others in the tree have frames. */
static void test_spares_huge_frames(void **state)
{
	(void)state;
	if (CHILDREN < 4) {
		print_message("# skipped: a tree has few huge frames\n");
		skip();
	}
	make(LLFREE_INIT_FREE);
	fx_take(&fx, 0, 2 * HUGE_FRAME - 70);
	fx_take(&fx, 3 * HUGE_FRAME, HUGE_FRAME / 2);
	fx_take(&fx, TREE, FRAMES - TREE);
	get_bulk(70 + HUGE_FRAME / 2, fx_slot(0, 0));
	assert_int_equal(llfree_stats(fx.self).free_huge, CHILDREN - 3);
	fx_end(&fx);
}

/* ------------------------------------------------------------------------ */
/* Classes                                                                   */

static uint8_t told; /* what the policy says of another class's trees */
static size_t told_most; /* the largest count that it was told */

static llfree_policy_t as_told(uint8_t requested, uint8_t target, size_t free)
{
	llfree_policy_t policy = { requested == target ? LLFREE_POLICY_MATCH
						       : told,
				   1 };

	told_most = free > told_most ? free : told_most;
	return policy;
}

/* All frames are in trees of class 1 and wanted for class 0. */
static void get_all_as_told(uint8_t type, bool slot)
{
	llfree_classing_t classing = { { { 0, 1 }, { 1, 1 } }, 2, 1, as_told };
	size_t want = type == LLFREE_POLICY_INVALID ? 0 : FRAMES;

	told = type;
	told_most = 0;
	fx_make(&fx, FRAMES, LLFREE_INIT_FREE, &classing);
	assert_bulk(llfree_get_bulk(fx.self, list, FRAMES,
				    slot ? fx_slot(0, 0) : fx_order(0)),
		    want, want ? LLFREE_ERR_OK : LLFREE_ERR_MEMORY);
	assert_int_equal(told_most, TREE);
}

/* A tree serves another class only as the policy says, and keeps or changes
 * its own as for single frames. */
static void test_classes(void **state)
{
	static const struct {
		uint8_t type;
		bool slot;
		size_t taken_over;
	} cases[] = { { LLFREE_POLICY_MATCH, false, 0 },
		      { LLFREE_POLICY_MATCH, true, FRAMES },
		      { LLFREE_POLICY_STEAL, false, 0 },
		      { LLFREE_POLICY_STEAL, true, 0 },
		      { LLFREE_POLICY_DEMOTE, false, FRAMES },
		      { LLFREE_POLICY_DEMOTE, true, FRAMES },
		      { LLFREE_POLICY_INVALID, false, 0 },
		      { LLFREE_POLICY_INVALID, true, 0 } };

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		get_all_as_told(cases[i].type, cases[i].slot);
		assert_int_equal(
			llfree_tree_stats(fx.self).classes[0].alloc_frames,
			cases[i].taken_over);
		fx_end(&fx);
	}
}

static llfree_policy_t full_only(uint8_t requested, uint8_t target, size_t free)
{
	llfree_policy_t policy = { LLFREE_POLICY_INVALID, 0 };

	if (requested == target || free == TREE)
		policy.type = LLFREE_POLICY_STEAL;
	return policy;
}

/* A tree that the policy grants only while it is full gives one frame. */
static void test_policy_asked_again(void **state)
{
	llfree_classing_t classing = {
		{ { 0, 1 }, { 1, 1 } }, 2, 1, full_only
	};

	(void)state;
	fx_make(&fx, FRAMES, LLFREE_INIT_FREE, &classing);
	assert_bulk(llfree_get_bulk(fx.self, list, FRAMES, fx_slot(0, 0)),
		    FRAMES / TREE, LLFREE_ERR_MEMORY);
	fx_end(&fx);
}

/* ------------------------------------------------------------------------ */
/* Puts that are wrong                                                       */

/* The frame at `at` of the list is not allocated: those before it are freed. */
static void test_put_free_frame(void **state)
{
	static const size_t apart[] = { 1, 3, ROW, HUGE_FRAME };

	(void)state;
	for (size_t a = 0; a < LENGTH(apart); a++) {
		for (size_t at = 0; at < 4; at++) {
			uint8_t *map;

			make(LLFREE_INIT_ALLOC);
			for (size_t i = 0; i < 4; i++)
				list[i] = frame_id(i * apart[a] % FRAMES);
			fx_give(&fx, list[at].value, 1);
			map = fx_map(&fx);
			for (size_t i = 0; i < at; i++)
				map[list[i].value] = 0;
			assert_bulk(llfree_put_bulk(fx.self, list, 4,
						    fx_slot(0, 0)),
				    at, LLFREE_ERR_MEMORY);
			fx_assert_map(&fx, map);
			free(map);
			fx_end(&fx);
		}
	}
}

/* The same frame twice, next to itself or not: freed once, and told. */
static void test_put_twice(void **state)
{
	static const size_t lists[][4] = { { 5, 5, 6, 7 },
					   { 5, 6, 5, 7 },
					   { 5, 6, 7, 5 },
					   { 5, 5 + ROW, 5, 6 },
					   { 5, 6, 5 + HUGE_FRAME, 5 } };
	static const size_t second[] = { 1, 2, 3, 2, 3 };

	(void)state;
	for (size_t l = 0; l < LENGTH(lists); l++) {
		make(LLFREE_INIT_ALLOC);
		for (size_t i = 0; i < 4; i++)
			list[i] = frame_id(lists[l][i]);
		assert_bulk(llfree_put_bulk(fx.self, list, 4, fx_order(0)),
			    second[l], LLFREE_ERR_MEMORY);
		assert_int_equal(fx_free_frames(&fx), second[l]);
		fx_end(&fx);
	}
}

static void test_put_again(void **state)
{
	(void)state;
	make(LLFREE_INIT_FREE);
	get_bulk(100, fx_slot(0, 0));
	put_bulk(100, fx_slot(0, 0));
	assert_bulk(llfree_put_bulk(fx.self, list, 100, fx_slot(0, 0)), 0,
		    LLFREE_ERR_MEMORY);
	assert_int_equal(fx_free_frames(&fx), FRAMES);
	fx_end(&fx);
}

/* What one call allocated, in any order and by any other call. */
static void test_put_in_any_order(void **state)
{
	uint64_t seed = 4;

	(void)state;
	make(LLFREE_INIT_ALLOC);
	for (size_t i = 0; i < FRAMES; i++)
		list[i] = frame_id(i);
	shuffle(FRAMES, &seed);
	put_bulk(FRAMES, fx_slot(0, 1));
	assert_int_equal(fx_free_frames(&fx), FRAMES);
	fx_end(&fx);
}

/* Whole huge frames freed in bulk, and single frames that make one. */
static void test_huge_and_single(void **state)
{
	size_t huge;

	(void)state;
	make(LLFREE_INIT_FREE);
	huge = fx_get(&fx, fx_slot(LLFREE_HUGE_ORDER, 0));
	for (size_t i = 0; i < HUGE_FRAME; i++)
		list[i] = frame_id(huge + i);
	put_bulk(HUGE_FRAME, fx_slot(0, 0));
	assert_int_equal(fx_free_frames(&fx), FRAMES);
	get_bulk(TREE, fx_slot(0, 0));
	fx_put(&fx, list[0].value / HUGE_FRAME * HUGE_FRAME,
	       fx_slot(LLFREE_HUGE_ORDER, 0));
	assert_int_equal(fx_free_frames(&fx), FRAMES - TREE + HUGE_FRAME);
	fx_end(&fx);
}

/* ------------------------------------------------------------------------ */
/* Against a map                                                             */

static void random_step(uint8_t *map, uint64_t *seed)
{
	size_t count = fx_below(seed, 1 + fx_below(seed, 700));
	size_t slot = fx_below(seed, 3), held = 0;
	llfree_request_t request = slot < 2 ? fx_slot(0, slot) : fx_order(0);
	size_t free = fx_free_frames(&fx);

	if (fx_below(seed, 2)) {
		size_t want = count < free ? count : free;

		assert_bulk(llfree_get_bulk(fx.self, list, count, request),
			    want,
			    want < count ? LLFREE_ERR_MEMORY : LLFREE_ERR_OK);
		mark(map, want);
		return;
	}
	for (size_t f = 0; f < FRAMES; f++)
		if (map[f])
			list[held++] = frame_id(f);
	if (fx_below(seed, 2))
		shuffle(held, seed);
	count = count < held ? count : held;
	put_bulk(count, request);
	for (size_t i = 0; i < count; i++)
		map[list[i].value] = 0;
}

/* Fragmented memory, in bulk and one by one. */
static void test_random(void **state)
{
	uint64_t seed = 99;
	uint8_t *map;

	(void)state;
	make(LLFREE_INIT_ALLOC);
	for (size_t f = 0; f < FRAMES; f++)
		if (fx_below(&seed, 3) == 0)
			fx_give(&fx, f, 1);
	map = fx_map(&fx);
	for (size_t i = 0; i < (CHILDREN > 16 ? 20 : 200); i++) {
		random_step(map, &seed);
		if (i % 20 == 0)
			fx_assert_map(&fx, map);
	}
	fx_assert_map(&fx, map);
	free(map);
	fx_end(&fx);
}

/* ------------------------------------------------------------------------ */
/* Threads                                                                   */

#define THREADS 4
#define HELD 700

struct world {
	_Atomic uint8_t owner[FRAMES];
	bool slots;
};
static struct world world;

static void own(const frame_id_t *frames, size_t count, uint8_t from,
		uint8_t to)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t was = from;

		must(frames[i].value < FRAMES);
		must(atomic_compare_exchange_strong(
			&world.owner[frames[i].value], &was, to));
	}
}

static void worker(void *arg, size_t id)
{
	uint64_t seed = test_seed + id * 77;
	frame_id_t frames[HELD];
	llfree_request_t request = world.slots ? fx_slot(0, id % 2)
					       : fx_order(0);
	uint8_t me = (uint8_t)(id + 1);
	size_t held = 0;

	(void)arg;
	for (size_t round = test_rounds(20000); round; round--) {
		size_t n = fx_below(&seed, HELD - held + 1);
		llfree_bulk_t got =
			llfree_get_bulk(fx.self, frames + held, n, request);

		must(got.count <= n && (got.count == n) == (got.error == 0));
		own(frames + held, got.count, 0, me);
		held += got.count;
		n = fx_below(&seed, held + 1);
		held -= n;
		own(frames + held, n, me, 0);
		got = llfree_put_bulk(fx.self, frames + held, n, request);
		must(got.count == n && got.error == LLFREE_ERR_OK);
	}
	own(frames, held, me, 0);
	must(llfree_put_bulk(fx.self, frames, held, request).count == held);
}

/* With plenty, and with less than the threads want. */
static void threads(size_t left, bool slots)
{
	test_seed_next();
	make(LLFREE_INIT_FREE);
	if (left < FRAMES)
		fx_take(&fx, left, FRAMES - left);
	memset((void *)&world, 0, sizeof(world));
	world.slots = slots;
	run_threads(THREADS, worker, NULL);
	assert_int_equal(fx_free_frames(&fx), left);
	fx_end(&fx);
}

static void test_threads(void **state)
{
	(void)state;
	threads(FRAMES, true);
	threads(FRAMES, false);
	threads(2 * ROW + 7, true);
	threads(HUGE_FRAME + 100, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_put_out_of_range),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_partial),
		cmocka_unit_test(test_partial_leaves_the_rest),
		cmocka_unit_test(test_exhaust),
		cmocka_unit_test(test_offline),
		cmocka_unit_test(test_spares_huge_frames),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_policy_asked_again),
		cmocka_unit_test(test_put_free_frame),
		cmocka_unit_test(test_put_twice),
		cmocka_unit_test(test_put_again),
		cmocka_unit_test(test_put_in_any_order),
		cmocka_unit_test(test_huge_and_single),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
