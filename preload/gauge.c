/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/gauge.h"

#define LINE 64
#define GAUGES 64u
/* Changes of this many frames go to the sums at once. */
#define STEP 16

/* Dirty memory that may lie ready for reuse: this many frames, or this part of
 * what is live. What is freed beyond goes back to the kernel at once. */
#define DIRTY_MIN ((8 << 20) / 4096)
#define DIRTY_PART 8

/* The upper half of the word is the change of `live`. The cache lines are the
 * processor's own. */
struct gauge {
	int64_t change;
} __attribute__((aligned(2 * LINE)));

static struct gauge gauges[GAUGES];
static struct {
	int64_t live, peak, dirty;
} sums __attribute__((aligned(2 * LINE)));

static void raise_peak(int64_t live)
{
	int64_t peak = __atomic_load_n(&sums.peak, __ATOMIC_RELAXED);

	while (live > peak &&
	       !__atomic_compare_exchange_n(&sums.peak, &peak, live, true,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static void sums_add(int64_t live, int64_t dirty)
{
	if (dirty)
		__atomic_fetch_add(&sums.dirty, dirty, __ATOMIC_RELAXED);
	if (live)
		raise_peak(__atomic_add_fetch(&sums.live, live,
					      __ATOMIC_RELAXED));
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

void gauge_add(unsigned cpu, int64_t live, int64_t dirty)
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

bool gauge_is_enough(size_t more)
{
	int64_t live = __atomic_load_n(&sums.live, __ATOMIC_RELAXED);
	int64_t dirty = __atomic_load_n(&sums.dirty, __ATOMIC_RELAXED);
	int64_t bound = live / DIRTY_PART;

	if (bound < DIRTY_MIN)
		bound = DIRTY_MIN;
	return dirty + (int64_t)more > bound;
}

size_t gauge_peak(size_t live_now)
{
	for (size_t i = 0; i < GAUGES; i++)
		flush(&gauges[i]);
	raise_peak((int64_t)live_now);
	return (size_t)__atomic_load_n(&sums.peak, __ATOMIC_RELAXED);
}

void gauge_reset(size_t live, size_t dirty)
{
	for (size_t i = 0; i < GAUGES; i++)
		if (gauges[i].change)
			gauges[i].change = 0;
	sums.live = sums.peak = (int64_t)live;
	sums.dirty = (int64_t)dirty;
}
