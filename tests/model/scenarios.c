/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "tests/model/scenarios.h"

#include <stdio.h>

/* ------------------------------------------------------------------------ */
/* Calls                                                                     */

static uint8_t class_of(unsigned order)
{
	return order < LLFREE_HUGE_ORDER ? 0 : 1;
}

static op_t get(unsigned order, int slot)
{
	return (op_t){ .kind = OP_GET,
		       .order = (uint8_t)order,
		       .class = class_of(order),
		       .slot = slot };
}

static op_t get_at(size_t frame, unsigned order, int slot)
{
	return (op_t){ .kind = OP_GET_AT,
		       .frame = frame,
		       .order = (uint8_t)order,
		       .class = class_of(order),
		       .slot = slot };
}

static op_t put(size_t frame, unsigned order, int slot)
{
	return (op_t){ .kind = OP_PUT,
		       .frame = frame,
		       .order = (uint8_t)order,
		       .class = class_of(order),
		       .slot = slot };
}

static op_t put_own(size_t op, unsigned order, int slot)
{
	return (op_t){ .kind = OP_PUT_OWN,
		       .frame = op,
		       .order = (uint8_t)order,
		       .class = class_of(order),
		       .slot = slot };
}

static op_t range(op_kind_t kind, size_t frame, size_t frames, int slot)
{
	return (op_t){ .kind = kind,
		       .frame = frame,
		       .frames = frames,
		       .class = frames < LLFREE_HUGE_SIZE ? 0 : 1,
		       .slot = slot };
}

static op_t bulk(size_t frames, int slot)
{
	return (op_t){ .kind = OP_BULK, .frames = frames, .slot = slot };
}

static op_t bulk_put(size_t frame, size_t frames, unsigned apart, int slot)
{
	return (op_t){ .kind = OP_BULK_PUT,
		       .frame = frame,
		       .frames = frames,
		       .order = (uint8_t)apart,
		       .slot = slot };
}

static op_t bulk_put_own(size_t op, int slot)
{
	return (op_t){ .kind = OP_BULK_PUT_OWN, .frame = op, .slot = slot };
}

static op_t drain(void)
{
	return (op_t){ .kind = OP_DRAIN };
}

static op_t change(size_t tree, uint8_t operation)
{
	return (op_t){ .kind = OP_CHANGE, .frame = tree, .order = operation };
}

/* ------------------------------------------------------------------------ */
/* Pairs of orders and of slots                                              */

typedef struct {
	unsigned a, b; /* orders */
	int slot_a, slot_b;
} pair_t;

/*
 * Number `i` of all pairs; false past the last one. In the short run a few
 * orders with all pairs of slots, in the long one all orders with one each.
 */
static bool pair_of(pair_t *pair, size_t i, bool quick)
{
	static const unsigned all[] = { 0, 3, 6, 7, 8, 9, 10, 11, 12 };
	static const unsigned some[] = { 0, 7, 9, 10 };
	static const int slots[][2] = {
		{ 0, 1 }, { 0, 0 }, { NO_SLOT, NO_SLOT }, { 0, NO_SLOT }
	};
	const unsigned *orders = quick ? some : all;
	size_t count = quick ? 4 : 9, each = quick ? 4 : 1;
	const int *slot = slots[(i + i / count / each) % 4];

	pair->slot_a = slot[0];
	pair->slot_b = slot[1];
	pair->a = orders[i / each % count];
	pair->b = orders[i / each / count % count];
	if (pair->a > LLFREE_MAX_ORDER)
		pair->a = LLFREE_MAX_ORDER;
	if (pair->b > LLFREE_MAX_ORDER)
		pair->b = LLFREE_MAX_ORDER;
	return i < each * count * count;
}

static scenario_t two(const char *what, pair_t pair, size_t trees, uint8_t init)
{
	scenario_t s = { .frames = trees * LLFREE_TREE_SIZE,
			 .init = init,
			 .threads = 2 };

	snprintf(s.name, sizeof(s.name), "%s/%u@%d/%u@%d", what, pair.a,
		 pair.slot_a, pair.b, pair.slot_b);
	return s;
}

