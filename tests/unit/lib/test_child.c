/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* lib/child: all 65536 values of an entry through each transition. */

#include "tests/unit/lib/fixture.h"

#include "lib/child.h"

#define EVERY_CHILD(name)   \
	uint32_t name = 0;  \
	name <= UINT16_MAX; \
	name++

static unsigned generation(child_t child)
{
	return (child & CHILD_GENERATION) >> 10;
}

/* Values that an entry can have: a count up to 512, or whole and 0 or 512. */
static bool valid(child_t child)
{
	size_t count = child & CHILD_COUNT;

	if (child & CHILD_WHOLE)
		return count == 0 || count == HUGE_FRAME;
	return count <= HUGE_FRAME;
}

static void test_states(void **state)
{
	size_t whole = 0, busy = 0, free_ones = 0;

	(void)state;
	for (EVERY_CHILD(i)) {
		child_t c = (child_t)i;

		if (!valid(c))
			continue;
		whole += child_is_whole(c);
		busy += child_is_busy(c);
		free_ones += child_is_free(c);
		assert_true(child_is_whole(c) + child_is_busy(c) +
				    child_is_free(c) <=
			    1);
		assert_int_equal(child_count(c),
				 c & CHILD_WHOLE ? 0 : c & CHILD_COUNT);
	}
	/* once in each generation */
	assert_int_equal(whole, 32);
	assert_int_equal(busy, 32);
	assert_int_equal(free_ones, 32);
}

/* The layout in a file: bits that must not move. */
static void test_layout(void **state)
{
	(void)state;
	assert_int_equal(sizeof(child_t), 2);
	assert_int_equal(child_with_count(0), 0);
	assert_int_equal(child_with_count(512), 512);
	assert_int_equal(CHILD_COUNT, 0x3ff);
	assert_int_equal(CHILD_GENERATION, 0x7c00);
	assert_int_equal(CHILD_WHOLE, 0x8000);
}

/* What there is, but no more than asked for; no only when that is nothing. */
static void test_claim_some(void **state)
{
	const size_t sizes[] = { 0, 1, 2, 63, 64, 511, 512, 513, 100000 };

	(void)state;
	for (EVERY_CHILD(i))
		for (size_t s = 0; s < LENGTH(sizes); s++) {
			child_t c = (child_t)i;
			size_t some = child_count(c), claimed = 0;

			if (!valid((child_t)i))
				continue;
			some = some < sizes[s] ? some : sizes[s];
			assert_int_equal(child_claim_some(&c, sizes[s],
							  &claimed),
					 some > 0);
			assert_int_equal(claimed, some);
			assert_int_equal(c, i - some);
		}
}

static void test_claim(void **state)
{
	const size_t sizes[] = { 1, 2, 3, 64, 100, 511, 512 };

	(void)state;
	for (EVERY_CHILD(i))
		for (size_t s = 0; s < LENGTH(sizes); s++) {
			child_t c = (child_t)i;
			bool enough = child_count(c) >= sizes[s];

			if (!valid((child_t)i))
				continue;
			assert_int_equal(child_claim(&c, sizes[s]), enough);
			assert_int_equal(c, i - (enough ? sizes[s] : 0));
		}
}

/* Only in the same generation, never above 512, never into a busy one. */
static void test_give(void **state)
{
	const size_t sizes[] = { 1, 2, 64, 511, 512 };

	(void)state;
	for (EVERY_CHILD(i))
		for (size_t s = 0; s < LENGTH(sizes); s++) {
			child_t c = (child_t)i;
			bool good = !child_is_busy(c) &&
				    child_count(c) + sizes[s] <= HUGE_FRAME;

			if (!valid((child_t)i))
				continue;
			assert_int_equal(child_give(&c, sizes[s], (child_t)i),
					 good);
			assert_int_equal(generation(c), generation(i));
			assert_int_equal(child_count(c),
					 child_count((child_t)i) +
						 (good ? sizes[s] : 0));
			assert_true(good || c == i);
		}
}

