/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/reason.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>

#define RW (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)
#define PAGE 4096
#define MOST ((size_t)1 << 30)

static const char *why(const void *addr, size_t len, int prot, int flags,
		       off_t offset)
{
	return reason_key(
		reason_to_pass(addr, len, prot, flags, offset, PAGE, MOST));
}

static void served(void **state)
{
	static const int flags[] = { 0, MAP_NORESERVE, MAP_STACK, MAP_POPULATE,
				     MAP_NONBLOCK };

	(void)state;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		assert_string_equal(why(NULL, 1, RW, PRIVATE | flags[i], 0),
				    "served");
	assert_string_equal(why(NULL, MOST, RW, PRIVATE, PAGE), "served");
}

static void passed(void **state)
{
	static const struct {
		const char *why;
		int prot;
		int flags;
	} all[] = {
		{ "file", RW, MAP_PRIVATE },
		{ "file", PROT_NONE, MAP_SHARED },
		{ "shared", RW, MAP_SHARED | MAP_ANONYMOUS },
		{ "shared", RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS },
		{ "invalid", RW, MAP_ANONYMOUS },
		{ "prot_none", PROT_NONE, PRIVATE },
		{ "prot_none", PROT_NONE, PRIVATE | MAP_FIXED },
		{ "executable", RW | PROT_EXEC, PRIVATE },
		{ "executable", PROT_EXEC, PRIVATE },
		{ "not_writable", PROT_READ, PRIVATE },
		{ "not_writable", PROT_WRITE, PRIVATE },
		{ "not_writable", RW | 0x100, PRIVATE },
		{ "fixed", RW, PRIVATE | MAP_FIXED },
		{ "fixed", RW, PRIVATE | MAP_FIXED_NOREPLACE },
		{ "hugetlb", RW, PRIVATE | MAP_HUGETLB },
		{ "growsdown", RW, PRIVATE | MAP_GROWSDOWN },
		{ "locked", RW, PRIVATE | MAP_LOCKED },
		{ "flags", RW, PRIVATE | 0x4000000 },
#ifdef MAP_32BIT
		{ "low", RW, PRIVATE | MAP_32BIT },
#endif
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		assert_string_equal(why(NULL, PAGE, all[i].prot, all[i].flags,
					0),
				    all[i].why);
}

static void lengths(void **state)
{
	(void)state;
	assert_string_equal(why(NULL, 0, RW, PRIVATE, 0), "invalid");
	assert_string_equal(why(NULL, SIZE_MAX, RW, PRIVATE, 0), "invalid");
	assert_string_equal(why(NULL, MOST + 1, RW, PRIVATE, 0), "too_large");
	assert_string_equal(why(NULL, MOST + 1, PROT_NONE, PRIVATE, 0),
			    "prot_none");
}

static void places(void **state)
{
	(void)state;
	assert_string_equal(why((void *)PAGE, PAGE, RW, PRIVATE, 0), "hint");
	assert_string_equal(why((void *)1, PAGE, RW, PRIVATE, 0), "hint");
	assert_string_equal(why(NULL, PAGE, RW, PRIVATE, 1), "invalid");
	assert_string_equal(why(NULL, PAGE, RW, PRIVATE, PAGE), "served");
}

static void every_reason_has_its_name(void **state)
{
	(void)state;
	for (unsigned i = 0; i < REASON_COUNT; i++) {
		assert_non_null(reason_text((enum reason)i));
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(reason_key((enum reason)i),
						reason_key((enum reason)j));
	}
}

/* Of what the arguments ask for, only the length is a matter of settings. */
static void servable(void **state)
{
	(void)state;
	for (unsigned i = REASON_INVALID; i < REASON_TOO_LARGE; i++)
		assert_false(reason_is_servable((enum reason)i));
	assert_true(reason_is_servable(REASON_TOO_LARGE));
	assert_true(reason_is_servable(REASON_ARENA_FULL));
	assert_false(reason_is_servable(REASON_OUTSIDE));
	assert_false(reason_is_servable(REASON_HEAP_FULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(served),
		cmocka_unit_test(passed),
		cmocka_unit_test(lengths),
		cmocka_unit_test(places),
		cmocka_unit_test(every_reason_has_its_name),
		cmocka_unit_test(servable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