static size_t larger(pair_t pair)
{
	return (size_t)1 << (pair.a > pair.b ? pair.a : pair.b);
}

/* A free tree: both must get something if it is large enough. */
static bool get_get(scenario_t *s, size_t i, bool quick)
{
	pair_t pair;
	bool there = pair_of(&pair, i, quick);

	*s = two("get-get", pair, 1, LLFREE_INIT_FREE);
	s->ops[0][0] = get(pair.a, pair.slot_a);
	s->ops[1][0] = get(pair.b, pair.slot_b);
	return there;
}

/* All but one block is allocated. */
static bool get_get_tight(scenario_t *s, size_t i, bool quick)
{
	pair_t pair;
	bool there = pair_of(&pair, i, quick);

	*s = two("get-get-tight", pair, 1, LLFREE_INIT_ALLOC);
	s->before[0] = put(0, pair.a > pair.b ? pair.a : pair.b, NO_SLOT);
	s->ops[0][0] = get(pair.a, pair.slot_a);
	s->ops[1][0] = get(pair.b, pair.slot_b);
	return there;
}

/* Each gets and puts, with room for both or for one at a time. */
static bool cycles(scenario_t *s, size_t i, bool quick)
{
	pair_t pair;
	bool there = pair_of(&pair, i, quick);

	*s = two("cycles", pair, 1, LLFREE_INIT_ALLOC);
	s->before[0] = put(0, pair.a > pair.b ? pair.a : pair.b, NO_SLOT);
	s->ops[0][0] = get(pair.a, pair.slot_a);
	s->ops[0][1] = put_own(0, pair.a, pair.slot_a);
	s->ops[1][0] = get(pair.b, pair.slot_b);
	s->ops[1][1] = put_own(0, pair.b, pair.slot_b);
	return there;
}

/* Neighbouring blocks, in one huge frame where they are small enough. */
static bool put_put(scenario_t *s, size_t i, bool quick)
{
	pair_t pair;
	bool there = pair_of(&pair, i, quick);

	*s = two("put-put", pair, 2, LLFREE_INIT_ALLOC);
	s->ops[0][0] = put(0, pair.a, pair.slot_a);
	s->ops[1][0] = put(larger(pair), pair.b, pair.slot_b);
	return there;
}

/* What one frees the other may get. */
static bool put_get(scenario_t *s, size_t i, bool quick)
{
	pair_t pair;
	bool there = pair_of(&pair, i, quick);

	*s = two("put-get", pair, 1, LLFREE_INIT_ALLOC);
	s->ops[0][0] = put(0, pair.a, pair.slot_a);
	s->ops[1][0] = get(pair.b, pair.slot_b);
	return there;
}

static bool at_get(scenario_t *s, size_t i, bool quick)
{
	pair_t pair;
	bool there = pair_of(&pair, i, quick);

	*s = two("at-get", pair, 1, LLFREE_INIT_ALLOC);
	s->before[0] = put(0, pair.a > pair.b ? pair.a : pair.b, NO_SLOT);
	s->ops[0][0] = get_at(0, pair.a, pair.slot_a);
	s->ops[0][1] = put_own(0, pair.a, pair.slot_a);
	s->ops[1][0] = get(pair.b, pair.slot_b);
	return there;
}

static bool at_at(scenario_t *s, size_t i, bool quick)
{
	pair_t pair;
	bool there = pair_of(&pair, i, quick);

	*s = two("at-at", pair, 1, LLFREE_INIT_FREE);
	s->ops[0][0] = get_at(0, pair.a, pair.slot_a);
	s->ops[1][0] = get_at(0, pair.b, pair.slot_b);
	return there;
}

/*
 * A block is freed and allocated again where it was. The tree has more that is
 * free, so that only the lower allocator stands between the two.
 */
static bool reuse(scenario_t *s, size_t i, bool quick)
{
	pair_t pair;
	bool there = pair_of(&pair, i, quick);

	*s = two("reuse", pair, 1, LLFREE_INIT_FREE);
	if (pair.a == LLFREE_MAX_ORDER)
		pair.a--;
	s->before[0] = get_at(0, pair.a, NO_SLOT);
	s->ops[0][0] = put(0, pair.a, pair.slot_a);
	s->ops[1][0] = get_at(0, pair.b, pair.slot_b);
	return there;
}

