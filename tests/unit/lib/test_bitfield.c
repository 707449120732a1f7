/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* lib/bitfield: rows and spans, against one byte a frame. */

#include "tests/unit/lib/fixture.h"

#include "lib/bitfield.h"

static bitfield_t field;

static void fill(row_t value)
{
	bitfield_fill(&field, value);
}

/* Exactly the frames of [first, first + frames) are taken. */
static void assert_only(size_t first, size_t frames)
{
	for (size_t f = 0; f < HUGE_FRAME; f++) {
		bool taken = f - first < frames;

		if (bitfield_is_set(&field, f, 1) != taken)
			fail_msg("frame %zu of %zu+%zu", f, first, frames);
	}
	assert_int_equal(bitfield_free(&field), HUGE_FRAME - frames);
}

static void test_row_mask(void **state)
{
	(void)state;
	for (size_t first = 0; first < ROW; first++)
		for (size_t frames = 1; first + frames <= ROW; frames++) {
			row_t mask = row_mask(first, frames);

			for (size_t i = 0; i < ROW; i++)
				assert_int_equal(mask >> i & 1,
						 i - first < frames);
		}
}

/* Every aligned run of every order, in a row that is else full. */
static void test_row_take_finds_the_only_run(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= LLFREE_ATOMIC_ORDER; order++) {
		size_t size = (size_t)1 << order;

		for (size_t at = 0; at < ROW; at += size) {
			row_t row = ~row_mask(at, size);
			size_t first = 99;

			assert_true(row_take(&row, order, &first));
			assert_int_equal(first, at);
			assert_true(row == ROW_FULL);
			assert_false(row_take(&row, order, &first));
		}
	}
}

/* Of as many free frames that are not aligned there is no run. */
static void test_row_take_misaligned(void **state)
{
	(void)state;
	for (unsigned order = 1; order < LLFREE_ATOMIC_ORDER; order++) {
		size_t size = (size_t)1 << order, first;

		for (size_t at = 1; at + size <= ROW; at++) {
			row_t row = ~row_mask(at, size), before = row;

			assert_int_equal(row_take(&row, order, &first),
					 at % size == 0);
			assert_true((row == before) == (at % size != 0));
		}
	}
}

/* Random rows: the lowest run, and exactly when there is one. */
static void test_row_take_random(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (size_t i = 0; i < 20000; i++) {
		unsigned order = (unsigned)(i % (LLFREE_ATOMIC_ORDER + 1));
		row_t row = fx_random(&seed), before;
		size_t want = ROW, first = 0, size = (size_t)1 << order;

		for (unsigned n = 0; n < order; n++)
			row &= fx_random(&seed);
		before = row;
		for (size_t at = ROW; at > 0; at -= size)
			if (!(row & row_mask(at - size, size)))
				want = at - size;
		assert_int_equal(row_take(&row, order, &first), want < ROW);
		if (want == ROW)
			continue;
		assert_int_equal(first, want);
		assert_true(row == (before | row_mask(want, size)));
	}
}

static void test_row_set_clear(void **state)
{
	row_t row = 0xf0;

	(void)state;
	assert_false(row_set(&row, 0x18));
	assert_true(row == 0xf0);
	assert_true(row_set(&row, 0x0f));
	assert_true(row == 0xff);
	assert_false(row_clear(&row, 0x180));
	assert_true(row == 0xff);
	assert_true(row_clear(&row, 0x81));
	assert_true(row == 0x7e);
	assert_true(row_clear_some(&row, 0x180 | 0x40));
	assert_true(row == 0x3e);
	assert_false(row_clear_some(&row, 0x180));
}

/* ------------------------------------------------------------------------ */
/* Spans                                                                     */

