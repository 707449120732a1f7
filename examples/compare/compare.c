/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The same work under several environments, side by side:
 *
 *   compare RUNS ROUNDS 'NAME|VARIABLE=VALUE VARIABLE=VALUE ...' ...
 *
 * For each row this program starts itself RUNS times, with the row's variables
 * (LD_PRELOAD, for example) added to the environment. Rows take turns, so that a
 * slow moment of the machine affects all of them. The table shows medians. The
 * rows are in compare.sh.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------------------------ */
/* The work: blocks of many sizes, most of them short-lived, on two threads.  */

enum { THREADS = 2, LIVE = 4000 };

typedef struct {
	unsigned char *memory;
	size_t size;
} block_t;

typedef struct {
	block_t blocks[LIVE];
	uint64_t random;
	size_t rounds;
} worker_t;

static uint64_t next_random(worker_t *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

/* Return a small size mostly, one in 64 times that of a buffer, one in 1024
 * times that of a large one. */
static size_t choose_size(worker_t *w)
{
	uint64_t r = next_random(w);
	if (r % 1024 == 0)
		return (1 << 20) + r / 1024 % (4 << 20);
	if (r % 64 == 0)
		return (16 << 10) + r / 64 % (512 << 10);
	return 16 + r / 64 % 2000;
}

/* Write to every page, as a program does. */
static void fill(block_t *b)
{
	for (size_t at = 0; at < b->size; at += 1024)
		b->memory[at] = (unsigned char)b->size;
	b->memory[b->size - 1] = (unsigned char)b->size;
}

static void release(block_t *b)
{
	if (b->memory && b->memory[b->size - 1] != (unsigned char)b->size)
		abort();
	free(b->memory);
	b->memory = NULL;
}

static void replace(worker_t *w, block_t *b)
{
	release(b);
	b->size = choose_size(w);
	b->memory = malloc(b->size);
	if (!b->memory)
		abort();
	fill(b);
}

static void *work(void *arg)
{
	worker_t *w = arg;
	for (size_t i = 0; i < w->rounds; i++)
		replace(w, &w->blocks[next_random(w) % LIVE]);
	for (size_t i = 0; i < LIVE; i++)
		release(&w->blocks[i]);
	return NULL;
}

static int work_on_all(size_t rounds)
{
	static worker_t workers[THREADS];
	pthread_t threads[THREADS];

	for (size_t i = 0; i < THREADS; i++) {
		workers[i].random = 88172645463325252u + i;
		workers[i].rounds = rounds;
		if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0)
			return 1;
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

/* ------------------------------------------------------------------------ */
/* The table                                                                 */

enum { WALL, CPU, FAULTS, PEAK, METRICS, MAX_ROWS = 16, MAX_RUNS = 99 };

typedef struct {
	char *name;
	char *environment;
	double results[METRICS][MAX_RUNS];
} row_t;

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double as_seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static void exec_row(row_t *row, const char *rounds)
{
	char *rest = row->environment;
	for (char *set = strtok_r(rest, " ", &rest); set;
	     set = strtok_r(NULL, " ", &rest))
		putenv(set);
	execl("/proc/self/exe", "compare", "--work", rounds, (char *)NULL);
	_exit(127);
}

static int measure(row_t *row, size_t run, const char *rounds)
{
	struct rusage usage;
	int status;
	double start = now();
	pid_t child = fork();

	if (child == 0)
		exec_row(row, rounds);
	if (child < 0 || wait4(child, &status, 0, &usage) != child)
		return -1;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "compare: %s failed\n", row->name);
		return -1;
	}
	row->results[WALL][run] = now() - start;
	row->results[CPU][run] =
		as_seconds(usage.ru_utime) + as_seconds(usage.ru_stime);
	row->results[FAULTS][run] = (double)usage.ru_minflt;
	row->results[PEAK][run] = (double)usage.ru_maxrss / 1024;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void print_row(row_t *row, size_t runs)
{
	for (size_t metric = 0; metric < METRICS; metric++)
		qsort(row->results[metric], runs, sizeof(double), by_value);
	size_t mid = runs / 2;
	printf("%-28s %6.2f (%.2f-%.2f) %7.2f %9.0f %9.1f\n", row->name,
	       row->results[WALL][mid], row->results[WALL][0],
	       row->results[WALL][runs - 1], row->results[CPU][mid],
	       row->results[FAULTS][mid], row->results[PEAK][mid]);
}

static int compare(size_t runs, const char *rounds, size_t num, char **specs)
{
	static row_t rows[MAX_ROWS];

	for (size_t i = 0; i < num; i++) {
		rows[i].environment = specs[i];
		rows[i].name = strsep(&rows[i].environment, "|");
		if (!rows[i].environment)
			return -1;
	}
	for (size_t run = 0; run < runs; run++)
		for (size_t i = 0; i < num; i++)
			if (measure(&rows[i], run, rounds) != 0)
				return -1;
	printf("%-28s %18s %7s %9s %9s\n", "", "seconds (min-max)", "CPU s",
	       "faults", "peak MiB");
	for (size_t i = 0; i < num; i++)
		print_row(&rows[i], runs);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--work") == 0)
		return work_on_all(strtoul(argv[2], NULL, 10));

	size_t runs = argc > 3 ? strtoul(argv[1], NULL, 10) : 0;
	if (runs < 1 || runs > MAX_RUNS || argc - 3 > MAX_ROWS) {
		fprintf(stderr, "usage: compare RUNS ROUNDS "
				"'NAME|VARIABLE=VALUE ...'...\n");
		return 2;
	}
	return compare(runs, argv[2], (size_t)argc - 3, argv + 3) == 0 ? 0 : 1;
}
