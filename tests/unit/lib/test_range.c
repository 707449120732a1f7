/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* llfree_get_range and llfree_put_range. */

#include "tests/unit/lib/fixture.h"

#include <unistd.h>

/* Enough trees for ranges over several, few enough to look at each frame. */
#define TREES 4
#define FRAMES (TREES * TREE + HUGE_FRAME + ROW + 3)

static void make(struct fx *fx)
{
	llfree_classing_t classing = fx_one_class(2);

	fx_make(fx, FRAMES, LLFREE_INIT_FREE, &classing);
}

static void make_full(struct fx *fx)
{
	llfree_classing_t classing = fx_one_class(2);

	fx_make(fx, FRAMES, LLFREE_INIT_ALLOC, &classing);
}

/* Lengths around every boundary that a range can meet. */
static const size_t lengths[] = {
	1,
	2,
	3,
	63,
	64,
	65,
	100,
	127,
	128,
	129,
	300,
	HUGE_FRAME - 1,
	HUGE_FRAME,
	HUGE_FRAME + 1,
	HUGE_FRAME + 77,
	2 * HUGE_FRAME - 1,
	2 * HUGE_FRAME,
	2 * HUGE_FRAME + 65,
	TREE - 1,
	TREE,
	TREE + 1,
	TREE + HUGE_FRAME,
	2 * TREE - 1,
	2 * TREE,
	2 * TREE + 129,
	3 * TREE + HUGE_FRAME + 1,
	FRAMES - 1,
	FRAMES,
};

/* Where the contract lets a range of `frames` begin. */
static void assert_place(size_t first, size_t frames, unsigned order)
{
	assert_int_equal(first % ((size_t)1 << order), 0);
	assert_in_range(first, 0, FRAMES - frames);
	if (frames >= HUGE_FRAME)
		assert_int_equal(first % HUGE_FRAME, 0);
	else
		assert_int_equal(first / HUGE_FRAME,
				 (first + frames - 1) / HUGE_FRAME);
}

static size_t get_range(struct fx *fx, size_t frames, llfree_request_t request)
{
	llfree_result_t got =
		llfree_get_range(fx->self, frame_id_none(), frames, request);

	assert_ok(got);
	assert_place((size_t)got.frame.value, frames, request.order);
	return (size_t)got.frame.value;
}

/* Marks a range in a map, which must not have been so. */
static void mark(uint8_t *map, size_t first, size_t frames, uint8_t value)
{
	for (size_t i = first; i < first + frames; i++) {
		if (map[i] == value)
			fail_msg("frame %zu is %u already", i, value);
		map[i] = value;
	}
}

static void test_lengths(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	for (size_t i = 0; i < LENGTH(lengths); i++) {
		uint8_t *map = calloc(FRAMES, 1);
		llfree_request_t request = i % 2 ? fx_order(0) : fx_slot(0, 1);
		size_t first = get_range(&fx, lengths[i], request);

		mark(map, first, lengths[i], 1);
		fx_assert_map(&fx, map);
		fx_give(&fx, first, lengths[i]);
		assert_int_equal(fx_free_frames(&fx), FRAMES);
		fx_check(&fx);
		free(map);
	}
	fx_end(&fx);
}

static void test_alignment(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	fx_get_at(&fx, 0, fx_order(0));
	for (unsigned order = 0; order <= MAX_ORDER; order++) {
		for (size_t i = 0; i < LENGTH(lengths); i++) {
			if (lengths[i] >= TREE)
				continue;
			size_t first =
				get_range(&fx, lengths[i], fx_slot(order, 0));

			fx_give(&fx, first, lengths[i]);
		}
	}
	assert_int_equal(fx_free_frames(&fx), FRAMES - 1);
	fx_end(&fx);
}