/* A drain beside a get and a put through a slot that has something. */
static bool drain_all(scenario_t *s, size_t i, bool quick)
{
	pair_t pair;
	bool there = pair_of(&pair, i, quick);

	*s = two("drain", pair, 2, LLFREE_INIT_FREE);
	if (pair.a == LLFREE_MAX_ORDER)
		pair.a--;
	s->before[0] = get(pair.a, pair.slot_a);
	s->ops[0][0] = get(pair.b, pair.slot_b);
	s->ops[0][1] = put_own(0, pair.b, pair.slot_b);
	s->ops[1][0] = drain();
	return there;
}

/* A tree goes offline and online beside a get and a put. */
static bool offline(scenario_t *s, size_t i, bool quick)
{
	pair_t pair;
	bool there = pair_of(&pair, i, quick);

	*s = two("offline", pair, 1, LLFREE_INIT_FREE);
	s->before[0] = get_at(0, pair.a, NO_SLOT);
	s->ops[0][0] = put(0, pair.a, pair.slot_a);
	s->ops[0][1] = get(pair.b, pair.slot_b);
	s->ops[1][0] = change(0, LLFREE_TREE_OP_OFFLINE);
	s->ops[1][1] = change(0, LLFREE_TREE_OP_ONLINE);
	return there;
}

/* The last free frames are in another slot's tree, freed by others. */
static bool fallback(scenario_t *s, size_t i, bool quick)
{
	pair_t pair;
	bool there = pair_of(&pair, i, quick);

	*s = two("fallback", pair, 1, LLFREE_INIT_ALLOC);
	s->before[0] = put(0, LLFREE_MAX_ORDER, NO_SLOT);
	s->before[1] = get(pair.a < LLFREE_MAX_ORDER ? pair.a : 0, 2);
	s->ops[0][0] = get(pair.b, pair.slot_a);
	s->ops[0][1] = put_own(0, pair.b, NO_SLOT);
	s->ops[1][0] = get(pair.b, pair.slot_b);
	return there;
}

/* ------------------------------------------------------------------------ */
/* Particular memory                                                         */

static scenario_t named(const char *name, size_t number, unsigned threads,
			size_t trees, uint8_t init)
{
	scenario_t s = { .frames = trees * LLFREE_TREE_SIZE,
			 .init = init,
			 .threads = threads };

	snprintf(s.name, sizeof(s.name), "%s/%zu", name, number);
	return s;
}

/* One huge frame, allocated as one, freed in parts by all threads at once. */
static bool split(scenario_t *s, size_t i, bool quick)
{
	static const unsigned orders[][3] = { { 0, 0, 0 }, { 0, 6, 7 },
					      { 8, 7, 7 }, { 6, 6, 8 },
					      { 0, 3, 8 }, { 7, 0, 8 } };
	unsigned threads = quick ? 2 : 3;
	size_t frame = 0;

	*s = named("split", i, threads, 1, LLFREE_INIT_ALLOC);
	for (unsigned t = 0; i < 6 && t < threads; t++) {
		frame = t * (LLFREE_HUGE_SIZE / 4) + (t == 2 ? 128 : 0);
		if (orders[i][0] == 8)
			frame = t == 0 ? 0 : 128 + 128 * t;
		frame &= ~(((size_t)1 << orders[i][t]) - 1);
		if (t > 0 && orders[i][t] == 8)
			frame = 256;
		s->ops[t][0] =
			put(frame, orders[i][t], t == 1 ? NO_SLOT : (int)t);
	}
	if (quick)
		s->ops[0][1] = get(orders[i % 6][0], 0);
	return i < 6;
}

/* Part of a huge frame is freed beside someone who gets from what is free. */
static bool split_get(scenario_t *s, size_t i, bool quick)
{
	static const unsigned orders[] = { 0, 3, 6, 7, 8 };

	(void)quick;
	*s = named("split-get", i, 2, 1, LLFREE_INIT_ALLOC);
	s->ops[0][0] = put(0, orders[i % 5], 0);
	s->ops[0][1] = get(orders[i / 5 % 5], 0);
	s->ops[1][0] = put(LLFREE_HUGE_SIZE / 2, orders[i / 5 % 5], 1);
	s->ops[1][1] = get(orders[i % 5], 1);
	return i < 25;
}