static void test_set_and_clear_spans(void **state)
{
	size_t lost = 0;

	(void)state;
	for (size_t first = 0; first < HUGE_FRAME; first += 13)
		for (size_t frames = 1; first + frames <= HUGE_FRAME;
		     frames += 17) {
			fill(0);
			assert_true(bitfield_set(&field, first, frames, &lost));
			assert_only(first, frames);
			assert_false(bitfield_is_clear(&field, first, frames));
			assert_int_equal(bitfield_clear(&field, first, frames),
					 frames);
			assert_only(0, 0);
			assert_true(bitfield_is_clear(&field, 0, HUGE_FRAME));
		}
	assert_int_equal(lost, 0);
}

/* One frame in the way, at every position: what was set goes back. */
static void test_set_undoes(void **state)
{
	size_t lost = 0;

	(void)state;
	for (size_t first = 0; first < HUGE_FRAME; first += 50)
		for (size_t taken = first; taken < HUGE_FRAME; taken += 3) {
			fill(0);
			assert_true(bitfield_set(&field, taken, 1, &lost));
			assert_false(bitfield_set(&field, first,
						  HUGE_FRAME - first, &lost));
			assert_only(taken, 1);
		}
	assert_int_equal(lost, 0);
}

/* One frame is free already: all the others are freed, and counted. */
static void test_clear_counts(void **state)
{
	(void)state;
	for (size_t hole = 0; hole < HUGE_FRAME; hole += 5) {
		fill(ROW_FULL);
		assert_int_equal(bitfield_clear(&field, hole, 1), 1);
		assert_false(bitfield_is_set(&field, 0, HUGE_FRAME));
		assert_int_equal(bitfield_clear(&field, 0, HUGE_FRAME),
				 HUGE_FRAME - 1);
		assert_only(0, 0);
	}
}

/* Within a row it is all or nothing. */
static void test_clear_row(void **state)
{
	(void)state;
	for (size_t first = 0; first < HUGE_FRAME; first += 7) {
		size_t frames = ROW - first % ROW;

		fill(ROW_FULL);
		assert_true(bitfield_clear_row(&field, first, frames));
		assert_int_equal(bitfield_free(&field), frames);
		assert_false(bitfield_clear_row(&field, first, frames));
		if (first % ROW == 0)
			continue;
		assert_false(bitfield_clear_row(&field, first - 1, frames + 1));
		assert_int_equal(bitfield_free(&field), frames);
	}
}

/* ------------------------------------------------------------------------ */
/* Search                                                                    */

/* From any row on, the one free run is found. */
static void test_take_order(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= LLFREE_ATOMIC_ORDER; order++)
		for (size_t at = 0; at < HUGE_FRAME; at += ROW)
			for (size_t row = 0; row < BITFIELD_ROWS; row++) {
				size_t size = (size_t)1 << order, first = 0;

				fill(ROW_FULL);
				bitfield_clear(&field, at, size);
				assert_true(bitfield_take_order(&field, row,
								order, &first));
				assert_int_equal(first, at);
				assert_int_equal(bitfield_free(&field), 0);
				assert_false(bitfield_take_order(
					&field, row, order, &first));
			}
}

/* Rows are used from the one where the search begins. */
static void test_take_order_begins(void **state)
{
	(void)state;
	for (size_t row = 0; row < BITFIELD_ROWS; row++) {
		size_t first = 0;

		fill(0);
		assert_true(bitfield_take_order(&field, row, 0, &first));
		assert_int_equal(first, row * ROW);
	}
}

static bool model_has_run(run_t want, size_t *first)
{
	size_t step = (size_t)1 << want.align;

	for (size_t at = 0; at + want.frames <= HUGE_FRAME; at += step)
		if (bitfield_is_clear(&field, at, want.frames)) {
			*first = at;
			return true;
		}
	return false;
}

/* As many as there are or are wanted, the lowest ones, bit by bit. */
static void test_row_take_some(void **state)
{
	uint64_t seed = 8;

	(void)state;
	for (size_t i = 0; i < 20000; i++) {
		row_t before = fx_random(&seed), row, taken, model = 0;
		size_t most = fx_below(&seed, ROW + 2), left = most;

		if (i % 4 == 0)
			before = i % 8 ? 0 : ROW_FULL;
		row = before;
		for (size_t bit = 0; bit < ROW && left > 0; bit++) {
			if (before >> bit & 1)
				continue;
			model |= (row_t)1 << bit;
			left--;
		}
		assert_int_equal(row_take_some(&row, most, &taken), model != 0);
		assert_true(taken == model);
		assert_true(row == (before | model));
	}
}

