/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The allocator alone: get and put in the steady state against a bare loop of
 * the atomic steps that this design cannot do without, measured in the same
 * run, one after the other; single frames in bulk; how many frames a loop
 * touches; and how free huge frames come back over time.
 *
 * Writes steady.csv, bulk.csv, reuse.csv and fragmentation.csv into the current
 * folder.
 */

#include "tests/benchmark/bench.h"

#include <stdlib.h>
#include <string.h>

#define RUNS 9
#define BLOCKS 64 /* a pass takes so many, and gives them back */
#define PASSES 1000
#define FRAMES ((size_t)1 << 18) /* 1 GiB */
#define MOST_THREADS 8

enum side { FLOOR, LLFREE, SIDES };

/*
 * In bulk, all the gets of a pass and then all its puts; and in pairs, each
 * get followed by its put.
 */
enum { GET, PUT, PAIR, OPERATIONS };
static const char *const operations[] = { "get", "put", "pair" };

/* The words of the floor, each on a cache line and all of one thread. */
struct words {
	_Alignas(LLFREE_CACHE_SIZE) uint64_t slot;
	_Alignas(LLFREE_CACHE_SIZE) uint16_t child;
	_Alignas(LLFREE_CACHE_SIZE) uint64_t row;
};

struct measure {
	struct words words[MOST_THREADS];
	llfree_t *self;
	unsigned order;
	double times[MOST_THREADS][OPERATIONS]; /* ns */
};

/* A thread's times of each pass; the median hides what interrupted it. */
struct samples {
	double ns[OPERATIONS][PASSES];
};

static void settle(struct measure *measure, size_t id, struct samples *samples)
{
	for (size_t i = 0; i < OPERATIONS; i++)
		measure->times[id][i] =
			bench_median(samples->ns[i], PASSES).median / BLOCKS;
	free(samples);
}

/* ------------------------------------------------------------------------ */
/* The floor                                                                 */

/* One step as any lock-free allocator does it: look, change, swap. */
#define STEP(word, change)                                                  \
	do {                                                                \
		__typeof__(word) was =                                      \
			__atomic_load_n(&(word), __ATOMIC_RELAXED);         \
		__typeof__(word) next;                                      \
		do                                                          \
			next = (__typeof__(word))(was change);              \
		while (!__atomic_compare_exchange_n(&(word), &was, next, 1, \
						    __ATOMIC_ACQ_REL,       \
						    __ATOMIC_ACQUIRE));     \
	} while (0)

static inline void floor_get(struct words *words, bool row, size_t i)
{
	STEP(words->slot, -1);
	STEP(words->child, -1);
	if (row)
		STEP(words->row, | UINT64_C(1) << i % 64);
}

static inline void floor_put(struct words *words, bool row, size_t i)
{
	if (row)
		STEP(words->row, &~(UINT64_C(1) << i % 64));
	STEP(words->child, +1);
	STEP(words->slot, +1);
}

static void floor_pass(struct words *words, bool row, struct samples *samples,
		       size_t pass)
{
	double start = bench_clock(), got, put;

	for (size_t i = 0; i < BLOCKS; i++)
		floor_get(words, row, i);
	got = bench_clock();
	for (size_t i = 0; i < BLOCKS; i++)
		floor_put(words, row, i);
	put = bench_clock();
	for (size_t i = 0; i < BLOCKS; i++) {
		floor_get(words, row, i);
		floor_put(words, row, i);
	}
	samples->ns[GET][pass] = got - start;
	samples->ns[PUT][pass] = put - got;
	samples->ns[PAIR][pass] = bench_clock() - put;
}

static void floor_body(void *arg, size_t id)
{
	struct measure *measure = arg;
	struct samples *samples = malloc(sizeof(*samples));

	bench_check(samples);
	for (size_t i = 0; i < PASSES; i++)
		floor_pass(&measure->words[id],
			   measure->order < LLFREE_HUGE_ORDER, samples, i);
	settle(measure, id, samples);
}

/* ------------------------------------------------------------------------ */
/* The allocator                                                             */

static inline frame_id_t get(llfree_t *self, llfree_request_t request)
{
	llfree_result_t got = llfree_get(self, frame_id_none(), request);

	bench_check(llfree_is_ok(got));
	return got.frame;
}

static inline void put(llfree_t *self, frame_id_t frame,
		       llfree_request_t request)
{
	bench_check(llfree_is_ok(llfree_put(self, frame, request)));
}

static void llfree_pass(llfree_t *self, llfree_request_t request,
			struct samples *samples, size_t pass)
{
	frame_id_t blocks[BLOCKS];
	double start = bench_clock(), got, given;

	for (size_t i = 0; i < BLOCKS; i++)
		blocks[i] = get(self, request);
	got = bench_clock();
	for (size_t i = 0; i < BLOCKS; i++)
		put(self, blocks[i], request);
	given = bench_clock();
	for (size_t i = 0; i < BLOCKS; i++)
		put(self, get(self, request), request);
	samples->ns[GET][pass] = got - start;
	samples->ns[PUT][pass] = given - got;
	samples->ns[PAIR][pass] = bench_clock() - given;
}

