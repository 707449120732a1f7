/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena/usage.h"

#define LINE 64
#define GAUGES 64u
/* Changes of this many frames go to the sums at once. */
#define STEP 16

/* What may be dirty in any case: this part of the highest, but within limits. */
#define LITTLE_PART 32
#define LITTLE_MIN (((int64_t)512 << 10) / 4096)
#define LITTLE_MAX (((int64_t)4 << 20) / 4096)

/* The upper half of the word is the change of `live`. The cache lines are the
 * processor's own. */
struct gauge {
	int64_t change;
} __attribute__((aligned(2 * LINE)));

static struct gauge gauges[GAUGES];
static struct {
	int64_t live, peak, dirty;
} sums __attribute__((aligned(2 * LINE)));

/* Since the last usage_new_period, and between the two last. Threads that change
 * these at once may lose a change: they are estimates. */
struct course {
	int64_t high; /* of live */
	int64_t low; /* since it was so high */
	int64_t swing;
};
static struct course now, before;

static inline int64_t load(const int64_t *number)
{
	return __atomic_load_n(number, __ATOMIC_RELAXED);
}

static inline void store(int64_t *number, int64_t value)
{
	__atomic_store_n(number, value, __ATOMIC_RELAXED);
}

static inline int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static inline int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void raise_peak(int64_t live)
{
	int64_t peak = load(&sums.peak);

	while (live > peak &&
	       !__atomic_compare_exchange_n(&sums.peak, &peak, live, true,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static void follow(int64_t live)
{
	int64_t high = load(&now.high), low = load(&now.low);

	if (smaller(live, high) - low > load(&now.swing))
		store(&now.swing, smaller(live, high) - low);
	if (live > high)
		store(&now.high, live);
	if (live > high || live < low)
		store(&now.low, live);
}

static void sums_add(int64_t live, int64_t dirty)
{
	if (dirty)
		__atomic_fetch_add(&sums.dirty, dirty, __ATOMIC_RELAXED);
	if (!live)
		return;
	live = __atomic_add_fetch(&sums.live, live, __ATOMIC_RELAXED);
	raise_peak(live);
	follow(live);
}

#define LIVE_UNIT ((int64_t)1 << 32)

static inline int64_t dirty_of(int64_t word)
{
	return (int32_t)word;
}

static inline int64_t live_of(int64_t word)
{
	return (word - dirty_of(word)) / LIVE_UNIT;
}

static inline bool is_large(int64_t change)
{
	return change >= STEP || change <= -STEP;
}

static void flush(struct gauge *gauge)
{
	int64_t word = __atomic_exchange_n(&gauge->change, 0, __ATOMIC_RELAXED);

	sums_add(live_of(word), dirty_of(word));
}

void usage_add(unsigned cpu, int64_t live, int64_t dirty)
{
	struct gauge *gauge = &gauges[cpu % GAUGES];
	int64_t word;

	if (is_large(live) || is_large(dirty)) {
		sums_add(live, dirty);
		return;
	}
	word = __atomic_add_fetch(&gauge->change, live * LIVE_UNIT + dirty,
				  __ATOMIC_RELAXED);
	if (is_large(live_of(word)) || is_large(dirty_of(word)))
		flush(gauge);
}

/* How many frames may be dirty when so many are live. */
static int64_t bound(int64_t live)
{
	int64_t high = larger(load(&now.high), load(&before.high));
	int64_t swing = larger(load(&now.swing), load(&before.swing));
	int64_t little =
		smaller(larger(high / LITTLE_PART, LITTLE_MIN), LITTLE_MAX);

	return little + larger(smaller(swing, high - live), 0);
}

/* Beside others that are given back instead; as long as that succeeds. */
bool usage_retains(size_t count)
{
	int64_t most = bound(load(&sums.live) - (int64_t)count);

	return (int64_t)count <= most && load(&sums.dirty) <= 2 * most;
}

size_t usage_excess(void)
{
	int64_t excess = load(&sums.dirty) - bound(load(&sums.live));

	return excess > 0 ? (size_t)excess : 0;
}

bool usage_any_dirty(void)
{
	int64_t dirty = load(&sums.dirty);

	for (size_t i = 0; i < GAUGES; i++)
		dirty += dirty_of(load(&gauges[i].change));
	return dirty > 0;
}

void usage_new_period(void)
{
	int64_t live = load(&sums.live);

	store(&before.high, load(&now.high));
	store(&before.swing, load(&now.swing));
	store(&now.swing, 0);
	store(&now.high, live);
	store(&now.low, live);
}

size_t usage_peak(size_t live_now)
{
	for (size_t i = 0; i < GAUGES; i++)
		flush(&gauges[i]);
	raise_peak((int64_t)live_now);
	return (size_t)load(&sums.peak);
}

void usage_reset(size_t live, size_t dirty)
{
	for (size_t i = 0; i < GAUGES; i++)
		if (gauges[i].change)
			gauges[i].change = 0;
	sums.live = sums.peak = (int64_t)live;
	sums.dirty = (int64_t)dirty;
	now = before = (struct course){ (int64_t)live, (int64_t)live, 0 };
}
