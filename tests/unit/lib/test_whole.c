/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* lib/whole: one, two and four huge frames in one step. */

#include "tests/unit/lib/fixture.h"

#include "lib/whole.h"

#define LANES 4

static _Alignas(8) child_t children[LANES];
static bitfield_t fields[LANES];

static void all_free(void)
{
	for (size_t i = 0; i < LANES; i++) {
		children[i] = CHILD_FREE;
		bitfield_fill(&fields[i], 0);
	}
}

/* Lanes [first, first + lanes) are allocated as one, the others free. */
static void assert_whole(unsigned first, unsigned lanes)
{
	for (unsigned i = 0; i < LANES; i++) {
		bool whole = i - first < lanes;

		assert_true(whole ? child_is_whole(children[i])
				  : child_is_free(children[i]));
		assert_int_equal(bitfield_free(&fields[i]),
				 whole ? 0 : HUGE_FRAME);
	}
}

static void test_get_and_put(void **state)
{
	(void)state;
	for (unsigned lanes = 1; lanes <= LANES; lanes *= 2)
		for (unsigned first = 0; first < LANES; first += lanes) {
			all_free();
			assert_true(whole_get(&children[first], &fields[first],
					      lanes));
			assert_whole(first, lanes);
			assert_false(whole_get(&children[first], &fields[first],
					       lanes));
			assert_whole(first, lanes);
			assert_true(whole_put(&children[first], &fields[first],
					      lanes));
			assert_whole(0, 0);
			assert_false(whole_put(&children[first], &fields[first],
					       lanes));
			assert_whole(0, 0);
		}
}

/* Several together can go one by one, and the other way round. */
static void test_sizes_mix(void **state)
{
	(void)state;
	all_free();
	assert_true(whole_get(children, fields, 4));
	for (unsigned i = 0; i < LANES; i++)
		assert_true(whole_put(&children[i], &fields[i], 1));
	assert_whole(0, 0);
	for (unsigned i = 0; i < LANES; i += 2)
		assert_true(whole_get(&children[i], &fields[i], 2));
	assert_true(whole_put(children, fields, 4));
	assert_whole(0, 0);
}

/* One that is not free, at every position, keeps the others as they are. */
static void test_get_all_or_none(void **state)
{
	const child_t taken[] = { CHILD_WHOLE, CHILD_BUSY, 511, 0 };

	(void)state;
	for (unsigned lanes = 1; lanes <= LANES; lanes *= 2)
		for (unsigned which = 0; which < lanes; which++)
			for (size_t t = 0; t < LENGTH(taken); t++) {
				child_t before[LANES];

				all_free();
				children[which] = taken[t];
				memcpy(before, children, sizeof(before));
				assert_false(
					whole_get(children, fields, lanes));
				assert_memory_equal(before, children,
						    sizeof(before));
				for (size_t i = 0; i < LANES; i++)
					assert_int_equal(
						bitfield_free(&fields[i]),
						HUGE_FRAME);
			}
}

static void test_put_all_or_none(void **state)
{
	const child_t other[] = { CHILD_FREE, CHILD_BUSY, 1, 0 };

	(void)state;
	for (unsigned lanes = 1; lanes <= LANES; lanes *= 2)
		for (unsigned which = 0; which < lanes; which++)
			for (size_t t = 0; t < LENGTH(other); t++) {
				child_t before[LANES];

				all_free();
				assert_true(whole_get(children, fields, lanes));
				children[which] = other[t];
				memcpy(before, children, sizeof(before));
				assert_false(
					whole_put(children, fields, lanes));
				assert_memory_equal(before, children,
						    sizeof(before));
				for (size_t i = 0; i < lanes; i++)
					assert_int_equal(
						bitfield_free(&fields[i]), 0);
			}
}

/* A put opens a generation for each of them, a get does not. */
static void test_generations(void **state)
{
	(void)state;
	for (unsigned lanes = 1; lanes <= LANES; lanes *= 2) {
		all_free();
		for (unsigned round = 0; round < 40; round++) {
			assert_true(whole_get(children, fields, lanes));
			assert_true(whole_put(children, fields, lanes));
			for (unsigned i = 0; i < LANES; i++)
				assert_int_equal(children[i] >> 10,
						 i < lanes ? (round + 1) % 32
							   : 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get_and_put),
		cmocka_unit_test(test_sizes_mix),
		cmocka_unit_test(test_get_all_or_none),
		cmocka_unit_test(test_put_all_or_none),
		cmocka_unit_test(test_generations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
