/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "tests/benchmark/bench.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#define MOST_THREADS 64

double bench_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

void bench_fail(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: %s does not hold\n", file, line, condition);
	exit(1);
}

static void *buffer(size_t size)
{
	void *memory = NULL;

	bench_check(!posix_memalign(&memory, LLFREE_CACHE_SIZE, size));
	memset(memory, 0, size);
	return memory;
}

llfree_t *bench_make(size_t frames, size_t slots)
{
	llfree_classing_t classing = llfree_classing_simple(slots);
	llfree_meta_size_t size = llfree_metadata_size(&classing, frames);
	llfree_meta_t meta = { buffer(size.local), buffer(size.trees),
			       buffer(size.lower) };
	llfree_t *self = buffer(size.llfree);

	bench_check(llfree_is_ok(
		llfree_init(self, frames, LLFREE_INIT_FREE, meta, &classing)));
	return self;
}

void bench_free(llfree_t *self)
{
	llfree_meta_t meta = llfree_metadata(self);

	llfree_validate(self);
	free(meta.local);
	free(meta.trees);
	free(meta.lower);
	free(self);
}

size_t bench_below(uint64_t *state, size_t bound)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (size_t)((*state * 0x2545f4914f6cdd1du >> 20) % bound);
}

/* ------------------------------------------------------------------------ */
/* Threads                                                                   */

struct start {
	void (*body)(void *arg, size_t id);
	void *arg;
	size_t id;
	pthread_barrier_t *barrier;
};

size_t bench_cores(void)
{
	cpu_set_t set;

	bench_check(!sched_getaffinity(0, sizeof(set), &set));
	return (size_t)CPU_COUNT(&set);
}

/* To the id-th of the cores that the process may use. */
static void pin(size_t id)
{
	cpu_set_t all, one;
	int core = -1;

	bench_check(!sched_getaffinity(0, sizeof(all), &all));
	id %= (size_t)CPU_COUNT(&all);
	for (size_t seen = 0; seen <= id;)
		seen += CPU_ISSET(++core, &all) ? 1 : 0;
	CPU_ZERO(&one);
	CPU_SET(core, &one);
	bench_check(!pthread_setaffinity_np(pthread_self(), sizeof(one), &one));
}

static void *begin(void *arg)
{
	struct start *start = arg;

	pin(start->id);
	pthread_barrier_wait(start->barrier);
	start->body(start->arg, start->id);
	return NULL;
}

void bench_threads(size_t count, void (*body)(void *arg, size_t id), void *arg)
{
	pthread_t threads[MOST_THREADS];
	struct start starts[MOST_THREADS];
	pthread_barrier_t barrier;

	bench_check(count <= MOST_THREADS);
	bench_check(!pthread_barrier_init(&barrier, NULL, (unsigned)count));
	for (size_t i = 0; i < count; i++) {
		starts[i] = (struct start){ body, arg, i, &barrier };
		bench_check(
			!pthread_create(&threads[i], NULL, begin, &starts[i]));
	}
	for (size_t i = 0; i < count; i++)
		bench_check(!pthread_join(threads[i], NULL));
	pthread_barrier_destroy(&barrier);
}

/* ------------------------------------------------------------------------ */
/* Figures                                                                   */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct bench_median bench_median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare);
	return (struct bench_median){ values[count / 2], values[0],
				      values[count - 1] };
}

static void processor(char *name, size_t size)
{
	FILE *info = fopen("/proc/cpuinfo", "r");
	char line[256];

	snprintf(name, size, "unknown processor");
	while (info && fgets(line, sizeof(line), info)) {
		char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) || !colon)
			continue;
		line[strcspn(line, "\n")] = 0;
		snprintf(name, size, "%s", colon + 2);
		break;
	}
	if (info)
		fclose(info);
}

void bench_where(FILE *file)
{
	struct utsname host;
	char name[256];

	bench_check(!uname(&host));
	processor(name, sizeof(name));
	fprintf(file, "# %s, %zu cores, %s %s %s\n", name, bench_cores(),
		host.sysname, host.release, host.machine);
	fprintf(file, "# compiler %s, llfree-preload %s, %u children a tree\n",
		__VERSION__, PACKAGE_VERSION, LLFREE_TREE_CHILDREN);
}

FILE *bench_csv(const char *name, const char *header)
{
	FILE *file = fopen(name, "w");

	bench_check(file);
	bench_where(file);
	fprintf(file, "%s\n", header);
	return file;
}
