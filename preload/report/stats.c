/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/report/stats.h"

#include "preload/sys/atomic.h"
#include "preload/sys/sys.h"

#define SLOTS 64u
#define LINE 64

/* The counters of one processor, or of several on very large machines. */
struct slot {
	uint64_t counts[STAT_COUNT];
} __attribute__((aligned(2 * LINE)));

bool stats_on;
static struct slot slots[SLOTS];
static uint64_t used; /* a bit for each slot that is not all zero */

static void slot_clear(struct slot *slot)
{
	for (unsigned i = 0; i < STAT_COUNT; i++)
		atom_store(&slot->counts[i], 0);
}

void stats_forked(void)
{
	uint64_t mask = atom_exchange(&used, 0);

	for (; mask; mask &= mask - 1)
		slot_clear(&slots[__builtin_ctzll(mask)]);
}

void stats_start(void)
{
	stats_on = true;
}

void stats_add(unsigned stat, uint64_t n)
{
	unsigned at = sys_cpu() % SLOTS;

	if (!(atom_load(&used) >> at & 1))
		atom_or(&used, 1ull << at);
	atom_add(&slots[at].counts[stat], n);
}

unsigned stats_size(size_t pages)
{
	unsigned size = pages > 1 ? 64 - (unsigned)__builtin_clzll(pages - 1)
				  : 0;

	return size < STATS_SIZES ? size : STATS_SIZES - 1;
}

void stats_served(enum counter calls, size_t len)
{
	if (!stats_on)
		return;
	stats_add(calls, 1);
	stats_add(calls + 1u, len);
}

void stats_mapped(size_t len, size_t page)
{
	if (!stats_on)
		return;
	stats_served(STAT_MMAP_SERVED, len);
	stats_add(STAT_SIZE + stats_size(len / page), 1);
}

void stats_passed(enum counter calls, enum reason why, size_t len)
{
	if (!stats_on)
		return;
	stats_add(calls, 1);
	stats_add(calls + 1u, len);
	stats_add(STAT_PASSED + why, 1);
	stats_add(STAT_PASSED_BYTES + why, len);
}

bool stats_any(void)
{
	return atom_load(&used) != 0;
}

uint64_t stats_sum(unsigned stat)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < SLOTS; i++)
		sum += atom_load(&slots[i].counts[stat]);
	return sum;
}
