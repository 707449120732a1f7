/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* Which arguments of a call are a range of pages. */
#include "preload/sys/pages.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define SOMEWHERE ((uintptr_t)1 << 40)

static size_t page;

static bool makes(uintptr_t addr, size_t len, struct region *r)
{
	return region_of((const void *)addr, len, r);
}

static bool is_refused(uintptr_t addr, size_t len)
{
	struct region r;

	return !makes(addr, len, &r);
}

static void whole(void **state)
{
	struct region r;

	(void)state;
	for (size_t len = page + 1; len <= 2 * page; len += page / 4 - 1) {
		assert_true(makes(SOMEWHERE, len, &r));
		assert_int_equal(r.start, SOMEWHERE);
		assert_int_equal(r.len, 2 * page);
		assert_int_equal(region_end(r), SOMEWHERE + 2 * page);
	}
	assert_true(makes(0, 1, &r));
	assert_int_equal(r.len, page);
}

static void none(void **state)
{
	(void)state;
	assert_true(is_refused(SOMEWHERE, 0));
	assert_true(is_refused(SOMEWHERE + 1, page));
	assert_true(is_refused(SOMEWHERE + page / 2, page));
}

/* The last page of all would end at address 0. */
static void wraps(void **state)
{
	struct region r;

	(void)state;
	assert_true(makes(0 - 2 * page, page, &r));
	assert_true(is_refused(0 - 2 * page, page + 1));
	assert_true(is_refused(0 - page, page));
	assert_true(is_refused(SOMEWHERE, 0 - SOMEWHERE));
	assert_true(is_refused(SOMEWHERE, 0 - page));
	assert_true(is_refused(SOMEWHERE, SIZE_MAX));
	assert_true(is_refused(page, 0 - page));
}

static void around(void **state)
{
	const void *middle = (const void *)(SOMEWHERE + page / 2);
	struct region r;

	(void)state;
	assert_true(region_around(middle, page / 2, &r));
	assert_int_equal(r.start, SOMEWHERE);
	assert_int_equal(r.len, page);
	assert_true(region_around(middle, page / 2 + 1, &r));
	assert_int_equal(r.len, 2 * page);
	assert_false(region_around((const void *)SOMEWHERE, 0, &r));
	assert_false(region_around(middle, 0 - page, &r));
	assert_false(region_around((const void *)(UINTPTR_MAX - 1), 1, &r));
}

static int ask(void **state)
{
	(void)state;
	page = sys_page_size();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(none),
		cmocka_unit_test(wraps),
		cmocka_unit_test(around),
	};

	return cmocka_run_group_tests(tests, ask, NULL);
}
