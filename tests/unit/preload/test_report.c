/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* The two forms of a report, for figures that are made up here. */
#include "preload/hook/hook.h"
#include "preload/report/fields.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

static struct config settings;
static struct report report;
static char text[32 << 10];

static int start(void **state)
{
	(void)state;
	hook_skip("not in this test");
	config_defaults(&settings);
	report = (struct report){
		.settings = &settings,
		.trigger = "exit",
		.background = "",
		.any = true,
		.balanced = true,
		.arena.frames = 4 * LLFREE_TREE_SIZE,
		.arena.online = LLFREE_TREE_SIZE,
	};
	return 0;
}

static void make(void (*form)(struct print *, const struct report *))
{
	struct print out = print_to(PRINT_BUFFER, text, sizeof(text) - 1);

	form(&out, &report);
	assert_false(out.failed);
	text[out.len] = '\0';
}

static bool has(const char *part)
{
	return strstr(text, part);
}

/* Set each figure of the table to a number of its own, from `first` on. */
static void number_all(uint64_t first)
{
	for (enum field_group g = 0; g < FIELD_GROUPS; g++)
		for (const struct field *f = field_next(g, NULL); f;
		     f = field_next(g, f))
			if (!f->function)
				*(uint64_t *)((char *)&report + f->offset) =
					first++;
}

static void no_line_ends_in_a_blank(void **state)
{
	(void)state;
	number_all(1);
	make(report_text);
	assert_true(has("\nAllocator "));
	assert_true(has("\nAltered pages "));
	assert_false(has(" \n"));
}

static void zeros_are_left_out(void **state)
{
	(void)state;
	make(report_text);
	assert_true(has("\n  in use now "));
	assert_false(has("inherited"));
	assert_false(has("munmap"));
	assert_false(has("Altered"));
	report.arena.inherited = 1;
	report.counters[STAT_MUNMAP_SERVED] = 3;
	report.counters[STAT_MUNMAP_SERVED_BYTES] = 20480;
	report.counters[STAT_REMAPS] = 1;
	make(report_text);
	assert_true(has("\n  inherited by fork                  4.0 KiB\n"));
	assert_true(has("\n  munmap of arena memory                   3"
			"      20.0 KiB\n"));
	assert_true(has("\nAltered pages                         number\n"
			"  pages altered by the program             0\n"
			"  fresh mappings                           1\n"));
}

static void nothing_was_requested(void **state)
{
	(void)state;
	report.any = false;
	make(report_text);
	assert_true(has("No memory was requested."));
	assert_false(has("Allocator"));
}

static void counters_disagree(void **state)
{
	(void)state;
	make(report_text);
	assert_true(has("\nThe counters agree.\n"));
	report.balanced = false;
	report.arena.leaked = 7;
	report.counters[STAT_FRAMES_GIVEN_BACK] = 9;
	make(report_text);
	assert_true(has("\nThe counters do not agree: inherited 0 served 0"
			" live 0 given back 9 frames "));
	assert_true(has(" leaked 7 claimed 0 "));
}

/* Every figure of the table, each with its own value. */
static void json_has_all(void **state)
{
	char member[100];

	(void)state;
	number_all(1000);
	make(report_json);
	for (enum field_group g = 0; g < FIELD_GROUPS; g++)
		for (const struct field *f = field_next(g, NULL); f;
		     f = field_next(g, f)) {
			uint64_t value = field_value(f, &report);
			bool frames = f->unit == UNIT_FRAMES;

			snprintf(member, sizeof(member), "\"%s\": %lu", f->key,
				 value * (frames ? LLFREE_FRAME_SIZE : 1));
			assert_true(f->key[0] == '\0' || has(member));
		}
}

/* New figures do not come between those that have a place. */
static void json_keeps_the_order(void **state)
{
	static const char *const keys[] = {
		"\"arena\": 0,",    "\"online\"",      "\"live\"",
		"\"live_peak\"",    "\"dirty\"",       "\"resident\"",
		"\"returned\"",	    "\"zeroed\"",      "\"get\"",
		"\"put\"",	    "\"get_failed\"",  "\"slot_hits\"",
		"\"reservations\"", "\"steals\"",      "\"demotions\"",
		"\"raids\"",	    "\"cas_retries\"",
	};
	const char *at = text;

	(void)state;
	report.arena.frames = 0;
	make(report_json);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		at = strstr(at, keys[i]);
		assert_non_null(at);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(no_line_ends_in_a_blank, start),
		cmocka_unit_test_setup(zeros_are_left_out, start),
		cmocka_unit_test_setup(nothing_was_requested, start),
		cmocka_unit_test_setup(counters_disagree, start),
		cmocka_unit_test_setup(json_has_all, start),
		cmocka_unit_test_setup(json_keeps_the_order, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