/* With `at`, a range may begin anywhere and cross every boundary. */
static void test_at(void **state)
{
	const size_t starts[] = {
		0,	    1,	       63,	 64,   HUGE_FRAME - 1,
		HUGE_FRAME, TREE - 65, TREE - 1, TREE, 2 * TREE - HUGE_FRAME - 1
	};
	struct fx fx;

	(void)state;
	make(&fx);
	for (size_t s = 0; s < LENGTH(starts); s++) {
		for (size_t i = 0; i < LENGTH(lengths); i++) {
			if (lengths[i] + starts[s] > FRAMES)
				continue;
			uint8_t *map = calloc(FRAMES, 1);

			fx_take(&fx, starts[s], lengths[i]);
			mark(map, starts[s], lengths[i], 1);
			fx_assert_map(&fx, map);
			fx_give(&fx, starts[s], lengths[i]);
			fx_check(&fx);
			free(map);
		}
	}
	assert_int_equal(fx_free_frames(&fx), FRAMES);
	fx_end(&fx);
}

/* Any one frame that is taken makes the whole get-at fail and undo. */
static void test_at_is_all_or_nothing(void **state)
{
	const size_t taken[] = { 0,
				 1,
				 ROW,
				 HUGE_FRAME - 1,
				 HUGE_FRAME,
				 HUGE_FRAME + 5,
				 TREE - 1,
				 TREE,
				 TREE + HUGE_FRAME,
				 2 * TREE + 1,
				 3 * TREE - 1 };
	struct fx fx;

	(void)state;
	make(&fx);
	for (size_t t = 0; t < LENGTH(taken); t++) {
		fx_get_at(&fx, taken[t], fx_order(0));
		uint8_t *map = fx_map(&fx);

		for (size_t i = 0; i < LENGTH(lengths); i++) {
			size_t first = taken[t] % 3 * 7;

			if (taken[t] < first ||
			    first + lengths[i] <= taken[t] ||
			    first + lengths[i] > FRAMES)
				continue;
			assert_err(llfree_get_range(fx.self, fx_at(first),
						    lengths[i], fx_slot(0, 0)),
				   MEMORY);
			fx_assert_map(&fx, map);
		}
		free(map);
		fx_put(&fx, taken[t], fx_order(0));
	}
	fx_end(&fx);
}

/* The same where the owner of the place that stops it holds a huge frame. */
static void test_stopped_by_huge(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	for (size_t huge = 0; huge < FRAMES / HUGE_FRAME;
	     huge += huge < 20 ? 1 : 97) {
		fx_get_at(&fx, huge * HUGE_FRAME, fx_order(9));
		uint8_t *map = fx_map(&fx);

		assert_err(llfree_get_range(fx.self, fx_at(0), FRAMES,
					    fx_order(0)),
			   MEMORY);
		fx_assert_map(&fx, map);
		assert_err(llfree_put_range(fx.self, frame_id(0), FRAMES,
					    fx_order(0)),
			   MEMORY);
		fx_assert_map(&fx, map);
		free(map);
		fx_put(&fx, huge * HUGE_FRAME, fx_order(9));
	}
	fx_end(&fx);
}

/* Any one frame that is free makes the whole put fail and undo. */
static void test_put_is_all_or_nothing(void **state)
{
	const size_t free_at[] = { 0,	       ROW - 1,
				   ROW,	       HUGE_FRAME - 1,
				   HUGE_FRAME, TREE - 1,
				   TREE,       2 * TREE - HUGE_FRAME + 3,
				   3 * TREE,   FRAMES - 1 };
	struct fx fx;

	(void)state;
	make_full(&fx);
	for (size_t f = 0; f < LENGTH(free_at); f++) {
		fx_put(&fx, free_at[f], fx_order(0));
		uint8_t *map = fx_map(&fx);

		for (size_t i = 0; i < LENGTH(lengths); i++) {
			size_t first = lengths[i] > free_at[f]
					       ? 0
					       : free_at[f] - lengths[i] + 1;

			if (first + lengths[i] > FRAMES)
				continue;
			assert_err(llfree_put_range(fx.self, frame_id(first),
						    lengths[i], fx_slot(0, 1)),
				   MEMORY);
			fx_assert_map(&fx, map);
		}
		free(map);
		fx_get_at(&fx, free_at[f], fx_order(0));
	}
	assert_int_equal(fx_free_frames(&fx), 0);
	fx_end(&fx);
}

