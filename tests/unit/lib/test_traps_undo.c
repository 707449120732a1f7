/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The undo of a claim over several entries: rows of a huge frame, huge frames
 * of a tree, trees of a range. The claim fails at every position in turn, and
 * exactly what it had taken must go back. Done wrong, it frees what belongs to
 * another.
 */

#include "tests/unit/lib/fixture.h"

static void make(struct fx *fx, size_t frames)
{
	llfree_classing_t classing = fx_one_class(3);

	fx_make(fx, frames, LLFREE_INIT_FREE, &classing);
}

/* The unit in which an order is claimed: rows, then huge frames. */
static size_t unit_of(unsigned order)
{
	return order < LLFREE_HUGE_ORDER ? ROW : HUGE_FRAME;
}

/* Nothing may change but by the call under test, which must fail. */
static void assert_get_at_fails(struct fx *fx, size_t block, unsigned order)
{
	uint8_t *map = fx_map(fx);

	assert_err(llfree_get(fx->self, fx_at(block), fx_order(order)), MEMORY);
	fx_assert_map(fx, map);
	assert_err(llfree_get(fx->self, fx_at(block), fx_slot(order, 0)),
		   MEMORY);
	fx_assert_map(fx, map);
	free(map);
}

/* Positions to try: all of them, or a sample when there are hundreds. */
static size_t step(size_t count)
{
	return count > 64 ? count / 16 - 1 : 1;
}

/*
 * The block's units before `k` are free and the others belong to someone:
 * undoing one too many would free what is theirs.
 */
static void test_1_get_at_owned_behind(void **state)
{
	(void)state;
	for (unsigned order = 7; order <= MAX_ORDER; order++) {
		size_t unit = unit_of(order), size = (size_t)1 << order;
		struct fx fx;

		make(&fx, 3 * TREE);
		for (size_t k = 0; k < size / unit; k += step(size / unit)) {
			size_t first = TREE + k * unit, left = size - k * unit;

			fx_take(&fx, first, left);
			assert_get_at_fails(&fx, TREE, order);
			fx_give(&fx, first, left);
			for (size_t f = first; f < TREE + size; f += unit)
				fx_get_at(&fx, f,
					  fx_order(unit == ROW ? 6 : 9));
			assert_get_at_fails(&fx, TREE, order);
			fx_give(&fx, first, left);
		}
		fx_end(&fx);
	}
}

/* Only one frame of unit `k` is taken, first, last or in the middle. */
static void test_1_get_at_one_frame(void **state)
{
	(void)state;
	for (unsigned order = 7; order <= MAX_ORDER; order++) {
		size_t unit = unit_of(order), size = (size_t)1 << order;
		const size_t inside[] = { 0, unit / 2 + 1, unit - 1 };
		struct fx fx;

		make(&fx, 3 * TREE);
		for (size_t k = 0; k < size / unit; k += step(size / unit))
			for (size_t i = 0; i < LENGTH(inside); i++) {
				size_t taken = TREE + k * unit + inside[i];

				fx_get_at(&fx, taken, fx_order(0));
				assert_get_at_fails(&fx, TREE, order);
				fx_put(&fx, taken, fx_order(0));
				fx_get_at(&fx, TREE, fx_order(order));
				fx_put(&fx, TREE, fx_order(order));
			}
		fx_end(&fx);
	}
}

/* Without a place: every block there is has unit `k` spoilt. */
static void test_1_get(void **state)
{
	(void)state;
	for (unsigned order = 7; order <= MAX_ORDER; order++) {
		size_t unit = unit_of(order), size = (size_t)1 << order;
		size_t frames = 2 * TREE;
		struct fx fx;

		for (size_t k = 0; k < size / unit; k += step(size / unit)) {
			make(&fx, frames);
			for (size_t b = 0; b < frames; b += size)
				fx_get_at(&fx, b + k * unit + unit / 2,
					  fx_order(0));
			uint8_t *map = fx_map(&fx);

			for (size_t i = 0; i < 3; i++) {
				llfree_request_t request = i ? fx_slot(order, i)
							     : fx_order(order);

				assert_err(llfree_get(fx.self, frame_id_none(),
						      request),
					   MEMORY);
				fx_assert_map(&fx, map);
			}
			free(map);
			fx_end(&fx);
		}
	}
}

