/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Explores the families of scenarios on the real sources of lib/. TAP: one
 * test a family, with how much was explored; a failure names the scenario and
 * its schedule, and how to run just that again.
 */
#include "tests/model/crash.h"
#include "tests/model/scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * What the long run asks for is given up after so many executions: of those
 * with a bound, and of all interleavings, which a family's first scenarios get
 * far more of, until it has had its share of the time.
 */
#define MOST_BOUNDED 80000u
#define MOST_OF_ALL 600000u
#define MOST_OF_ALL_LATE 3000u
#define FAMILY_SHARE 2000000u

/* Of a family, make check takes each so manieth scenario; make check-long and
 * who names the family, all. */
#define SHORT_PARTS 6u

static bool quick = true;
static size_t part,
	parts = 1; /* each so manieth scenario, for two processors */

static const char *program;

static bool report(const scenario_t *s, explore_result_t result)
{
	if (!result.failure)
		return true;
	printf("# %s: %s\n# again: %s%s --replay %s %s\n", s->name,
	       result.failure, program, quick ? "" : " --all", s->name,
	       result.schedule);
	return false;
}

/* What was explored: of scenarios, once or twice with a stopped thread. */
typedef struct {
	uint64_t executions, states;
	size_t explored, deeply; /* as far as the family asks for */
} sum_t;

static sum_t total;
static uint64_t total_crashes;

static bool is_bounded(const family_t *family)
{
	return family->all != UINT_MAX;
}

static uint64_t most_executions(const family_t *family, const sum_t *sum)
{
	if (is_bounded(family))
		return MOST_BOUNDED;
	return sum->executions < FAMILY_SHARE ? MOST_OF_ALL : MOST_OF_ALL_LATE;
}

/*
 * In the long run, with as many preemptions as the family asks for if that
 * comes to an end soon enough, else as in the short run, but of all orders
 * with one only.
 */
static explore_result_t explore_deep(const family_t *family,
				     const scenario_t *s, bool stop, sum_t *sum)
{
	explore_result_t result = { .gave_up = true };

	if (!quick) {
		result = scenario_explore(s, stop, family->all,
					  most_executions(family, sum));
		sum->executions += result.executions;
		sum->states += result.states;
		sum->deeply += !result.gave_up;
	}
	if (result.gave_up) {
		result = scenario_explore(
			s, stop,
			quick || is_bounded(family) ? family->quick : 1,
			UINT64_MAX);
		sum->executions += result.executions;
		sum->states += result.states;
	}
	sum->explored++;
	return result;
}

/* Both with all threads running on and with one that stops for ever. */
static bool explore_one(const family_t *family, const scenario_t *s, sum_t *sum)
{
	bool ok = true;

	for (int stop = 0; stop <= family->stop && ok; stop++)
		ok = report(s, explore_deep(family, s, stop, sum));
	return ok;
}

static bool explore_family(const family_t *family, size_t number)
{
	sum_t sum = { 0 };
	scenario_t s;
	bool ok = true;

	crash_count = 0;
	for (size_t i = 0; family->make(&s, i, quick) && ok; i++)
		if (i % parts == part)
			ok = explore_one(family, &s, &sum);
	printf("%s %zu - %s: %zu explored", ok ? "ok" : "not ok", number,
	       family->name, sum.explored);
	if (!quick)
		printf(", %zu of them with %s", sum.deeply,
		       is_bounded(family) ? "more preemptions"
					  : "all interleavings");
	printf(", %llu executions, %llu states, %llu crashes\n",
	       (unsigned long long)sum.executions,
	       (unsigned long long)sum.states, (unsigned long long)crash_count);
	fflush(stdout);
	total.executions += sum.executions;
	total.states += sum.states;
	total.explored += sum.explored;
	total.deeply += sum.deeply;
	total_crashes += crash_count;
	return ok;
}

static int replay(const char *name, const char *schedule)
{
	for (size_t f = 0; f < family_count; f++) {
		scenario_t s;

		for (size_t i = 0; families[f].make(&s, i, quick); i++) {
			if (strcmp(s.name, name) != 0)
				continue;

			const char *wrong = scenario_replay(&s, schedule);

			printf("# %s\n", wrong ? wrong : "nothing wrong");
			return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
		}
	}
	fprintf(stderr, "%s: no scenario %s\n", program, name);
	return EXIT_FAILURE;
}

static bool is_long(void)
{
	const char *size = getenv("LLFREE_TEST_SIZE");

	return size && strcmp(size, "long") == 0;
}

static int usage(void)
{
	printf("Usage: %s [--all] [--part I/N] [FAMILY | --replay SCENARIO "
	       "SCHEDULE]\n"
	       "Explores the interleavings of calls on the allocator; --all "
	       "takes all orders and\nmore preemptions, --part each Nth "
	       "scenario.\n",
	       program);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const char *only = NULL;
	bool ok = true;

	program = argv[0];
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0)
			return usage();
		if (strcmp(argv[i], "--all") == 0)
			quick = false;
		else if (strcmp(argv[i], "--part") == 0 && i + 1 < argc &&
			 sscanf(argv[i + 1], "%zu/%zu", &part, &parts) == 2)
			i++;
		else if (strcmp(argv[i], "--replay") == 0 && i + 2 < argc)
			return replay(argv[i + 1], argv[i + 2]);
		else
			only = argv[i];
	}
	if (LLFREE_TREE_CHILDREN_ORDER > 3) {
		printf("1..0 # SKIP trees of so many children take too long\n");
		return EXIT_SUCCESS;
	}
	if (!only && parts == 1 && quick && !is_long())
		parts = SHORT_PARTS;
	printf("1..%zu\n", only ? (size_t)1 : family_count);
	for (size_t i = 0, n = 1; i < family_count; i++)
		if (!only || strcmp(only, families[i].name) == 0)
			ok &= explore_family(&families[i], n++);
	printf("# %zu explorations, %llu executions, %llu states, %llu "
	       "crashes\n",
	       total.explored, (unsigned long long)total.executions,
	       (unsigned long long)total.states,
	       (unsigned long long)total_crashes);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