static void llfree_body(void *arg, size_t id)
{
	struct measure *measure = arg;
	struct samples *samples = malloc(sizeof(*samples));
	llfree_request_t request = llfree_simple_request(
		MOST_THREADS, (uint8_t)measure->order, id);

	bench_check(samples);
	for (size_t i = 0; i < PASSES; i++)
		llfree_pass(measure->self, request, samples, i);
	settle(measure, id, samples);
}

/* ------------------------------------------------------------------------ */
/* Side by side                                                              */

static double mean(const struct measure *measure, size_t threads,
		   size_t operation)
{
	double sum = 0;

	for (size_t i = 0; i < threads; i++)
		sum += measure->times[i][operation];
	return sum / (double)threads;
}

static void report(size_t operation, size_t threads, unsigned order,
		   double ns[SIDES][RUNS])
{
	double ratio[RUNS];

	for (size_t i = 0; i < RUNS; i++)
		ratio[i] = ns[LLFREE][i] / ns[FLOOR][i];

	struct bench_median ours = bench_median(ns[LLFREE], RUNS);
	struct bench_median floor = bench_median(ns[FLOOR], RUNS);
	struct bench_median r = bench_median(ratio, RUNS);

	printf("%-4s order %u, %zu thread%c %7.1f %6.1f-%-6.1f"
	       " %6.1f %6.1f-%-6.1f %5.2f %5.2f-%.2f\n",
	       operations[operation], order, threads, threads == 1 ? ' ' : 's',
	       ours.median, ours.min, ours.max, floor.median, floor.min,
	       floor.max, r.median, r.min, r.max);
}

static void steady_run(struct measure *measure, size_t threads, size_t run,
		       double ns[OPERATIONS][SIDES][RUNS])
{
	for (enum side side = FLOOR; side < SIDES; side++) {
		bench_threads(threads, side == FLOOR ? floor_body : llfree_body,
			      measure);
		for (size_t i = 0; i < OPERATIONS; i++)
			ns[i][side][run] = mean(measure, threads, i);
	}
}

static void steady(FILE *csv, size_t threads, unsigned order)
{
	struct measure *measure =
		aligned_alloc(LLFREE_CACHE_SIZE, sizeof(*measure));
	double ns[OPERATIONS][SIDES][RUNS];

	bench_check(measure);
	memset(measure, 0, sizeof(*measure));
	measure->self = bench_make(FRAMES * threads, MOST_THREADS);
	measure->order = order;
	for (size_t run = 0; run < RUNS; run++) {
		steady_run(measure, threads, run, ns);
		for (size_t i = 0; i < OPERATIONS; i++)
			fprintf(csv, "%s,%zu,%u,%zu,%.2f,%.2f\n", operations[i],
				threads, order, run, ns[i][LLFREE][run],
				ns[i][FLOOR][run]);
	}
	for (size_t i = 0; i < OPERATIONS; i++)
		report(i, threads, order, ns[i]);
	bench_free(measure->self);
	free(measure);
}

/* ------------------------------------------------------------------------ */
/* In bulk                                                                   */

#define BULK 512

/* So many frames, by calls of `count`. */
static void bulk_pass(llfree_t *self, size_t count, struct samples *samples,
		      size_t pass)
{
	llfree_request_t request = llfree_simple_request(1, 0, 0);
	static frame_id_t frames[BULK];
	double start = bench_clock(), got;

	for (size_t i = 0; i < BULK; i += count)
		bench_check(llfree_get_bulk(self, frames + i, count, request)
				    .error == LLFREE_ERR_OK);
	got = bench_clock();
	for (size_t i = 0; i < BULK; i += count)
		bench_check(llfree_put_bulk(self, frames + i, count, request)
				    .error == LLFREE_ERR_OK);
	samples->ns[GET][pass] = (got - start) / BULK;
	samples->ns[PUT][pass] = (bench_clock() - got) / BULK;
}

/* A fresh allocator, or one of which two of three frames are taken. */
static void bulk(FILE *csv, size_t count, bool sparse)
{
	struct samples *samples = malloc(sizeof(*samples));
	llfree_t *self = bench_make(FRAMES, 1);
	llfree_request_t request = llfree_simple_request(1, 0, 0);
	struct bench_median get_ns, put_ns;

	bench_check(samples);
	for (size_t i = 0; sparse && i < FRAMES; i++)
		if (i % 3 != 0)
			bench_check(llfree_is_ok(llfree_get(
				self, frame_id_some(frame_id(i)), request)));
	for (size_t i = 0; i < PASSES; i++)
		bulk_pass(self, count, samples, i);
	get_ns = bench_median(samples->ns[GET], PASSES);
	put_ns = bench_median(samples->ns[PUT], PASSES);
	printf("%3zu frames a call, %s  get %5.2f  put %5.2f\n", count,
	       sparse ? "each third free" : "all free       ", get_ns.median,
	       put_ns.median);
	fprintf(csv, "%zu,%d,%.2f,%.2f\n", count, sparse, get_ns.median,
		put_ns.median);
	bench_free(self);
	free(samples);
}