/* Ranges that cross rows, huge frames and trees. */
static bool ranges(scenario_t *s, size_t i, bool quick)
{
	static const size_t sizes[] = { 5, 65, 130, 400, 512, 700, 1536 };
	size_t a = sizes[i % 7], b = sizes[i / 7 % 7];

	(void)quick;
	if (LLFREE_TREE_CHILDREN < 4) {
		a = a > 512 ? 512 : a;
		b = b > 512 ? 512 : b;
	}
	*s = named("ranges", i, 2, 2, LLFREE_INIT_FREE);
	s->before[0] = range(OP_RANGE_AT, 0, s->frames, NO_SLOT);
	s->before[1] =
		range(OP_RANGE_PUT, LLFREE_TREE_SIZE - 512, 1600, NO_SLOT);
	if (LLFREE_TREE_CHILDREN < 4)
		s->before[1] = range(OP_RANGE_PUT, 0, 1024, NO_SLOT);
	s->ops[0][0] = range(OP_RANGE, 0, a, 0);
	s->ops[1][0] = range(OP_RANGE, 0, b, i % 2 ? 1 : NO_SLOT);
	return i < 49;
}

/* A tree-crossing range freed while its parts are allocated again. */
static bool range_put(scenario_t *s, size_t i, bool quick)
{
	static const unsigned orders[] = { 0, 6, 8, 9 };

	(void)quick;
	*s = named("range-put", i, 2, 2, LLFREE_INIT_ALLOC);
	s->ops[0][0] = range(OP_RANGE_PUT, LLFREE_TREE_SIZE - 70, 70 + 512, 0);
	s->ops[1][0] = get(orders[i % 4], 1);
	s->ops[1][1] = put_own(0, orders[i % 4], 1);
	return i < 4;
}

/* Two trees of another class, one frame each way: steal and demote. */
static bool steal(scenario_t *s, size_t i, bool quick)
{
	(void)quick;
	*s = named("steal", i, 2, 2, LLFREE_INIT_ALLOC);
	s->before[0] = put(0, LLFREE_HUGE_ORDER, NO_SLOT);
	s->before[1] = put(LLFREE_TREE_SIZE, LLFREE_HUGE_ORDER, NO_SLOT);
	s->before[2] = get(i & 1 ? 0 : LLFREE_HUGE_ORDER, i & 2 ? 2 : NO_SLOT);
	s->ops[0][0] = get(i & 4 ? 0 : LLFREE_HUGE_ORDER, 0);
	s->ops[1][0] = get(i & 8 ? 0 : LLFREE_HUGE_ORDER, 1);
	if (i & 16)
		s->ops[1][1] = put_own(0, s->ops[1][0].order, 1);
	return i < 32;
}

/* The same frame is put twice at once: wrong, but nothing may come of it. */
static bool double_put(scenario_t *s, size_t i, bool quick)
{
	static const unsigned orders[] = { 0, 6, 7, 9 };
	unsigned a = orders[i % 4], b = orders[i / 4 % 4];

	(void)quick;
	*s = named("double-put", i, 2, 1, LLFREE_INIT_ALLOC);
	s->wrong = true;
	if (i >= 16)
		s->before[0] = put(0, 0, NO_SLOT);
	if (i >= 16)
		s->before[1] = get_at(0, 0, NO_SLOT);
	s->ops[0][0] = put(0, a, 0);
	s->ops[0][1] = get(LLFREE_HUGE_ORDER, 0);
	s->ops[0][2] = get(0, 0);
	s->ops[1][0] = put(0, b, 1);
	s->ops[1][1] = get(0, 1);
	return i < 32;
}

