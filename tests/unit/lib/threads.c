/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "tests/unit/lib/threads.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <llfree.h>

#define MOST_THREADS 64
#define USUAL_CHILDREN 8u

uint64_t test_seed = 1;

void must_fail(const char *condition, const char *file, int line)
{
	fprintf(stderr,
		"# %s:%d: %s does not hold; LLFREE_TEST_SEED=%" PRIu64 "\n",
		file, line, condition, test_seed);
	abort();
}

void test_seed_next(void)
{
	const char *text = getenv("LLFREE_TEST_SEED");

	if (text)
		test_seed = strtoull(text, NULL, 0);
	else
		test_seed =
			test_seed * 6364136223846793005u + 1442695040888963u;
	test_seed |= 1;
}

size_t test_rounds(size_t quick)
{
	const char *size = getenv("LLFREE_TEST_SIZE");
	size_t rounds = size && !strcmp(size, "long") ? 10 * quick : quick;

	if (LLFREE_TREE_CHILDREN > USUAL_CHILDREN)
		rounds = rounds * USUAL_CHILDREN / LLFREE_TREE_CHILDREN;
	return rounds ? rounds : 1;
}

void meet(struct meeting *meeting)
{
	size_t round = atomic_load(&meeting->round);

	if (atomic_fetch_add(&meeting->arrived, 1) + 1 == meeting->count) {
		atomic_store(&meeting->arrived, 0);
		atomic_store(&meeting->round, round + 1);
		return;
	}
	for (size_t i = 0; atomic_load(&meeting->round) == round; i++)
		if (i > 200)
			sched_yield();
}

struct start {
	void (*body)(void *arg, size_t id);
	void *arg;
	size_t id;
};

static void *begin(void *arg)
{
	struct start *start = arg;

	start->body(start->arg, start->id);
	return NULL;
}

void run_threads(size_t count, void (*body)(void *arg, size_t id), void *arg)
{
	struct start starts[MOST_THREADS];
	pthread_t threads[MOST_THREADS];

	must(count <= MOST_THREADS);
	for (size_t i = 0; i < count; i++) {
		starts[i] = (struct start){ body, arg, i };
		must(!pthread_create(&threads[i], NULL, begin, &starts[i]));
	}
	for (size_t i = 0; i < count; i++)
		must(!pthread_join(threads[i], NULL));
}