/* ------------------------------------------------------------------------ */
/* Reuse                                                                     */

/* A loop that keeps the last `held` frames, a million gets and puts. */
static void reuse(FILE *csv, size_t held)
{
	llfree_t *self = bench_make(FRAMES, 1);
	llfree_request_t request = llfree_simple_request(1, 0, 0);
	uint8_t *touched = calloc(FRAMES, 1);
	frame_id_t *ring = calloc(held, sizeof(*ring));
	size_t distinct = 0;

	bench_check(touched && ring);
	for (size_t i = 0; i < 1000000; i++) {
		if (i >= held)
			put(self, ring[i % held], request);
		ring[i % held] = get(self, request);
		distinct += !touched[ring[i % held].value];
		touched[ring[i % held].value] = 1;
	}
	printf("%5zu held  %6zu distinct frames in a million gets and puts\n",
	       held, distinct);
	fprintf(csv, "%zu,%zu\n", held, distinct);
	free(touched);
	free(ring);
	bench_free(self);
}

/* ------------------------------------------------------------------------ */
/* Fragmentation                                                             */

struct heap {
	llfree_t *self;
	llfree_request_t request;
	uint64_t *frames;
	size_t count;
	uint64_t random;
};

static void heap_free(struct heap *heap, size_t count)
{
	while (count-- > 0) {
		size_t which = bench_below(&heap->random, heap->count);

		put(heap->self, frame_id(heap->frames[which]), heap->request);
		heap->frames[which] = heap->frames[--heap->count];
	}
}

static void heap_fill(struct heap *heap, size_t count)
{
	while (count-- > 0)
		heap->frames[heap->count++] =
			get(heap->self, heap->request).value;
}

static double huge_share(const llfree_t *self)
{
	ll_stats_t stats = llfree_stats(self);

	return 100.0 * (double)(stats.free_huge * LLFREE_HUGE_SIZE) /
	       (double)stats.free_frames;
}

/* Fill, free half at random, then again and again a tenth out and in. */
static void fragmentation(void)
{
	FILE *csv = bench_csv("fragmentation.csv",
			      "round,free_frames,free_huge,percent_in_huge");
	struct heap heap = { .self = bench_make(FRAMES, 1),
			     .request = llfree_simple_request(1, 0, 0),
			     .frames = calloc(FRAMES, sizeof(uint64_t)),
			     .random = 42 };

	bench_check(heap.frames);
	heap_fill(&heap, FRAMES);
	heap_free(&heap, FRAMES / 2);
	for (size_t round = 0; round <= 100; round++) {
		ll_stats_t stats = llfree_stats(heap.self);

		fprintf(csv, "%zu,%zu,%zu,%.2f\n", round, stats.free_frames,
			stats.free_huge, huge_share(heap.self));
		if (round % 20 == 0)
			printf("after %3zu rounds  %5.1f %% of the free memory "
			       "in free huge frames\n",
			       round, huge_share(heap.self));
		heap_free(&heap, FRAMES / 10);
		heap_fill(&heap, FRAMES / 10);
	}
	free(heap.frames);
	bench_free(heap.self);
	fclose(csv);
}

static void steady_all(void)
{
	FILE *csv = bench_csv("steady.csv",
			      "operation,threads,order,run,ns,floor_ns");
	size_t most = bench_cores() < 2 ? 1 : 2;

	printf("\nns, median and range of %d runs %9s %20s %18s\n", RUNS,
	       "allocator", "floor", "ratio");
	for (size_t threads = 1; threads <= most; threads++) {
		steady(csv, threads, 0);
		steady(csv, threads, LLFREE_HUGE_ORDER);
	}
	fclose(csv);
}

static void bulk_all(void)
{
	static const size_t counts[] = { 1, 8, 64, BULK };
	FILE *csv = bench_csv("bulk.csv", "count,sparse,get_ns,put_ns");

	printf("\nns a frame, in bulk, median of %d calls\n", PASSES);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		bulk(csv, counts[i], false);
		bulk(csv, counts[i], true);
	}
	fclose(csv);
}

static void reuse_all(void)
{
	FILE *csv = bench_csv("reuse.csv", "held,distinct");

	printf("\n");
	for (size_t held = 1; held <= 4096; held *= 16)
		reuse(csv, held);
	printf("\n");
	fclose(csv);
}

int main(void)
{
	bench_where(stdout);
	steady_all();
	bulk_all();
	reuse_all();
	fragmentation();
	printf("\nsteady.csv, bulk.csv, reuse.csv and fragmentation.csv hold "
	       "the "
	       "rows\n");
	return 0;
}