/* The same where the tree has more that is free, as in reuse. */
static bool double_put_reuse(scenario_t *s, size_t i, bool quick)
{
	static const unsigned orders[] = { 0, 7, 9 };

	(void)quick;
	*s = named("double-put-reuse", i, 2, 1, LLFREE_INIT_FREE);
	s->wrong = true;
	s->before[0] = get_at(0, LLFREE_HUGE_ORDER, NO_SLOT);
	s->ops[0][0] = put(0, LLFREE_HUGE_ORDER, 0);
	s->ops[0][1] = get_at(0, orders[i / 3 % 3], 0);
	s->ops[1][0] = put(0, orders[i % 3], 1);
	s->ops[1][1] = get(0, 1);
	return i < 9;
}

/*
 * A get over several rows is stopped by the last of them, while a wrong put
 * frees the first, which it holds for a moment.
 */
static bool undo_put(scenario_t *s, size_t i, bool quick)
{
	static const unsigned orders[] = { 0, 3, 6 };
	static const unsigned blocks[] = { 7, 8 };
	size_t order = blocks[i / 3 % 2];

	(void)quick;
	*s = named("undo-put", i, 2, 1, LLFREE_INIT_FREE);
	s->wrong = true;
	s->before[0] = get_at(((size_t)1 << order) - 64, 6, NO_SLOT);
	s->ops[0][0] = get_at(0, (unsigned)order, 0);
	s->ops[1][0] = put(0, orders[i % 3], 1);
	return i < 6;
}

/* A frame that is free is put, while its huge frame comes and goes as a whole
 * and it is allocated again: the late count must not be for the new owner. */
static bool late_put(scenario_t *s, size_t i, bool quick)
{
	static const unsigned orders[] = { 0, 6, 7 };

	(void)quick;
	*s = named("late-put", i, 2, 1, LLFREE_INIT_FREE);
	s->wrong = true;
	s->ops[0][0] = get_at(0, LLFREE_HUGE_ORDER, 0);
	s->ops[0][1] = put_own(0, LLFREE_HUGE_ORDER, 0);
	s->ops[0][2] = get_at(0, orders[i / 3 % 3], 0);
	s->ops[1][0] = put(0, orders[i % 3], 1);
	if (i >= 9)
		s->ops[1][0] =
			bulk_put(0, 2, i % 3 ? 0 : LLFREE_ATOMIC_ORDER, 1);
	return i < 15;
}

/* Three threads at the last frames of one tree. */
static bool three(scenario_t *s, size_t i, bool quick)
{
	static const unsigned orders[][3] = { { 0, 0, 0 },  { 0, 3, 6 },
					      { 7, 7, 8 },  { 9, 9, 0 },
					      { 9, 10, 0 }, { 6, 7, 9 } };

	(void)quick;
	*s = named("three", i, 3, 1, LLFREE_INIT_ALLOC);
	s->before[0] = put(0, LLFREE_HUGE_ORDER, NO_SLOT);
	for (unsigned t = 0; i < 6 && t < 3; t++) {
		unsigned order = orders[i][t];

		if (order > LLFREE_MAX_ORDER)
			order = LLFREE_MAX_ORDER;
		s->ops[t][0] = get(order, t == 2 ? NO_SLOT : (int)t);
		s->ops[t][1] = put_own(0, order, t == 2 ? NO_SLOT : (int)t);
	}
	return i < 6;
}

/* ------------------------------------------------------------------------ */
/* Bulk calls                                                                */

/* How far three frames are apart (log2): in a row, in a huge frame, in a tree,
 * or two of them in two trees. */
static const unsigned aparts[] = { 0, LLFREE_ATOMIC_ORDER, LLFREE_HUGE_ORDER,
				   LLFREE_TREE_ORDER };

static size_t apart_frames(unsigned apart)
{
	return apart < LLFREE_TREE_ORDER ? MODEL_BULK : 2;
}

/* The slots of two threads: in the short run of a family, the first pair. */
static const int *bulk_slots(size_t i, bool quick)
{
	static const int slots[][2] = { { 0, 1 }, { 0, 0 }, { NO_SLOT, 0 } };

	return slots[quick ? 0 : i % 3];
}

#define BULK_PAIRS 44u /* each distance beside each kind of call */

