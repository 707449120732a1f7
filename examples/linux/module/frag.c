// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: the llfree-preload contributors

/*
 * Fill most of the memory with single frames, free half of them at random, and
 * then again and again free a tenth of the rest at random and get as many: how
 * much of what is free is in whole huge frames?
 */
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>

#include <llfree.h>
#include "examples/linux/module/bench.h"
#include "examples/linux/module/side.h"

#define FRAG_FRAMES 49152u /* 192 MiB */
#define FRAG_FILLED (FRAG_FRAMES / 100 * 85)
#define FRAG_ROUNDS 100u
#define RESERVE 8192u /* what the kernel keeps, for itself */
#define HOLD_ORDER 10u

struct fill {
	const struct side *side;
	struct rnd_state random;
	unsigned long *frames;
	size_t count;
};

static void row(struct fill *fill, unsigned int round)
{
	size_t frames, huge;

	fill->side->free(&frames, &huge);
	csv("frag", "%s,%u,%zu,%zu,%zu", fill->side->name, round, frames, huge,
	    huge * LLFREE_HUGE_SIZE * 100 / frames);
}

static int get_frames(struct fill *fill, size_t count)
{
	while (fill->count < count) {
		unsigned long pfn = fill->side->get(0);

		if (!pfn)
			return -ENOMEM;
		fill->frames[fill->count++] = pfn;
	}
	return 0;
}

static void put_frames(struct fill *fill, size_t count)
{
	while (fill->count > count) {
		size_t i = prandom_u32_state(&fill->random) % fill->count;

		fill->side->put(fill->frames[i], 0);
		fill->frames[i] = fill->frames[--fill->count];
	}
}

static int come_and_go(struct fill *fill)
{
	size_t half = FRAG_FILLED / 2;
	unsigned int round;
	int error = get_frames(fill, FRAG_FILLED);

	if (error)
		return error;
	put_frames(fill, half);
	for (round = 0; round <= FRAG_ROUNDS; round++) {
		row(fill, round);
		put_frames(fill, half - half / 10);
		error = get_frames(fill, half);
		if (error)
			return error;
		cond_resched();
	}
	return 0;
}

/* Get all that a side has but `rest` frames; return how many blocks it took. */
static size_t hold_rest(const struct side *side, unsigned long *held,
			size_t most, size_t rest)
{
	size_t count = 0, frames, huge;

	for (;;) {
		side->free(&frames, &huge);
		if (count == most || frames < rest + (1u << HOLD_ORDER))
			return count;
		held[count] = side->get(HOLD_ORDER);
		if (!held[count])
			return count;
		count++;
	}
}

static int frag_of(const struct side *side, unsigned long *frames,
		   unsigned long *held, size_t most)
{
	struct fill fill = { .side = side, .frames = frames };
	size_t rest = FRAG_FRAMES + (side == &sides[SIDE_KERNEL] ? RESERVE : 0);
	size_t holding = hold_rest(side, held, most, rest);
	int error;

	prandom_seed_state(&fill.random, 1);
	error = come_and_go(&fill);
	put_frames(&fill, 0);
	while (holding)
		side->put(held[--holding], HOLD_ORDER);
	return error;
}

int frag(void)
{
	size_t most = totalram_pages() >> HOLD_ORDER;
	unsigned long *frames = vmalloc(FRAG_FRAMES * sizeof(*frames));
	unsigned long *held = vmalloc(most * sizeof(*held));
	int error = frames && held ? 0 : -ENOMEM;
	unsigned int side;

	csv("frag", "%s", "side,round,free_frames,free_huge,percent");
	for (side = 0; side < SIDES && !error; side++)
		error = frag_of(&sides[side], frames, held, most);
	vfree(held);
	vfree(frames);
	return error;
}