/* Random pieces of a range, in random order, until it is gone. */
static void test_put_sub_ranges(void **state)
{
	uint64_t seed = 0x1234567;
	struct fx fx;

	(void)state;
	make(&fx);
	for (size_t i = 0; i < LENGTH(lengths); i++) {
		size_t left = lengths[i],
		       first = get_range(&fx, left, fx_slot(0, 0));
		uint8_t *map = calloc(FRAMES, 1);

		mark(map, first, left, 1);
		while (left > 0) {
			size_t start = first + fx_below(&seed, lengths[i]);
			size_t end = start, most = 1 + fx_below(&seed, left);

			while (end < first + lengths[i] && map[end] &&
			       end - start < most)
				end++;
			if (end == start)
				continue;
			fx_give(&fx, start, end - start);
			mark(map, start, end - start, 0);
			left -= end - start;
		}
		fx_assert_map(&fx, map);
		free(map);
	}
	fx_end(&fx);
}

/* One put of what single frames, huge frames and ranges took side by side. */
static void test_put_covers_several(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	for (size_t i = 0; i < LENGTH(lengths); i++) {
		size_t frame = 0;

		for (size_t n = 0; frame < lengths[i]; n++) {
			size_t left = lengths[i] - frame;
			size_t piece = n % 3 == 0 ? 1 : n % 3 == 1 ? 7 : 600;

			piece = piece < left ? piece : left;
			fx_take(&fx, frame, piece);
			frame += piece;
		}
		fx_give(&fx, 0, lengths[i]);
		assert_int_equal(fx_free_frames(&fx), FRAMES);
		fx_check(&fx);
	}
	fx_end(&fx);
}

/* A huge frame is whole again after its range was freed in two pieces. */
static void test_put_heals_huge(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	for (size_t cut = 1; cut < 2 * HUGE_FRAME; cut += 31) {
		fx_take(&fx, 0, 2 * HUGE_FRAME);
		fx_give(&fx, 0, cut);
		fx_give(&fx, cut, 2 * HUGE_FRAME - cut);
		fx_get_at(&fx, 0, fx_order(9));
		fx_get_at(&fx, HUGE_FRAME, fx_order(9));
		fx_put(&fx, 0, fx_order(9));
		fx_put(&fx, HUGE_FRAME, fx_order(9));
	}
	fx_end(&fx);
}

/* The one gap that fits is found, wherever it is. */
static void test_finds_the_only_gap(void **state)
{
	struct fx fx;

	(void)state;
	make_full(&fx);
	for (size_t i = 0; i < LENGTH(lengths); i++) {
		size_t unit = lengths[i] < HUGE_FRAME ? ROW + 1 : HUGE_FRAME;
		size_t places = (FRAMES - lengths[i]) / unit + 1;

		for (size_t p = 0; p < places; p += places / 40 + 1) {
			size_t first = p * unit;

			if (lengths[i] < HUGE_FRAME &&
			    first / HUGE_FRAME !=
				    (first + lengths[i] - 1) / HUGE_FRAME)
				continue;
			fx_give(&fx, first, lengths[i]);
			assert_int_equal(get_range(&fx, lengths[i],
						   fx_slot(0, p % 2)),
					 first);
		}
	}
	assert_int_equal(fx_free_frames(&fx), 0);
	fx_end(&fx);
}

/* A gap that is one frame too short is none. */
static void test_gap_too_short(void **state)
{
	struct fx fx;

	(void)state;
	make_full(&fx);
	for (size_t i = 1; i < LENGTH(lengths); i++) {
		if (lengths[i] + HUGE_FRAME > FRAMES)
			continue;
		fx_give(&fx, HUGE_FRAME, lengths[i] - 1);
		uint8_t *map = fx_map(&fx);

		assert_err(llfree_get_range(fx.self, frame_id_none(),
					    lengths[i], fx_slot(0, 0)),
			   MEMORY);
		fx_assert_map(&fx, map);
		free(map);
		fx_take(&fx, HUGE_FRAME, lengths[i] - 1);
	}
	fx_end(&fx);
}

