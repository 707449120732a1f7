/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena/marks.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#define FRAMES 1024u

static struct marks marks[FRAMES / MARK_GROUP];

static int clear_all(void **state)
{
	(void)state;
	memset(marks, 0, sizeof(marks));
	return 0;
}

static void assert_span(struct span s, size_t first, size_t count)
{
	assert_int_equal(s.first, first);
	assert_int_equal(s.count, count);
}

static void spans(void **state)
{
	struct span s = span(10, 20);

	(void)state;
	assert_span(span_before(s, 5), 10, 0);
	assert_span(span_before(s, 15), 10, 5);
	assert_span(span_before(s, 99), 10, 20);
	assert_span(span_from(s, 5), 10, 20);
	assert_span(span_from(s, 15), 15, 15);
	assert_int_equal(span_from(s, 99).count, 0);
}

/* Every beginning and length around the borders of groups. */
static void set_and_clear(void **state)
{
	for (size_t first = 0; first < 130; first++)
		for (size_t count = 1; count < 140; count++) {
			struct span s = span(first, count);

			mark_set(marks, MARK_DIRTY, s);
			assert_int_equal(mark_count(marks, MARK_DIRTY, 0,
						    span(0, FRAMES)),
					 count);
			assert_int_equal(mark_count(marks, MARK_DIRTY, 0, s),
					 count);
			mark_clear(marks, MARK_DIRTY, s);
			assert_int_equal(mark_count(marks, MARK_DIRTY, 0,
						    span(0, FRAMES)),
					 0);
		}
	(void)state;
}

static void kinds_are_apart(void **state)
{
	(void)state;
	mark_set(marks, MARK_LIVE, span(60, 10));
	mark_set(marks, MARK_REMAP_BEFORE_USE, span(65, 10));
	assert_int_equal(mark_count(marks, MARK_DIRTY, 0, span(0, FRAMES)), 0);
	assert_int_equal(mark_count(marks, MARK_LIVE, MARK_REMAP_BEFORE_USE,
				    span(0, FRAMES)),
			 5);
	assert_int_equal(mark_count(marks, MARK_LIVE | MARK_REMAP_BEFORE_USE, 0,
				    span(0, FRAMES)),
			 5);
	assert_true(mark_any(marks, MARK_LIVE, MARK_REMAP_BEFORE_USE,
			     span(0, FRAMES)));
	assert_true(mark_any(marks, MARK_REMAP_BEFORE_USE, 0,
			     span(74, FRAMES - 74)));
	assert_false(mark_any(marks, MARK_LIVE, MARK_REMAP_BEFORE_USE,
			      span(65, FRAMES - 65)));
	assert_false(mark_any(marks, MARK_LIVE, 0, span(0, 60)));
	mark_clear(marks, MARK_LIVE, span(0, FRAMES));
	assert_int_equal(mark_count(marks, MARK_REMAP_BEFORE_USE, 0,
				    span(0, FRAMES)),
			 10);
}

static void assert_run(struct mark_run run, size_t first, size_t count,
		       bool have)
{
	assert_span(run.span, first, count);
	assert_int_equal(run.have, have);
}

static void runs(void **state)
{
	(void)state;
	mark_set(marks, MARK_REMAP_BEFORE_USE, span(60, 10));
	mark_set(marks, MARK_REMAP_ON_FREE, span(70, 100));
	assert_run(mark_run(marks, MARK_REMAP_BEFORE_USE, 0, span(0, FRAMES)),
		   0, 60, false);
	assert_run(mark_run(marks, MARK_REMAP_BEFORE_USE, 0, span(62, 900)), 62,
		   8, true);
	assert_run(mark_run(marks, 0,
			    MARK_REMAP_BEFORE_USE | MARK_REMAP_ON_FREE,
			    span(62, 900)),
		   62, 108, false);
	assert_run(mark_run(marks, MARK_REMAP_ON_FREE, 0, span(170, 854)), 170,
		   854, false);
	assert_run(mark_run(marks, MARK_REMAP_ON_FREE, 0, span(80, 5)), 80, 5,
		   true);
	assert_int_equal(
		mark_run(marks, MARK_REMAP_ON_FREE, 0, span(80, 0)).span.count,
		0);
}

static void each_run(void **state)
{
	size_t counts[2] = { 0, 0 }, number = 0;

	(void)state;
	mark_set(marks, MARK_LIVE, span(3, 7));
	mark_set(marks, MARK_LIVE, span(63, 66));
	for_each_run(run, marks, MARK_LIVE, 0, span(0, FRAMES)) {
		counts[run.have] += run.span.count;
		number++;
	}
	assert_int_equal(number, 5);
	assert_int_equal(counts[true], 7 + 66);
	assert_int_equal(counts[false], FRAMES - 7 - 66);
}

static void clearing_counts(void **state)
{
	(void)state;
	mark_set(marks, MARK_DIRTY | MARK_AGED, span(60, 10));
	assert_int_equal(mark_clear(marks, MARK_DIRTY, span(65, 100)), 5);
	assert_int_equal(mark_clear(marks, MARK_DIRTY | MARK_AGED,
				    span(0, FRAMES)),
			 5 + 10);
	assert_int_equal(mark_clear(marks, MARK_DIRTY, span(0, FRAMES)), 0);
}

