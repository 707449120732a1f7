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

static bool quick = true;

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

/* Both with all threads running on and with one that stops for ever. */
static bool explore_one(const family_t *family, const scenario_t *s,
			uint64_t sum[2])
{
	unsigned preemptions = quick ? family->quick : family->all;
	bool ok = true;

	for (int stop = 0; stop <= family->stop && ok; stop++) {
		explore_result_t result =
			scenario_explore(s, stop, preemptions);

		sum[0] += result.executions;
		sum[1] += result.states;
		ok = report(s, result);
	}
	return ok;
}

static bool explore_family(const family_t *family, size_t number)
{
	uint64_t sum[2] = { 0 };
	scenario_t s;
	size_t i;
	bool ok = true;

	crash_count = 0;
	for (i = 0; family->make(&s, i, quick) && ok; i++)
		ok = explore_one(family, &s, sum);
	printf("%s %zu - %s: %zu scenarios, %llu executions, %llu states, "
	       "%llu crashes\n",
	       ok ? "ok" : "not ok", number, family->name, i,
	       (unsigned long long)sum[0], (unsigned long long)sum[1],
	       (unsigned long long)crash_count);
	fflush(stdout);
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

static int usage(void)
{
	printf("Usage: %s [--all] [FAMILY | --replay SCENARIO SCHEDULE]\n"
	       "Explores the interleavings of calls on the allocator; --all "
	       "takes all orders and\nmore preemptions.\n",
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
		else if (strcmp(argv[i], "--replay") == 0 && i + 2 < argc)
			return replay(argv[i + 1], argv[i + 2]);
		else
			only = argv[i];
	}
	if (LLFREE_TREE_CHILDREN_ORDER > 3) {
		printf("1..0 # SKIP trees of so many children take too long\n");
		return EXIT_SUCCESS;
	}
	printf("1..%zu\n", only ? (size_t)1 : family_count);
	for (size_t i = 0, n = 1; i < family_count; i++)
		if (!only || strcmp(only, families[i].name) == 0)
			ok &= explore_family(&families[i], n++);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
