/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena/usage.h"

#include "preload/sys/atomic.h"

#define LINE 64
#define COLLECTORS 64u
/* Changes of this many frames go to the sums at once. */
#define STEP 16

/* What may be dirty in any case: this part of the high, but within limits. */
#define LITTLE_PART 32
#define LITTLE_MIN (((int64_t)512 << 10) / 4096)
#define LITTLE_MAX (((int64_t)4 << 20) / 4096)

/* What a processor has collected, in cache lines of its own: the change of
 * `live` in the upper half of the word, that of `dirty` in the lower. */
struct collector {
	int64_t change;
} __attribute__((aligned(2 * LINE)));

static struct collector collectors[COLLECTORS];
static struct {
	int64_t live, peak, dirty;
} sums __attribute__((aligned(2 * LINE)));

static struct {
	size_t most; /* 0: no limit */
	int64_t reserved; /* below 0 where a fork came amidst of a call */
} limit;

/* Since the last usage_new_period, and between the two last. Threads that
 * change these at once may lose a change: they are estimates. */
struct period {
	int64_t high; /* of live */
	int64_t low; /* since it was so high */
	int64_t rebound;
};
static struct period now, before;

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
	int64_t was, next;

	atom_update(&sums.peak, was, next, was < live && (next = live, true));
}

static void follow(int64_t live)
{
	int64_t high = atom_load(&now.high), low = atom_load(&now.low);

	if (smaller(live, high) - low > atom_load(&now.rebound))
		atom_store(&now.rebound, smaller(live, high) - low);
	if (live > high)
		atom_store(&now.high, live);
	if (live > high || live < low)
		atom_store(&now.low, live);
}

static void sums_add(int64_t live, int64_t dirty)
{
	if (dirty)
		atom_add(&sums.dirty, dirty);
	if (!live)
		return;
	live += atom_add(&sums.live, live);
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

static void flush(struct collector *collector)
{
	int64_t word = atom_exchange(&collector->change, 0);

	sums_add(live_of(word), dirty_of(word));
}

void usage_add(unsigned cpu, int64_t live, int64_t dirty)
{
	struct collector *collector = &collectors[cpu % COLLECTORS];
	int64_t word;

	if (is_large(live) || is_large(dirty)) {
		sums_add(live, dirty);
		return;
	}
	word = live * LIVE_UNIT + dirty;
	word += atom_add(&collector->change, word);
	if (is_large(live_of(word)) || is_large(dirty_of(word)))
		flush(collector);
}

/* How many frames may be dirty when so many are live. */
static int64_t retain_limit(int64_t live)
{
	int64_t high = larger(atom_load(&now.high), atom_load(&before.high));
	int64_t rebound =
		larger(atom_load(&now.rebound), atom_load(&before.rebound));
	int64_t little =
		smaller(larger(high / LITTLE_PART, LITTLE_MIN), LITTLE_MAX);

	return little + larger(smaller(rebound, high - live), 0);
}

/* Other frames are given back instead, as long as that succeeds. */
bool usage_retains(size_t count)
{
	int64_t most = retain_limit(atom_load(&sums.live) - (int64_t)count);

	return (int64_t)count <= most && atom_load(&sums.dirty) <= 2 * most;
}

size_t usage_excess(void)
{
	int64_t excess =
		atom_load(&sums.dirty) - retain_limit(atom_load(&sums.live));

	return excess > 0 ? (size_t)excess : 0;
}

bool usage_any_dirty(void)
{
	int64_t dirty = atom_load(&sums.dirty);

	for (size_t i = 0; i < COLLECTORS; i++)
		dirty += dirty_of(atom_load(&collectors[i].change));
	return dirty > 0;
}

void usage_new_period(void)
{
	int64_t live = atom_load(&sums.live);

	atom_store(&before.high, atom_load(&now.high));
	atom_store(&before.rebound, atom_load(&now.rebound));
	atom_store(&now.rebound, 0);
	atom_store(&now.high, live);
	atom_store(&now.low, live);
}

size_t usage_peak(size_t live_now)
{
	for (size_t i = 0; i < COLLECTORS; i++)
		flush(&collectors[i]);
	raise_peak((int64_t)live_now);
	return (size_t)atom_load(&sums.peak);
}

void usage_limit(size_t most)
{
	limit.most = most;
}

bool usage_reserve(size_t count, size_t replaced)
{
	int64_t most = (int64_t)limit.most, was, next;

	return !most ||
	       atom_update(&limit.reserved, was, next,
			   was + (int64_t)(count - replaced) <= most &&
				   (next = was + (int64_t)count, true));
}

void usage_force(size_t count)
{
	if (limit.most)
		atom_add(&limit.reserved, (int64_t)count);
}

void usage_release(size_t count)
{
	if (limit.most)
		atom_add(&limit.reserved, -(int64_t)count);
}

void usage_recount(size_t live, size_t dirty)
{
	for (size_t i = 0; i < COLLECTORS; i++)
		if (atom_load(&collectors[i].change))
			atom_store(&collectors[i].change, 0);
	atom_store(&sums.live, (int64_t)live);
	atom_store(&sums.peak, (int64_t)live);
	atom_store(&sums.dirty, (int64_t)dirty);
	atom_store(&limit.reserved, (int64_t)live);
}
