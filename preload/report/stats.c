/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/report/stats.h"

#include "preload/sys/sys.h"

#define SLOTS 64u
#define LINE 64

/* The counters of one processor, or of several on very large machines. */
struct slot {
	uint64_t counts[STAT_COUNT];
} __attribute__((aligned(2 * LINE)));

/*
 * Whose process this is, on a page that the kernel clears in a child of fork.
 * Where it cannot, the child's process id tells.
 */
struct life {
	uint32_t state;
	int32_t pid;
	bool child;
	bool reported;
};
enum { LIFE_NEW, LIFE_BUSY, LIFE_KNOWN };

bool stats_on;
static struct slot slots[SLOTS];
static uint64_t used; /* a bit for each slot that is not all zero */
static struct life life_in_place;
static struct life *life = &life_in_place;
static void (*inherit_hook)(void);

static void slot_clear(struct slot *slot)
{
	for (unsigned i = 0; i < STAT_COUNT; i++)
		__atomic_store_n(&slot->counts[i], 0, __ATOMIC_RELAXED);
}

static void clear_all(void)
{
	uint64_t mask = __atomic_exchange_n(&used, 0, __ATOMIC_RELAXED);

	for (; mask; mask &= mask - 1)
		slot_clear(&slots[__builtin_ctzll(mask)]);
}

void stats_start(void)
{
	struct life *wiped = sys_wiped_page();

	if (wiped)
		life = wiped;
	life->pid = sys_getpid();
	__atomic_store_n(&life->state, LIFE_KNOWN, __ATOMIC_RELEASE);
	stats_on = true;
}

void stats_on_fork(void (*inherit)(void))
{
	inherit_hook = inherit;
}

/* A signal handler must not count into what is being cleared. */
static void become_child(void)
{
	uint64_t all = UINT64_MAX, before;
	uint32_t fresh = LIFE_NEW;

	sys_rt_sigprocmask(SIG_SETMASK, &all, &before);
	if (__atomic_compare_exchange_n(&life->state, &fresh, LIFE_BUSY, false,
					__ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
		life->pid = sys_getpid();
		life->child = true;
		life->reported = false;
		clear_all();
		__atomic_store_n(&life->state, LIFE_KNOWN, __ATOMIC_RELEASE);
		if (inherit_hook)
			inherit_hook();
	}
	sys_rt_sigprocmask(SIG_SETMASK, &before, NULL);
}

void stats_notice_fork(void)
{
	if (__atomic_load_n(&life->state, __ATOMIC_ACQUIRE) == LIFE_NEW)
		become_child();
}

enum stats_owner stats_owner(void)
{
	stats_notice_fork();
	if (life->pid != sys_getpid())
		return STATS_PARENT;
	return life->child ? STATS_CHILD : STATS_OURS;
}

void stats_forked(void)
{
	if (!stats_on)
		return;
	if (life == &life_in_place)
		life->state = LIFE_NEW;
	stats_owner();
}

void stats_add(unsigned stat, uint64_t n)
{
	unsigned at = sys_cpu() % SLOTS;

	stats_notice_fork();
	if (!(__atomic_load_n(&used, __ATOMIC_RELAXED) >> at & 1))
		__atomic_fetch_or(&used, 1ull << at, __ATOMIC_RELAXED);
	__atomic_fetch_add(&slots[at].counts[stat], n, __ATOMIC_RELAXED);
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
	return __atomic_load_n(&used, __ATOMIC_RELAXED) != 0;
}

uint64_t stats_sum(unsigned stat)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < SLOTS; i++)
		sum += __atomic_load_n(&slots[i].counts[stat],
				       __ATOMIC_RELAXED);
	return sum;
}

bool stats_claim_report(void)
{
	return !__atomic_exchange_n(&life->reported, true, __ATOMIC_ACQ_REL);
}

void stats_unclaim_report(void)
{
	__atomic_store_n(&life->reported, false, __ATOMIC_RELEASE);
}