/*
 * Huge frames are free and the counts would do for the rest, but each rest
 * would begin with a taken frame. The search must end, and change nothing.
 */
static void test_tail_taken(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	for (size_t f = 0; f < FRAMES; f += HUGE_FRAME)
		fx_get_at(&fx, f + f / HUGE_FRAME % 2, fx_order(0));
	uint8_t *map = fx_map(&fx);

	for (size_t f = HUGE_FRAME; f < 3 * HUGE_FRAME; f += HUGE_FRAME) {
		fx_put(&fx, f + f / HUGE_FRAME % 2, fx_order(0));
		alarm(300); /* it would search for ever */
		for (size_t tail = 2; tail < 2 * ROW; tail += 3)
			for (size_t slot = 0; slot < 2; slot++)
				assert_err(llfree_get_range(fx.self,
							    frame_id_none(),
							    HUGE_FRAME + tail,
							    slot ? fx_slot(0, 1)
								 : fx_order(0)),
					   MEMORY);
		alarm(0);
		fx_get_at(&fx, f + f / HUGE_FRAME % 2, fx_order(0));
		fx_assert_map(&fx, map);
	}
	free(map);
	fx_end(&fx);
}

/* An order above the range's own size still aligns it. */
static void test_short_with_high_order(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	for (unsigned order = 2; order <= MAX_ORDER; order++) {
		size_t size = (size_t)1 << order;
		size_t first;

		for (size_t f = 0; f + 3 <= FRAMES; f += size)
			if (f != 2 * TREE)
				fx_get_at(&fx, f, fx_order(0));
		first = get_range(&fx, 3, fx_slot(order, 0));
		assert_int_equal(first, 2 * TREE);
		assert_err(llfree_get_range(fx.self, frame_id_none(), 3,
					    fx_slot(order, 0)),
			   MEMORY);
		fx_give(&fx, first, 3);
		for (size_t f = 0; f + 3 <= FRAMES; f += size)
			if (f != 2 * TREE)
				fx_put(&fx, f, fx_order(0));
	}
	fx_end(&fx);
}

/* A free range that holds an offline tree is not to be had. */
static void test_offline_inside(void **state)
{
	llfree_tree_match_t second = { tree_id_some(tree_id(1)),
				       LLFREE_CLASS_NONE, 0 };
	llfree_tree_change_t change = { LLFREE_CLASS_NONE,
					LLFREE_TREE_OP_OFFLINE };
	struct fx fx;

	(void)state;
	make(&fx);
	assert_ok(llfree_change_tree(fx.self, second, change));
	uint8_t *map = fx_map(&fx);

	assert_err(llfree_get_range(fx.self, fx_at(TREE - 1), TREE + 2,
				    fx_order(0)),
		   MEMORY);
	assert_err(llfree_get_range(fx.self, fx_at(0), TREE + 1, fx_order(0)),
		   MEMORY);
	assert_err(llfree_get_range(fx.self, fx_at(2 * TREE - 1), 2,
				    fx_order(0)),
		   MEMORY);
	fx_assert_map(&fx, map);
	free(map);
	assert_int_equal(get_range(&fx, TREE + HUGE_FRAME, fx_order(0)) / TREE,
			 2);
	fx_end(&fx);
}

/* ------------------------------------------------------------------------ */
/* Wrong calls                                                               */

static void wrong(struct fx *fx, size_t at, size_t frames,
		  llfree_request_t request)
{
	struct fx_copy copy = fx_copy(fx);

	assert_err(llfree_get_range(fx->self, fx_at(at), frames, request),
		   ARGUMENT);
	fx_assert_same(fx, &copy);
	fx_copy_release(&copy);
}