/* Over rows, from any of them on, with the numbers of what was taken. */
static void test_take_some(void **state)
{
	frame_id_t frames[HUGE_FRAME];
	uint64_t seed = 9;

	(void)state;
	for (size_t i = 0; i < 3000; i++) {
		size_t most = fx_below(&seed, HUGE_FRAME + 1), lost = 0;
		size_t row = fx_below(&seed, BITFIELD_ROWS), free, got;

		fill(0);
		for (size_t h = fx_below(&seed, HUGE_FRAME); h > 0; h--)
			bitfield_set(&field, fx_below(&seed, HUGE_FRAME), 1,
				     &lost);
		free = bitfield_free(&field);
		got = bitfield_take_some(&field, row, frame_id(7 * HUGE_FRAME),
					 frames, most);
		assert_int_equal(got, free < most ? free : most);
		assert_int_equal(bitfield_free(&field), free - got);
		for (size_t f = 0; f < got; f++) {
			assert_int_equal(frames[f].value / HUGE_FRAME, 7);
			assert_true(bitfield_clear_row(
				&field, frames[f].value % HUGE_FRAME, 1));
		}
		assert_int_equal(bitfield_free(&field), free);
	}
}

/* All of a mask or none of it. */
static void test_clear_mask(void **state)
{
	uint64_t seed = 10;

	(void)state;
	for (size_t i = 0; i < 20000; i++) {
		row_t row = fx_random(&seed) | fx_random(&seed);
		row_t mask = fx_random(&seed) & fx_random(&seed);

		if (i % 2)
			mask &= row;
		field.rows[3] = row;
		assert_int_equal(bitfield_clear_mask(&field, 3, mask),
				 (row & mask) == mask);
		assert_true(field.rows[3] ==
			    ((row & mask) == mask ? row & ~mask : row));
	}
}

/* Runs of any length and alignment among random frames, across rows. */
static void test_take_run(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (size_t i = 0; i < 20000; i++) {
		run_t want = { 1 + fx_below(&seed, HUGE_FRAME / 4),
			       (unsigned)fx_below(&seed, 10) };
		size_t holes = fx_below(&seed, 12), at = 0, first = 0, lost = 0;
		bool has;

		fill(0);
		for (size_t h = 0; h < holes; h++)
			bitfield_set(&field, fx_below(&seed, HUGE_FRAME), 1,
				     &lost);
		has = model_has_run(want, &at);
		assert_int_equal(bitfield_has_run(&field, want), has);
		size_t before = bitfield_free(&field);

		assert_int_equal(bitfield_take_run(&field, want, &first, &lost),
				 has);
		assert_int_equal(lost, 0);
		if (has)
			assert_int_equal(first, at);
		assert_int_equal(bitfield_free(&field),
				 before - (has ? want.frames : 0));
		assert_true(!has || bitfield_is_set(&field, at, want.frames));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_row_mask),
		cmocka_unit_test(test_row_take_finds_the_only_run),
		cmocka_unit_test(test_row_take_misaligned),
		cmocka_unit_test(test_row_take_random),
		cmocka_unit_test(test_row_set_clear),
		cmocka_unit_test(test_set_and_clear_spans),
		cmocka_unit_test(test_set_undoes),
		cmocka_unit_test(test_clear_counts),
		cmocka_unit_test(test_clear_row),
		cmocka_unit_test(test_take_order),
		cmocka_unit_test(test_take_order_begins),
		cmocka_unit_test(test_take_run),
		cmocka_unit_test(test_row_take_some),
		cmocka_unit_test(test_take_some),
		cmocka_unit_test(test_clear_mask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
