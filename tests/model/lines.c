/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Which cache lines are written by whom: the library's sources with a platform
 * that notes each write. Slots in their steady state must not write a line in
 * common, for any number of them, and each call writes few lines. One thread
 * takes the part of all of them. Also counted: the steps of a recovery, which
 * go with the size of the metadata, not of what is allocated.
 *
 * TAP, with the figures in the names of the tests.
 */
#include <llfree.h>
#include <llfree_platform.h>

#include <stdio.h>
#include <stdlib.h>

#define MOST_SLOTS 256u
#define FRAMES_OF(slots) ((size_t)2 * (slots)*LLFREE_TREE_SIZE)
#define HELD 64u /* blocks that a slot has while it gets and puts */
#define ROUNDS 256u
#define NOBODY 0u

/* ------------------------------------------------------------------------ */
/* The platform                                                              */

static struct {
	uintptr_t first; /* of the buffers, which are one area */
	uint16_t *writer; /* by line: slot + 1, or NOBODY */
	size_t lines;
	uint16_t slot; /* the current one + 1; NOBODY: not counting */
	size_t writes, shared, steps;
} note;

void model_step(const void *p)
{
	(void)p;
	note.steps++;
}

void model_read(const void *p, uint64_t value)
{
	(void)p;
	(void)value;
}

void model_write(const void *p, size_t size, uint64_t was, uint64_t value)
{
	size_t line = ((uintptr_t)p - note.first) / LLFREE_CACHE_SIZE;

	(void)size;
	(void)was;
	(void)value;
	if (note.slot == NOBODY || line >= note.lines)
		return;
	note.writes++;
	note.shared += note.writer[line] != NOBODY &&
		       note.writer[line] != note.slot;
	note.writer[line] = note.slot;
}

void model_stored(void)
{
}

void model_persist(const void *address, size_t bytes)
{
	(void)address;
	(void)bytes;
}

void model_panic(const char *text)
{
	fprintf(stderr, "lines: %s\n", text);
	abort();
}

/* ------------------------------------------------------------------------ */
/* An allocator in one area                                                  */

static void *allocate(size_t size)
{
	void *memory = aligned_alloc(LLFREE_CACHE_SIZE, size);

	if (!memory)
		abort();
	memset(memory, 0, size);
	return memory;
}

static size_t whole_lines(size_t size)
{
	return (size + LLFREE_CACHE_SIZE - 1) / LLFREE_CACHE_SIZE *
	       LLFREE_CACHE_SIZE;
}

static _Alignas(LLFREE_CACHE_SIZE) uint8_t handle[2 * LLFREE_CACHE_SIZE];
static llfree_t *const llfree = (llfree_t *)handle;
static llfree_classing_t classing;
static llfree_meta_t meta;

static void start(size_t frames, uint8_t init)
{
	if (!llfree_is_ok(llfree_init(llfree, frames, init, meta, &classing)))
		abort();
}

static void make(size_t slots, size_t frames)
{
	llfree_meta_size_t size;
	size_t local, trees, lower;

	classing = llfree_classing_simple(slots);
	size = llfree_metadata_size(&classing, frames);
	local = whole_lines(size.local);
	trees = whole_lines(size.trees);
	lower = whole_lines(size.lower);
	meta.local = allocate(local + trees + lower);
	meta.trees = meta.local + local;
	meta.lower = meta.trees + trees;
	note.first = (uintptr_t)meta.local;
	note.lines = (local + trees + lower) / LLFREE_CACHE_SIZE;
	note.writer = allocate(whole_lines(note.lines * sizeof(uint16_t)));
	note.slot = NOBODY;
	start(frames, LLFREE_INIT_FREE);
}

static void release(void)
{
	free(meta.local);
	free(note.writer);
}

/* ------------------------------------------------------------------------ */
/* Slots                                                                     */

static frame_id_t held[MOST_SLOTS][HELD];

static void get(size_t slots, unsigned order, size_t slot, size_t i)
{
	llfree_result_t got =
		llfree_get(llfree, frame_id_none(),
			   llfree_simple_request(slots, (uint8_t)order, slot));

	if (!llfree_is_ok(got))
		abort();
	held[slot][i] = got.frame;
}