/* A bulk get at the last frames, beside a call of each kind. */
static bool bulk_get(scenario_t *s, size_t i, bool quick)
{
	unsigned apart = aparts[i % 4];
	const int *slots = bulk_slots(i / BULK_PAIRS, quick);
	const op_t beside[] = { bulk(2, slots[1]),
				get(0, slots[1]),
				get_at((size_t)1 << apart, 0, slots[1]),
				put(40, 0, slots[1]),
				bulk_put(40, 2, apart, slots[1]),
				get(LLFREE_HUGE_ORDER, slots[1]),
				range(OP_RANGE, 0, 2, slots[1]),
				range(OP_RANGE_AT, 0, 1, slots[1]),
				range(OP_RANGE_PUT, 20, 70, slots[1]),
				change(0, LLFREE_TREE_OP_OFFLINE),
				drain() };

	*s = named("bulk-get", i, 2, 2, LLFREE_INIT_ALLOC);
	for (size_t f = 0; f < apart_frames(apart); f++)
		s->before[f] = put(f << apart, 0, NO_SLOT);
	s->ops[0][0] = bulk(2 + i % 2, slots[0]);
	s->ops[1][0] = beside[i / 4 % 11];
	if (apart == LLFREE_ATOMIC_ORDER && s->ops[1][0].kind == OP_RANGE_PUT)
		s->ops[1][0].frame = 200; /* all allocated */
	if (s->ops[1][0].kind == OP_CHANGE)
		s->ops[1][1] = change(0, LLFREE_TREE_OP_ONLINE);
	return i < (quick ? BULK_PAIRS : 3 * BULK_PAIRS);
}

/* What is freed in bulk, beside those who free and get there. */
static bool bulk_give(scenario_t *s, size_t i, bool quick)
{
	unsigned apart = aparts[i % 4];
	const int *slots = bulk_slots(i / BULK_PAIRS, quick);
	const op_t beside[] = { bulk_put(8, apart_frames(apart), apart,
					 slots[1]),
				put(8, 0, slots[1]),
				bulk(2, slots[1]),
				get(0, slots[1]),
				get_at((size_t)1 << apart, 0, slots[1]),
				put(8, 3, slots[1]),
				range(OP_RANGE, 0, 2, slots[1]),
				range(OP_RANGE_AT, 0, 1, slots[1]),
				range(OP_RANGE_PUT, 200, 70, slots[1]),
				change(0, LLFREE_TREE_OP_OFFLINE),
				drain() };

	*s = named("bulk-put", i, 2, 2, LLFREE_INIT_ALLOC);
	s->ops[0][0] = bulk_put(0, apart_frames(apart), apart, slots[0]);
	s->ops[1][0] = beside[i / 4 % 11];
	if (s->ops[1][0].kind == OP_CHANGE)
		s->ops[1][1] = change(0, LLFREE_TREE_OP_ONLINE);
	return i < (quick ? BULK_PAIRS : 3 * BULK_PAIRS);
}

/* Both get and put in bulk, with not quite enough for both. */
static bool bulk_cycles(scenario_t *s, size_t i, bool quick)
{
	unsigned apart = aparts[i % 4];
	const int *slots = bulk_slots(i / 4, false);

	(void)quick;
	*s = named("bulk-cycles", i, 2, 2, LLFREE_INIT_ALLOC);
	for (size_t f = 0; f < apart_frames(apart); f++)
		s->before[f] = put(f << apart, 0, NO_SLOT);
	s->ops[0][0] = bulk(2, slots[0]);
	s->ops[0][1] = bulk_put_own(0, slots[0]);
	s->ops[1][0] = bulk(2, slots[1]);
	s->ops[1][1] = bulk_put_own(0, slots[1]);
	return i < 12;
}

/*
 * What a bulk call has claimed moves past its search: a frame behind it is
 * freed and one before it taken, in the same huge frame or in another, when
 * of its claim it has found nothing or something. (The first frame of all
 * finds the tree.)
 */
