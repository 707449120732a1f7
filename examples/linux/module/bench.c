// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: the llfree-preload contributors

/*
 * bulk: every processor gets all its blocks, then puts them.
 * repeat: every processor holds half its blocks, and gets and puts one more.
 * rand: every processor gets all its blocks, they are dealt anew among all, and
 * every processor puts what it has then.
 */
#include <linux/cpumask.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/prandom.h>
#include <linux/vmalloc.h>

#include "examples/linux/module/bench.h"
#include "examples/linux/module/side.h"
#include "examples/linux/module/team.h"

#define BENCH_FRAMES 32768u /* held at once, by all processors */
#define BENCH_CALLS 32768u /* gets, by all processors, at least */

/* Sum over all processors, of calls and of nanoseconds on a processor. */
struct times {
	atomic64_t calls, get_ns, put_ns;
};

struct run {
	const struct side *side;
	unsigned int order, cpus;
	unsigned int count; /* blocks of a processor */
	unsigned int rounds;
	unsigned long *blocks; /* `count` of each processor */
	struct times times;
};

struct workload {
	const char *name;
	void (*task)(void *run, unsigned int cpu);
};

static void add_times(struct run *run, u64 calls, u64 get_ns, u64 put_ns)
{
	atomic64_add(calls, &run->times.calls);
	atomic64_add(get_ns, &run->times.get_ns);
	atomic64_add(put_ns, &run->times.put_ns);
}

static void get_all(struct run *run, unsigned long *blocks, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		blocks[i] = run->side->get(run->order);
		if (!blocks[i])
			panic("%s has no block of order %u", run->side->name,
			      run->order);
	}
}

static void put_all(struct run *run, unsigned long *blocks, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		run->side->put(blocks[i], run->order);
}

/* Fisher and Yates. */
static void shuffle(unsigned long *blocks, unsigned int count)
{
	struct rnd_state random;
	unsigned int i;

	prandom_seed_state(&random, count);
	for (i = count; i > 1; i--) {
		unsigned int other = prandom_u32_state(&random) % i;

		swap(blocks[i - 1], blocks[other]);
	}
}

/* Get all and put all; if `deal`, deal the blocks anew in between. */
static void get_and_put(struct run *run, unsigned int cpu, bool deal)
{
	unsigned long *blocks = run->blocks + cpu * run->count;
	unsigned int round;

	for (round = 0; round < run->rounds; round++) {
		u64 start, get_ns;

		barrier_wait(run->cpus);
		start = ktime_get_ns();
		get_all(run, blocks, run->count);
		get_ns = ktime_get_ns() - start;
		barrier_wait(run->cpus);
		if (deal && cpu == 0)
			shuffle(run->blocks, run->count * run->cpus);
		barrier_wait(run->cpus);
		start = ktime_get_ns();
		put_all(run, blocks, run->count);
		add_times(run, run->count, get_ns, ktime_get_ns() - start);
	}
}

static void bulk(void *run, unsigned int cpu)
{
	get_and_put(run, cpu, false);
}

static void rand(void *run, unsigned int cpu)
{
	get_and_put(run, cpu, true);
}

/* The time is that of the pair, and all of it a get's in the table. */
static void repeat(void *arg, unsigned int cpu)
{
	struct run *run = arg;
	unsigned long *blocks = run->blocks + cpu * run->count;
	unsigned int held = run->count / 2, calls = run->rounds * run->count, i;
	u64 start;

	get_all(run, blocks, held);
	barrier_wait(run->cpus);
	start = ktime_get_ns();
	for (i = 0; i < calls; i++) {
		get_all(run, blocks + held, 1);
		put_all(run, blocks + held, 1);
	}
	add_times(run, calls, ktime_get_ns() - start, 0);
	barrier_wait(run->cpus);
	put_all(run, blocks, held);
}

static void measure(const struct workload *workload, struct run *run)
{
	u64 before = run->side->contended(), contended;
	s64 calls;

	memset(&run->times, 0, sizeof(run->times));
	team_run(run->cpus, workload->task, run);
	contended = run->side->contended() - before;
	calls = atomic64_read(&run->times.calls);
	csv("bench", "%s,%u,%u,%s,%lld,%lld,%lld,%llu", workload->name,
	    run->order, run->cpus, run->side->name, calls,
	    atomic64_read(&run->times.get_ns) / calls,
	    atomic64_read(&run->times.put_ns) / calls, contended);
}

static void measure_all(unsigned int order, unsigned int cpus,
			unsigned long *blocks)
{
	static const struct workload workloads[] = {
		{ "bulk", bulk },
		{ "repeat", repeat },
		{ "rand", rand },
	};
	unsigned int count = (BENCH_FRAMES >> order) / cpus, i, side;

	for (i = 0; i < ARRAY_SIZE(workloads); i++)
		for (side = 0; side < SIDES; side++) {
			struct run run = {
				.side = &sides[side],
				.order = order,
				.cpus = cpus,
				.count = count,
				.rounds = max(1u, (BENCH_CALLS >> order / 2) /
							  cpus / count),
				.blocks = blocks,
			};

			measure(&workloads[i], &run);
		}
}

int bench(void)
{
	static const unsigned int orders[] = { 0, 9, 10 };
	unsigned long *blocks = vmalloc(BENCH_FRAMES * sizeof(*blocks));
	unsigned int i, cpus;
	int error;

	if (!blocks)
		return -ENOMEM;
	error = side_count_locks();
	if (error)
		goto free_blocks;
	csv("bench", "%s",
	    "workload,order,cpus,side,calls,get_ns,put_ns,contended");
	for (i = 0; i < ARRAY_SIZE(orders); i++)
		for (cpus = 1; cpus <= num_online_cpus(); cpus *= 2)
			measure_all(orders[i], cpus, blocks);
	side_count_locks_end();
free_blocks:
	vfree(blocks);
	return error;
}
