/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* How much may be dirty, for different courses of what is live; and how much may
 * be live. */
#include "preload/arena/usage.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define MIB 256 /* frames */

/* What may be dirty of a program that has shown nothing yet, at most. */
#define LITTLE_MIN (MIB / 2)
#define LITTLE_MAX (4 * MIB)

static int nothing(void **state)
{
	(void)state;
	usage_recount(0, 0);
	usage_new_period();
	usage_new_period();
	usage_limit(0);
	return 0;
}

static void live(int64_t frames)
{
	usage_add(0, frames, 0);
}

/* How many dirty frames would be kept now. */
static size_t kept(void)
{
	size_t excess;

	usage_add(0, 0, 1 << 30);
	excess = usage_excess();
	usage_add(0, 0, -(1 << 30));
	return (1 << 30) - excess;
}

static void grows_only(void **state)
{
	(void)state;
	assert_int_equal(kept(), LITTLE_MIN);
	live(10 * MIB);
	assert_int_equal(kept(), LITTLE_MIN);
	live(90 * MIB);
	assert_int_equal(kept(), 100 * MIB / 32);
	live(900 * MIB);
	assert_int_equal(kept(), LITTLE_MAX);
}

static void frees_for_good(void **state)
{
	(void)state;
	live(1000 * MIB);
	assert_false(usage_retains(900 * MIB));
	assert_true(usage_retains(4 * MIB));
	live(-900 * MIB);
	assert_int_equal(kept(), LITTLE_MAX);
}

/* The second time it is known to come back. */
static void comes_and_goes(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		live(16 * MIB);
		assert_int_equal(usage_retains(16 * MIB), i > 0);
		assert_int_equal(kept(), LITTLE_MIN);
		live(-16 * MIB);
		assert_int_equal(kept(), LITTLE_MIN + (i > 0 ? 16 * MIB : 0));
	}
}

/* Never so much that live and dirty together were more than ever live. */
static void below_the_highest(void **state)
{
	(void)state;
	live(100 * MIB);
	live(-50 * MIB);
	live(40 * MIB);
	assert_int_equal(kept(), 10 * MIB + 100 * MIB / 32);
	live(-20 * MIB);
	assert_int_equal(kept(), 30 * MIB + 100 * MIB / 32);
	live(-70 * MIB);
	assert_int_equal(kept(), 40 * MIB + 100 * MIB / 32);
}

/* What lies below the low of a new height does not count for it. */
static void steps_upwards(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		live(12 * MIB);
		live(-2 * MIB);
	}
	live(-100 * MIB);
	/* 10 MiB more each time, and 2 MiB of it come back. */
	assert_int_equal(kept(), 2 * MIB + LITTLE_MAX);
}

static void is_forgotten(void **state)
{
	(void)state;
	live(100 * MIB);
	live(-100 * MIB);
	live(100 * MIB);
	live(-100 * MIB);
	usage_new_period();
	assert_int_equal(kept(), 100 * MIB + 100 * MIB / 32);
	usage_new_period();
	assert_int_equal(kept(), LITTLE_MIN);
}

static void small_changes_add_up(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 64 * MIB; i++)
		usage_add(i % 200, 1, 0);
	assert_int_equal(usage_peak(0), 64 * MIB);
	for (unsigned i = 0; i < 64 * MIB; i++)
		usage_add(i % 200, -1, 1);
	usage_peak(0);
	assert_int_equal(usage_excess(), 64 * MIB - 64 * MIB / 32);
}

static void has_no_limit(void **state)
{
	(void)state;
	assert_true(usage_reserve(SIZE_MAX / 2, 0));
	assert_true(usage_reserve(SIZE_MAX / 2, 0));
	usage_release(1);
}

static void has_a_limit(void **state)
{
	(void)state;
	usage_limit(100);
	assert_false(usage_reserve(101, 0));
	assert_true(usage_reserve(60, 0));
	assert_false(usage_reserve(41, 0));
	assert_true(usage_reserve(40, 0));
	assert_false(usage_reserve(1, 0));
	usage_release(30);
	assert_false(usage_reserve(31, 0));
	assert_true(usage_reserve(30, 0));
}

/* What replaces other frames may exceed it until these are freed. */
static void replaces_within_limit(void **state)
{
	(void)state;
	usage_limit(100);
	assert_true(usage_reserve(60, 0));
	assert_false(usage_reserve(101, 60));
	assert_true(usage_reserve(100, 60));
	usage_release(60);
	assert_false(usage_reserve(1, 0));
	usage_release(1);
	assert_true(usage_reserve(1, 0));
}

static void exceeds_by_force(void **state)
{
	(void)state;
	usage_limit(100);
	usage_force(150);
	assert_false(usage_reserve(1, 0));
	usage_release(50);
	assert_false(usage_reserve(1, 0));
	usage_release(20);
	assert_true(usage_reserve(20, 0));
	assert_false(usage_reserve(1, 0));
}

/* In a child of fork: what its parent's threads had reserved is gone. */
static void starts_anew(void **state)
{
	(void)state;
	usage_limit(100);
	assert_true(usage_reserve(90, 0));
	usage_add(0, 90, 5);
	usage_recount(40, 0);
	assert_false(usage_any_dirty());
	assert_int_equal(usage_peak(0), 40);
	assert_false(usage_reserve(61, 0));
	assert_true(usage_reserve(60, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(grows_only, nothing),
		cmocka_unit_test_setup(frees_for_good, nothing),
		cmocka_unit_test_setup(comes_and_goes, nothing),
		cmocka_unit_test_setup(below_the_highest, nothing),
		cmocka_unit_test_setup(steps_upwards, nothing),
		cmocka_unit_test_setup(is_forgotten, nothing),
		cmocka_unit_test_setup(small_changes_add_up, nothing),
		cmocka_unit_test_setup(has_no_limit, nothing),
		cmocka_unit_test_setup(has_a_limit, nothing),
		cmocka_unit_test_setup(replaces_within_limit, nothing),
		cmocka_unit_test_setup(exceeds_by_force, nothing),
		cmocka_unit_test_setup(starts_anew, nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