static bool bulk_passed(scenario_t *s, size_t i, bool quick)
{
	size_t ahead = i & 1 && LLFREE_TREE_CHILDREN > 1
			       ? LLFREE_HUGE_SIZE
			       : LLFREE_HUGE_SIZE - LLFREE_ATOMIC_SIZE;
	int slot = i & 4 ? NO_SLOT : 0;

	(void)quick;
	*s = named("bulk-passed", i, 2, 1, LLFREE_INIT_ALLOC);
	s->before[0] = put(ahead, 0, NO_SLOT);
	s->before[1] = put(LLFREE_ATOMIC_SIZE, 0, NO_SLOT);
	if (i & 2)
		s->before[2] = put(LLFREE_ATOMIC_SIZE + 1, 0, NO_SLOT);
	s->ops[0][0] = bulk(i & 2 ? 3 : 2, slot);
	s->ops[1][0] = put(LLFREE_ATOMIC_SIZE + 2, 0, 1);
	s->ops[1][1] = get_at(ahead, 0, 1);
	return i < 8;
}

/* The last two frames of a huge frame are freed in bulk, beside someone who
 * allocates them, or all of it, again where they were. */
static bool bulk_reuse(scenario_t *s, size_t i, bool quick)
{
	static const unsigned orders[] = { 0, 3, 7, LLFREE_HUGE_ORDER };
	unsigned apart = i & 1 ? LLFREE_ATOMIC_ORDER : 0;
	const int *slots = bulk_slots(i / 8, quick);

	*s = named("bulk-reuse", i, 2, 1, LLFREE_INIT_FREE);
	s->before[0] = get_at(0, 0, NO_SLOT);
	s->before[1] = get_at((size_t)1 << apart, 0, NO_SLOT);
	s->ops[0][0] = bulk_put(0, 2, apart, slots[0]);
	s->ops[1][0] = get_at(0, orders[i / 2 % 4], slots[1]);
	return i < (quick ? 8 : 24);
}

/* A frame is put by two, in bulk and otherwise: wrong, but harmless. */
static bool bulk_double(scenario_t *s, size_t i, bool quick)
{
	static const unsigned orders[] = { 0, 3, 6, LLFREE_HUGE_ORDER };

	(void)quick;
	*s = named("bulk-double", i, 2, 1, LLFREE_INIT_ALLOC);
	s->wrong = true;
	s->ops[0][0] = bulk_put(0, 2, i & 1 ? LLFREE_ATOMIC_ORDER : 0, 0);
	s->ops[0][1] = bulk(2, 0);
	s->ops[1][0] = i < 8 ? put(0, orders[i / 2 % 4], 1)
			     : bulk_put(i & 2 ? 0 : 1, 2, 0, 1);
	s->ops[1][1] = get(0, 1);
	return i < 12;
}

const family_t families[] = {
	{ "get-get", true, 1, UINT_MAX, get_get },
	{ "get-get-tight", true, 2, UINT_MAX, get_get_tight },
	{ "cycles", false, 2, UINT_MAX, cycles },
	{ "put-put", true, 2, UINT_MAX, put_put },
	{ "put-get", true, 2, UINT_MAX, put_get },
	{ "at-get", true, 1, UINT_MAX, at_get },
	{ "at-at", true, 2, UINT_MAX, at_at },
	{ "reuse", true, 2, UINT_MAX, reuse },
	{ "drain", true, 1, UINT_MAX, drain_all },
	{ "offline", true, 2, UINT_MAX, offline },
	{ "fallback", false, 1, 3, fallback },
	{ "split", true, 2, UINT_MAX, split },
	{ "split-get", false, 2, 4, split_get },
	{ "ranges", false, 1, 3, ranges },
	{ "range-put", true, 1, 3, range_put },
	{ "steal", true, 1, UINT_MAX, steal },
	{ "double-put", false, 3, UINT_MAX, double_put },
	{ "double-put-reuse", false, 2, 4, double_put_reuse },
	{ "late-put", false, 3, UINT_MAX, late_put },
	{ "undo-put", false, 3, UINT_MAX, undo_put },
	{ "three", false, 1, 3, three },
	{ "bulk-get", true, 1, 2, bulk_get },
	{ "bulk-put", true, 1, 2, bulk_give },
	{ "bulk-passed", true, 2, 3, bulk_passed },
	{ "bulk-reuse", true, 2, UINT_MAX, bulk_reuse },
	{ "bulk-cycles", false, 1, 2, bulk_cycles },
	{ "bulk-double", false, 1, 3, bulk_double },
};
const size_t family_count = sizeof(families) / sizeof(families[0]);
