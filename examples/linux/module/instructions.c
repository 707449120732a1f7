// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: the llfree-preload contributors

/*
 * With QEMU's -icount shift=0 the time stamp counter counts instructions. What
 * an indirect call of nothing costs is taken off.
 */
#include <linux/irqflags.h>
#include <linux/minmax.h>
#include <asm/msr.h>

#include "examples/linux/module/bench.h"
#include "examples/linux/module/side.h"

#define BLOCKS 32u
#define REPEATS 64u

struct price {
	u64 get, put, pair;
};

static unsigned long get_nothing(unsigned int order)
{
	return 1;
}

static void put_nothing(unsigned long pfn, unsigned int order)
{
}

static const struct side nothing = { .name = "nothing",
				     .get = get_nothing,
				     .put = put_nothing };

static bool measure_once(const struct side *side, unsigned int order,
			 struct price *sum)
{
	unsigned long blocks[BLOCKS];
	u64 start, middle, end, pairs;
	unsigned int i;
	bool all = true;

	start = rdtsc();
	for (i = 0; i < BLOCKS; i++)
		blocks[i] = side->get(order);
	middle = rdtsc();
	for (i = 0; i < BLOCKS; i++) {
		if (blocks[i])
			side->put(blocks[i], order);
		else
			all = false;
	}
	end = rdtsc();
	for (i = 0; i < BLOCKS; i++)
		side->put(side->get(order), order);
	pairs = rdtsc();
	sum->get += middle - start;
	sum->put += end - middle;
	sum->pair += pairs - end;
	return all;
}

/* The mean of many calls, in the order that a program would make them. */
static int measure(const struct side *side, unsigned int order,
		   struct price *price)
{
	unsigned int calls = BLOCKS * REPEATS, i;
	struct price sum = { 0 };
	unsigned long flags;
	bool all = true;

	for (i = 0; i < REPEATS && all; i++) {
		local_irq_save(flags);
		all = measure_once(side, order, &sum);
		local_irq_restore(flags);
	}
	*price = (struct price){ sum.get / calls, sum.put / calls,
				 sum.pair / calls };
	return all ? 0 : -ENOMEM;
}

int instructions(const struct side *sides, unsigned int count)
{
	static const unsigned int orders[] = { 0, 9, 10 };
	struct price call, price;
	unsigned int i, side;
	int error = measure(&nothing, 0, &call);

	csv("instructions", "%s", "order,side,get,put,pair");
	for (i = 0; i < ARRAY_SIZE(orders); i++)
		for (side = 0; side < count && !error; side++) {
			error = measure(&sides[side], orders[i], &price);
			csv("instructions", "%u,%s,%llu,%llu,%llu", orders[i],
			    sides[side].name, price.get - call.get,
			    price.put - call.put, price.pair - call.pair);
		}
	return error;
}