static void combinations(void **state)
{
	(void)state;
	mark_set(marks, MARK_DIRTY, span(60, 200));
	mark_set(marks, MARK_LIVE, span(100, 20));
	mark_set_which(marks, MARK_AGED, MARK_DIRTY, MARK_LIVE, span(70, 150));
	assert_int_equal(mark_count(marks, MARK_AGED, 0, span(0, FRAMES)), 130);
	assert_int_equal(mark_count(marks, MARK_AGED, 0, span(70, 30)), 30);
	assert_int_equal(mark_count(marks, MARK_AGED, 0, span(120, 100)), 100);
	assert_run(mark_run(marks, MARK_DIRTY, MARK_LIVE, span(50, 900)), 50,
		   10, false);
	assert_run(mark_run(marks, MARK_DIRTY, MARK_LIVE, span(60, 900)), 60,
		   40, true);
	assert_run(mark_run(marks, MARK_DIRTY | MARK_AGED, 0, span(120, 900)),
		   120, 100, true);
}

static void takes_what_is_live(void **state)
{
	struct take take;

	(void)state;
	mark_set(marks, MARK_LIVE, span(3, 1));
	mark_set(marks, MARK_LIVE, span(60, 140));
	mark_set(marks, MARK_LIVE, span(500, 12));
	take = mark_take(marks, span(0, 505));
	assert_span(mark_take_next(&take), 3, 1);
	assert_span(mark_take_next(&take), 60, 140);
	assert_span(mark_take_next(&take), 500, 5);
	assert_int_equal(mark_take_next(&take).count, 0);
	assert_int_equal(mark_count(marks, MARK_LIVE, 0, span(0, FRAMES)), 7);
}

static void takes_whole_groups(void **state)
{
	struct take take;

	(void)state;
	mark_set(marks, MARK_LIVE, span(64, 64));
	mark_set(marks, MARK_LIVE, span(192, 64));
	take = mark_take(marks, span(0, FRAMES));
	assert_span(mark_take_next(&take), 64, 64);
	assert_span(mark_take_next(&take), 192, 64);
	assert_int_equal(mark_take_next(&take).count, 0);
}

static void gives_the_rest_back(void **state)
{
	struct take take;

	(void)state;
	mark_set(marks, MARK_LIVE, span(1, 2));
	mark_set(marks, MARK_LIVE, span(10, 2));
	mark_set(marks, MARK_LIVE, span(100, 2));
	take = mark_take(marks, span(0, FRAMES));
	assert_span(mark_take_next(&take), 1, 2);
	mark_take_undo(&take);
	assert_int_equal(mark_count(marks, MARK_LIVE, 0, span(0, FRAMES)), 4);
	assert_int_equal(mark_count(marks, MARK_LIVE, 0, span(1, 2)), 0);
}

/* Several takers of overlapping spans: each frame goes to one of them. */
#define TAKERS 4
static uint8_t owners[FRAMES];
static pthread_barrier_t together;

static void *taker(void *arg)
{
	struct span all = span((size_t)(uintptr_t)arg * 50, FRAMES - 200);

	for (int round = 0; round < 300; round++) {
		struct take take;
		struct span run;

		pthread_barrier_wait(&together);
		take = mark_take(marks, all);
		while ((run = mark_take_next(&take)).count)
			for (size_t i = 0; i < run.count; i++)
				__atomic_fetch_add(&owners[run.first + i], 1,
						   __ATOMIC_RELAXED);
		pthread_barrier_wait(&together);
		pthread_barrier_wait(&together);
	}
	return NULL;
}

static void each_frame_goes_to_one(void **state)
{
	pthread_t threads[TAKERS];

	(void)state;
	pthread_barrier_init(&together, NULL, TAKERS + 1);
	for (uintptr_t i = 0; i < TAKERS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, taker, (void *)i), 0);
	for (int round = 0; round < 300; round++) {
		memset(owners, 0, sizeof(owners));
		mark_set(marks, MARK_LIVE, span(0, FRAMES));
		pthread_barrier_wait(&together);
		pthread_barrier_wait(&together);
		for (size_t i = 0; i < FRAMES - 50; i++)
			assert_int_equal(owners[i], 1);
		pthread_barrier_wait(&together);
	}
	for (size_t i = 0; i < TAKERS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&together);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans),
		cmocka_unit_test_setup(set_and_clear, clear_all),
		cmocka_unit_test_setup(kinds_are_apart, clear_all),
		cmocka_unit_test_setup(runs, clear_all),
		cmocka_unit_test_setup(each_run, clear_all),
		cmocka_unit_test_setup(clearing_counts, clear_all),
		cmocka_unit_test_setup(combinations, clear_all),
		cmocka_unit_test_setup(takes_what_is_live, clear_all),
		cmocka_unit_test_setup(takes_whole_groups, clear_all),
		cmocka_unit_test_setup(gives_the_rest_back, clear_all),
		cmocka_unit_test_setup(each_frame_goes_to_one, clear_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