static void test_give_other_generation(void **state)
{
	(void)state;
	for (unsigned now = 0; now < 32; now++)
		for (unsigned seen = 0; seen < 32; seen++) {
			child_t c = (child_t)(now << 10 | 5);

			assert_int_equal(child_give(&c, 1,
						    (child_t)(seen << 10 | 5)),
					 now == seen);
			assert_int_equal(child_count(c), 5 + (now == seen));
		}
}

static void test_split(void **state)
{
	(void)state;
	for (EVERY_CHILD(i)) {
		child_t c = (child_t)i;
		bool whole = child_is_whole(c);

		if (!valid(c))
			continue;
		assert_int_equal(child_split(&c), whole);
		assert_int_equal(generation(c), generation(i));
		assert_int_equal(c, whole ? i & CHILD_GENERATION : i);
		assert_false(whole && child_is_whole(c));
	}
}

/* ------------------------------------------------------------------------ */
/* Neighbours                                                                */

static child_t lane(lanes_t word, unsigned which)
{
	return (child_t)(word >> (16 * which));
}

/* A word of `lanes` entries: all `child`, each in a generation of its own. */
static lanes_t word_of(child_t child, unsigned lanes, unsigned first)
{
	lanes_t word = 0;

	for (unsigned i = 0; i < lanes; i++)
		word |= (lanes_t)(child | ((first + 7 * i) % 32) << 10)
			<< (16 * i);
	return word;
}

static void test_lanes_change(void **state)
{
	(void)state;
	for (unsigned lanes = 1; lanes <= MAX_LANES; lanes *= 2)
		for (unsigned first = 0; first < 32; first++) {
			lanes_t word = word_of(CHILD_FREE, lanes, first);
			lanes_t want = word_of(CHILD_BUSY, lanes, first);

			assert_true(lanes_are(word, CHILD_FREE, lanes));
			assert_false(lanes_are(word, CHILD_WHOLE, lanes));
			assert_true(lanes_change(&word, CHILD_FREE, CHILD_BUSY,
						 lanes));
			assert_true(word == want);
			assert_false(lanes_change(&word, CHILD_FREE, CHILD_BUSY,
						  lanes));
			assert_true(word == want);
		}
}

/* One of them is not so: nothing changes, whichever it is. */
static void test_lanes_change_all_or_none(void **state)
{
	const child_t others[] = { 511, 0, CHILD_WHOLE, CHILD_BUSY };

	(void)state;
	for (unsigned lanes = 1; lanes <= MAX_LANES; lanes *= 2)
		for (unsigned which = 0; which < lanes; which++)
			for (size_t o = 0; o < LENGTH(others); o++) {
				lanes_t word = word_of(CHILD_FREE, lanes, 3);

				word ^= (lanes_t)(CHILD_FREE ^ others[o])
					<< (16 * which);
				lanes_t before = word;

				assert_false(lanes_change(&word, CHILD_FREE,
							  CHILD_WHOLE, lanes));
				assert_true(word == before);
			}
}

/* Each generation goes on by one, round at 32, and nothing else changes. */
static void test_next_generation(void **state)
{
	(void)state;
	for (unsigned lanes = 1; lanes <= MAX_LANES; lanes *= 2)
		for (unsigned first = 0; first < 32; first++) {
			lanes_t word = word_of(CHILD_BUSY, lanes, first);
			lanes_t next = lanes_next_generation(word, lanes);

			for (unsigned i = 0; i < lanes; i++) {
				assert_int_equal(
					generation(lane(next, i)),
					(generation(lane(word, i)) + 1) % 32);
				assert_true(child_is_busy(lane(next, i)));
			}
			assert_true(lanes == MAX_LANES ||
				    next >> (16 * (lanes % MAX_LANES)) == 0);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_claim),
		cmocka_unit_test(test_claim_some),
		cmocka_unit_test(test_give),
		cmocka_unit_test(test_give_other_generation),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_lanes_change),
		cmocka_unit_test(test_lanes_change_all_or_none),
		cmocka_unit_test(test_next_generation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