static void wrong_put(struct fx *fx, size_t at, size_t frames,
		      llfree_request_t request)
{
	struct fx_copy copy = fx_copy(fx);

	assert_err(llfree_put_range(fx->self, frame_id(at), frames, request),
		   ARGUMENT);
	fx_assert_same(fx, &copy);
	fx_copy_release(&copy);
}

static void wrong_length(struct fx *fx, size_t frames)
{
	struct fx_copy copy = fx_copy(fx);

	assert_err(llfree_get_range(fx->self, frame_id_none(), frames,
				    fx_order(0)),
		   ARGUMENT);
	fx_assert_same(fx, &copy);
	fx_copy_release(&copy);
	wrong(fx, 0, frames, fx_order(0));
	wrong_put(fx, 0, frames, fx_order(0));
	wrong_put(fx, TREE, frames, fx_order(0));
}

static void test_wrong(void **state)
{
	const size_t bad[] = { 0,	 FRAMES + 1,   2 * FRAMES,
			       SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - TREE + 1 };
	struct fx fx;

	(void)state;
	make(&fx);
	fx_take(&fx, 5, TREE);
	for (size_t i = 0; i < LENGTH(bad); i++)
		wrong_length(&fx, bad[i]);
	for (size_t i = 0; i < LENGTH(lengths); i++) {
		size_t past = FRAMES - lengths[i] + 1;

		wrong(&fx, past, lengths[i], fx_order(0));
		wrong_put(&fx, past, lengths[i], fx_order(0));
		wrong(&fx, SIZE_MAX, lengths[i], fx_order(0));
		wrong_put(&fx, SIZE_MAX, lengths[i], fx_order(0));
	}
	for (unsigned order = 1; order <= MAX_ORDER; order++)
		wrong(&fx, ((size_t)1 << order) / 2, 3, fx_order(order));
	wrong(&fx, 0, 3, fx_order(MAX_ORDER + 1));
	wrong(&fx, 0, 3, llreq(0, 1, ll_none()));
	wrong(&fx, 0, 3, fx_slot(0, 2));
	wrong_put(&fx, 5, 3, llreq(0, 1, ll_none()));
	wrong_put(&fx, 5, 3, llreq(0, 8, ll_some(0)));
	wrong_put(&fx, 5, 3, fx_slot(0, 2));
	fx_end(&fx);
}

/* The order of the request says nothing to a put. */
static void test_put_ignores_order(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	fx_take(&fx, 5, 100);
	assert_ok(llfree_put_range(fx.self, frame_id(5), 50,
				   fx_order(MAX_ORDER)));
	assert_ok(llfree_put_range(fx.self, frame_id(55), 50,
				   fx_order(UINT8_MAX)));
	assert_int_equal(fx_free_frames(&fx), FRAMES);
	fx_end(&fx);
}

static void test_put_twice(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx);
	for (size_t i = 0; i < LENGTH(lengths); i++) {
		size_t first = get_range(&fx, lengths[i], fx_order(0));

		fx_give(&fx, first, lengths[i]);
		struct fx_copy copy = fx_copy(&fx);

		assert_err(llfree_put_range(fx.self, frame_id(first),
					    lengths[i], fx_order(0)),
			   MEMORY);
		fx_assert_same(&fx, &copy);
		fx_copy_release(&copy);
	}
	fx_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_at),
		cmocka_unit_test(test_at_is_all_or_nothing),
		cmocka_unit_test(test_stopped_by_huge),
		cmocka_unit_test(test_put_is_all_or_nothing),
		cmocka_unit_test(test_put_sub_ranges),
		cmocka_unit_test(test_put_covers_several),
		cmocka_unit_test(test_put_heals_huge),
		cmocka_unit_test(test_finds_the_only_gap),
		cmocka_unit_test(test_gap_too_short),
		cmocka_unit_test(test_tail_taken),
		cmocka_unit_test(test_short_with_high_order),
		cmocka_unit_test(test_offline_inside),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_put_ignores_order),
		cmocka_unit_test(test_put_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