/*
 * Ranges that begin and end anywhere, over two trees: the huge frame at each
 * position belongs to someone, and so do all behind it.
 */
static void test_1_range(void **state)
{
	const size_t starts[] = { 0, 5, HUGE_FRAME, HUGE_FRAME + 70 };

	(void)state;
	for (size_t i = 0; i < LENGTH(starts); i++) {
		size_t end = 2 * TREE - 3, huges = 2 * CHILDREN;
		struct fx fx;

		make(&fx, 3 * TREE);
		for (size_t k = 2; k < huges; k += step(huges)) {
			for (size_t h = k; h < huges; h++)
				fx_get_at(&fx, h * HUGE_FRAME, fx_order(9));
			uint8_t *map = fx_map(&fx);

			assert_err(llfree_get_range(fx.self, fx_at(starts[i]),
						    end - starts[i],
						    fx_slot(0, 0)),
				   MEMORY);
			fx_assert_map(&fx, map);
			assert_err(
				llfree_get_range(fx.self, fx_at(starts[i]),
						 k * HUGE_FRAME + 1 - starts[i],
						 fx_order(0)),
				MEMORY);
			fx_assert_map(&fx, map);
			free(map);
			for (size_t h = k; h < huges; h++)
				fx_put(&fx, h * HUGE_FRAME, fx_order(9));
		}
		fx_end(&fx);
	}
}

static void assert_put_fails(struct fx *fx, size_t block, unsigned order)
{
	uint8_t *map = fx_map(fx);

	assert_err(llfree_put(fx->self, frame_id(block), fx_order(order)),
		   MEMORY);
	fx_assert_map(fx, map);
	assert_err(llfree_put(fx->self, frame_id(block), fx_slot(order, 1)),
		   MEMORY);
	fx_assert_map(fx, map);
	free(map);
}

/* All of the block but unit `k`, or one frame of it, is allocated. */
static void put_with_hole(struct fx *fx, unsigned order, size_t hole,
			  size_t frames)
{
	size_t size = (size_t)1 << order;

	fx_give(fx, TREE + hole, frames);
	assert_put_fails(fx, TREE, order);
	fx_take(fx, TREE + hole, frames);
	fx_put(fx, TREE, fx_order(order));
	assert_int_equal(fx_free_frames(fx), size);
	fx_get_at(fx, TREE, fx_order(order));
}

static void test_1_put(void **state)
{
	llfree_classing_t classing = fx_one_class(3);

	(void)state;
	for (unsigned order = 7; order <= MAX_ORDER; order++) {
		size_t unit = unit_of(order), size = (size_t)1 << order;
		struct fx fx;

		fx_make(&fx, 3 * TREE, LLFREE_INIT_ALLOC, &classing);
		for (size_t k = 0; k < size / unit; k += step(size / unit)) {
			put_with_hole(&fx, order, k * unit, unit);
			put_with_hole(&fx, order, k * unit, 1);
			put_with_hole(&fx, order, k * unit + unit / 2, 1);
			put_with_hole(&fx, order, k * unit + unit - 1, 1);
			put_with_hole(&fx, order, k * unit, size - k * unit);
		}
		fx_end(&fx);
	}
}

/* The same where the frames were taken one by one: no huge flag anywhere. */
static void test_1_put_small_frames(void **state)
{
	(void)state;
	for (unsigned order = 7; order <= MAX_ORDER; order++) {
		size_t unit = unit_of(order), size = (size_t)1 << order;
		struct fx fx;

		make(&fx, 3 * TREE);
		for (size_t k = 0; k < size / unit; k += step(size / unit)) {
			size_t hole = TREE + k * unit + unit / 3;

			for (size_t f = TREE; f < TREE + size; f++)
				if (f != hole)
					fx_get_at(&fx, f, fx_order(0));
			assert_put_fails(&fx, TREE, order);
			fx_get_at(&fx, hole, fx_order(0));
			fx_put(&fx, TREE, fx_order(order));
			assert_int_equal(fx_free_frames(&fx), fx.frames);
			if (order > 12)
				break;
		}
		fx_end(&fx);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_1_get_at_owned_behind),
		cmocka_unit_test(test_1_get_at_one_frame),
		cmocka_unit_test(test_1_get),
		cmocka_unit_test(test_1_range),
		cmocka_unit_test(test_1_put),
		cmocka_unit_test(test_1_put_small_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