/* Each slot in turn puts one of its blocks and gets another. */
static void steady(size_t slots, unsigned order, size_t blocks, size_t rounds,
		   bool counts)
{
	for (size_t round = 0; round < rounds; round++)
		for (size_t slot = 0; slot < slots; slot++) {
			size_t i = (round * 37 + slot) % blocks;

			note.slot = counts ? (uint16_t)(slot + 1) : NOBODY;
			if (!llfree_is_ok(llfree_put(
				    llfree, held[slot][i],
				    llfree_simple_request(slots, (uint8_t)order,
							  slot))))
				abort();
			get(slots, order, slot, i);
		}
}

static bool apart(size_t number, size_t slots, unsigned order)
{
	size_t blocks = order < LLFREE_HUGE_ORDER ? HELD
						  : LLFREE_TREE_CHILDREN / 2;

	make(slots, FRAMES_OF(slots));
	for (size_t slot = 0; slot < slots; slot++)
		for (size_t i = 0; i < blocks; i++)
			get(slots, order, slot, i);
	note.writes = note.shared = 0;
	steady(slots, order, blocks, 4, false);
	steady(slots, order, blocks, ROUNDS, true);
	printf("%s %zu - %zu slots, order %u: %zu lines written by two, "
	       "%.2f writes a call\n",
	       note.shared == 0 && note.writes > 0 ? "ok" : "not ok", number,
	       slots, order, note.shared,
	       (double)note.writes / (double)(2 * ROUNDS * slots));
	release();
	return note.shared == 0 && note.writes > 0;
}

/* The figure itself can tell: one slot for all is the other extreme. */
static bool together(size_t number)
{
	make(2, FRAMES_OF(2));
	note.writes = note.shared = 0;
	for (size_t slot = 0; slot < 2; slot++) {
		note.slot = (uint16_t)(slot + 1);
		get(1, 0, 0, slot);
	}
	printf("%s %zu - one slot for two: %zu lines written by both\n",
	       note.shared > 0 ? "ok" : "not ok", number, note.shared);
	release();
	return note.shared > 0;
}

/* ------------------------------------------------------------------------ */
/* Recovery                                                                  */

static size_t recovery_steps(size_t trees, bool full)
{
	size_t steps;

	make(1, trees * LLFREE_TREE_SIZE);
	start(trees * LLFREE_TREE_SIZE,
	      full ? LLFREE_INIT_ALLOC : LLFREE_INIT_FREE);
	note.steps = 0;
	start(trees * LLFREE_TREE_SIZE, LLFREE_INIT_RECOVER);
	steps = note.steps;
	release();
	return steps;
}

/* Eight rows and a child are read, the child is written, and read once more
 * for the tree: 11 steps and a bit for each huge frame, whatever is in it. */
static bool recovery(size_t number)
{
	size_t huge = 64 * LLFREE_TREE_CHILDREN;
	size_t one = recovery_steps(64, false),
	       two = recovery_steps(128, false);
	size_t full = recovery_steps(64, true);
	bool ok = one <= 12 * huge && full <= 12 * huge && two <= 2 * one;

	printf("%s %zu - recovery: %.1f steps a huge frame, %.1f when all are "
	       "allocated, twice as many for twice the memory\n",
	       ok ? "ok" : "not ok", number, (double)one / (double)huge,
	       (double)full / (double)huge);
	return ok;
}

int main(void)
{
	static const size_t slots[] = { 2, 3, 16, 64, MOST_SLOTS };
	static const unsigned orders[] = { 0, 3, LLFREE_HUGE_ORDER };
	size_t number = 0;
	bool ok = true;

	if (LLFREE_TREE_CHILDREN_ORDER < 1 || LLFREE_TREE_CHILDREN_ORDER > 6) {
		printf("1..0 # SKIP not for trees of this size\n");
		return EXIT_SUCCESS;
	}
	for (size_t o = 0; o < sizeof(orders) / sizeof(orders[0]); o++)
		for (size_t s = 0; s < sizeof(slots) / sizeof(slots[0]); s++)
			ok &= apart(++number, slots[s], orders[o]);
	ok &= together(++number);
	ok &= recovery(++number);
	printf("1..%zu\n", number);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
