/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena.h"

#include "preload/stats.h"

#include <errno.h>
#include <sys/mman.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define MIB ((size_t)1 << 20)
#define FRAME ((size_t)LLFREE_FRAME_SIZE)
#define READ_WRITE (PROT_READ | PROT_WRITE)
#define FRESH (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

/* Zeroing that many frames costs more than asking which are resident. */
#define ZERO_ASK 32u
/* In pieces of this many frames, for the answer's sake. */
#define ASK_FRAMES 1024u
/* More resident and other stretches than this: empty all instead. */
#define ZERO_STRETCHES 8u

/* Dirty memory that may lie ready for reuse: this many frames, or this part of
 * what is live. What is freed beyond goes back to the kernel at once. */
#define DIRTY_MIN ((int64_t)(16 * MIB / FRAME))
#define DIRTY_PART 8

/*
 * A tree's state. A failed attempt to map it may mean that another thread of
 * ours is just doing so: only when it fails again and again it is taken for
 * someone else's.
 */
enum { TREE_OFF = 0, TREE_STRIKES = 16, TREE_FOREIGN = 17, TREE_ONLINE = 18 };

/*
 * What is live and what is dirty and free, in frames. Each processor collects
 * small changes of both in one word, whose upper half is `live`, before the
 * common sum is touched. The cache lines are its own.
 */
#define GAUGES 64u
#define GAUGE_STEP 16
struct gauge {
	int64_t change;
} __attribute__((aligned(2 * LLFREE_CACHE_SIZE)));

static struct {
	enum arena_state state;
	const char *why_off;
	const struct arena_os *os;
	size_t frames;
	size_t trees;
	size_t cores;
	size_t page_frames;
	unsigned page_order;
	bool strict;
	bool reserved; /* the kernel gave the place: it is held meanwhile */
	bool lock_all;
	llfree_t *llfree;
	uint8_t *tree_states;
	struct marks *marks;
	size_t lost;
	size_t inherited;
} arena;

static struct gauge gauges[GAUGES];
static struct {
	int64_t live, live_peak, dirty;
} sums __attribute__((aligned(2 * LLFREE_CACHE_SIZE)));

struct arena_range arena_range;

/* ------------------------------------------------------------------------ */
/* Addresses and frames                                                      */

static inline void *address_of(size_t frame)
{
	return (void *)(arena_range.base + frame * FRAME);
}

static inline size_t frame_of(uintptr_t addr)
{
	return (addr - arena_range.base) / FRAME;
}

static inline struct span span_of(uintptr_t addr, size_t len)
{
	return span(frame_of(addr), len / FRAME);
}

static inline size_t bytes_of(struct span s)
{
	return s.count * FRAME;
}

static inline struct span tree_span(size_t tree)
{
	return span(tree * LLFREE_TREE_SIZE, LLFREE_TREE_SIZE);
}

static inline uint8_t tree_state(size_t tree)
{
	return __atomic_load_n(&arena.tree_states[tree], __ATOMIC_ACQUIRE);
}

static inline bool lock_all(void)
{
	return __atomic_load_n(&arena.lock_all, __ATOMIC_ACQUIRE);
}

static inline bool frame_online(size_t frame)
{
	return tree_state(frame / LLFREE_TREE_SIZE) == TREE_ONLINE;
}

/* ------------------------------------------------------------------------ */
/* Gauges                                                                    */

static void raise_peak(int64_t live)
{
	int64_t peak = __atomic_load_n(&sums.live_peak, __ATOMIC_RELAXED);

	while (live > peak &&
	       !__atomic_compare_exchange_n(&sums.live_peak, &peak, live, true,
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

static inline bool is_step(int64_t change)
{
	return change >= GAUGE_STEP || change <= -GAUGE_STEP;
}

static void gauge_flush(struct gauge *gauge)
{
	int64_t word = __atomic_exchange_n(&gauge->change, 0, __ATOMIC_RELAXED);

	sums_add(live_of(word), dirty_of(word));
}

static void gauge_add(int64_t live, int64_t dirty)
{
	struct gauge *gauge = &gauges[arena.os->cpu() % GAUGES];
	int64_t word;

	if (is_step(live) || is_step(dirty)) {
		sums_add(live, dirty);
		return;
	}
	word = __atomic_add_fetch(&gauge->change, live * LIVE_UNIT + dirty,
				  __ATOMIC_RELAXED);
	if (is_step(live_of(word)) || is_step(dirty_of(word)))
		gauge_flush(gauge);
}

static bool dirty_enough(size_t more)
{
	int64_t live = __atomic_load_n(&sums.live, __ATOMIC_RELAXED);
	int64_t dirty = __atomic_load_n(&sums.dirty, __ATOMIC_RELAXED);
	int64_t bound = live / DIRTY_PART;

	if (bound < DIRTY_MIN)
		bound = DIRTY_MIN;
	return dirty + (int64_t)more > bound;
}

/* ------------------------------------------------------------------------ */
/* The allocator                                                             */

static llfree_request_t request_for(size_t count, unsigned order)
{
	size_t core = arena.os->cpu() % arena.cores;
	unsigned kind = count < LLFREE_HUGE_SIZE ? 0 : LLFREE_HUGE_ORDER;
	llfree_request_t request =
		llfree_simple_request(arena.cores, (uint8_t)kind, core);

	request.order = (uint8_t)order;
	return request;
}

static inline bool is_block(size_t count)
{
	return count <= LLFREE_HUGE_SIZE && !(count & (count - 1));
}

static inline unsigned order_of(size_t count)
{
	return (unsigned)__builtin_ctzll(count);
}

/* Frames anywhere, or at `at`; an empty span when there are none. */
static struct span allocate(frame_id_optional_t at, size_t count)
{
	unsigned order = arena.page_order;
	llfree_result_t got;

	if (count >= LLFREE_HUGE_SIZE && !at.present)
		order = LLFREE_HUGE_ORDER;
	if (at.present || !is_block(count))
		got = llfree_get_range(arena.llfree, at, count,
				       request_for(count, order));
	else
		got = llfree_get(arena.llfree, at,
				 request_for(count, order_of(count)));
	stats_count(llfree_is_ok(got) ? STAT_GET : STAT_GET_FAILED, 1);
	return llfree_is_ok(got) ? span(got.frame.value, count) : span(0, 0);
}

static void lose(size_t count)
{
	__atomic_fetch_add(&arena.lost, count, __ATOMIC_RELAXED);
}

static void deallocate(struct span s)
{
	llfree_result_t put;

	if (!s.count)
		return;
	if (is_block(s.count) && !(s.first & (s.count - 1)))
		put = llfree_put(arena.llfree, frame_id(s.first),
				 request_for(s.count, order_of(s.count)));
	else
		put = llfree_put_range(arena.llfree, frame_id(s.first), s.count,
				       request_for(s.count, 0));
	stats_count(STAT_PUT, 1);
	if (!llfree_is_ok(put))
		lose(s.count);
}

/* ------------------------------------------------------------------------ */
/* Trees                                                                     */

static long tree_map(size_t tree)
{
	void *addr = address_of(tree * LLFREE_TREE_SIZE);
	long at;

	if (arena.reserved)
		return arena.os->mprotect(addr, LLFREE_ALIGN, READ_WRITE);
	at = arena.os->mmap(addr, LLFREE_ALIGN, READ_WRITE,
			    FRESH | MAP_FIXED_NOREPLACE, -1, 0);
	if (at == (long)addr)
		return 0;
	if (at < 0 && at >= -4095)
		return at;
	/* Kernels before 4.17 take the address for a hint. */
	arena.os->munmap((void *)at, LLFREE_ALIGN);
	return -EEXIST;
}

/* One more failure; after the last one the tree is someone else's. */
static void tree_strike(size_t tree, uint8_t state)
{
	__atomic_compare_exchange_n(&arena.tree_states[tree], &state,
				    (uint8_t)(state + 1), false,
				    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* We have mapped it; too late when it has been given up meanwhile. */
static void tree_arrived(size_t tree)
{
	uint8_t state = tree_state(tree);

	while (state < TREE_FOREIGN)
		if (__atomic_compare_exchange_n(&arena.tree_states[tree],
						&state, TREE_ONLINE, false,
						__ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			return;
	if (state == TREE_FOREIGN && !arena.reserved)
		arena.os->munmap(address_of(tree * LLFREE_TREE_SIZE),
				 LLFREE_ALIGN);
}

/* Its state after an attempt to bring it online. */
static uint8_t tree_bring(size_t tree)
{
	uint8_t state = tree_state(tree);
	long failed;

	if (state >= TREE_FOREIGN)
		return state;
	failed = tree_map(tree);
	if (!failed)
		tree_arrived(tree);
	else if (failed == -EEXIST && tree_state(tree) == state)
		tree_strike(tree, state);
	return tree_state(tree);
}

enum bring { BROUGHT, BRING_AGAIN, BRING_REFUSED };

/* Frames of a tree that is not ours stay allocated: never again theirs. */
static void drop_foreign(struct span s, size_t tree)
{
	struct span theirs = tree_span(tree);

	deallocate(span_before(s, theirs.first));
	deallocate(span_from(s, span_end(theirs)));
	lose(span_before(span_from(s, theirs.first), span_end(theirs)).count);
}

/* Makes the trees of `s`, which was just allocated, usable; else `s` is gone,
 * and there may be others that are (BRING_AGAIN). */
static enum bring bring_online(struct span s)
{
	size_t last = (span_end(s) - 1) / LLFREE_TREE_SIZE;

	for (size_t t = s.first / LLFREE_TREE_SIZE; t <= last; t++) {
		uint8_t state = tree_state(t);

		if (state != TREE_ONLINE)
			state = tree_bring(t);
		if (state == TREE_FOREIGN) {
			drop_foreign(s, t);
			return BRING_AGAIN;
		}
		if (state != TREE_ONLINE) {
			deallocate(s);
			return BRING_REFUSED;
		}
	}
	return BROUGHT;
}

/* ------------------------------------------------------------------------ */
/* Pages: fresh, zero, empty                                                 */

/* A fresh mapping of frames that no one else may touch now. */
static long map_fresh(struct span s, int prot)
{
	void *addr = address_of(s.first);
	long at = arena.os->mmap(addr, bytes_of(s), prot, FRESH | MAP_FIXED,
				 -1, 0);

	if (at != (long)addr)
		return at;
	mark_clear(arena.marks, MARK_DIRTY, s);
	mark_clear(arena.marks, MARK_MOVED, s);
	if (prot == READ_WRITE)
		mark_clear(arena.marks, MARK_ALTERED, s);
	else
		mark_set(arena.marks, MARK_ALTERED, s);
	stats_count(STAT_REMAPS, 1);
	return 0;
}

static bool give_to_kernel(struct span s)
{
	if (arena.os->madvise(address_of(s.first), bytes_of(s), MADV_DONTNEED))
		return false;
	stats_count(STAT_FRAMES_RETURNED, s.count);
	return true;
}

static void write_zeros(struct span s)
{
	__builtin_memset(address_of(s.first), 0, bytes_of(s));
	stats_count(STAT_FRAMES_ZEROED, s.count);
}

/* Zeros resident stretches and empties the others, which may be swapped out.
 * False when there are too many of them. */
static bool zero_stretches(struct span s, const unsigned char *resident)
{
	unsigned stretches = 0;

	for (size_t i = 1; i < s.count; i++)
		stretches += (resident[i] ^ resident[i - 1]) & 1;
	if (stretches > ZERO_STRETCHES)
		return false;
	for (size_t i = 0, n; i < s.count; i += n) {
		struct span part;

		for (n = 1; i + n < s.count; n++)
			if ((resident[i + n] ^ resident[i]) & 1)
				break;
		part = span(s.first + i, n);
		if (resident[i] & 1 || !give_to_kernel(part))
			write_zeros(part);
	}
	return true;
}

/* mincore counts pages, we count frames. */
static bool ask_resident(struct span s, unsigned char *resident)
{
	size_t step = arena.page_frames;

	if (arena.os->mincore(address_of(s.first), bytes_of(s), resident))
		return false;
	for (size_t i = s.count; step > 1 && i-- > 0;)
		resident[i] = resident[i / step];
	return true;
}

static void zero_piece(struct span s)
{
	unsigned char resident[ASK_FRAMES];

	if (s.count >= ZERO_ASK && ask_resident(s, resident) &&
	    (zero_stretches(s, resident) || give_to_kernel(s)))
		return;
	write_zeros(s);
}

static void zero(struct span s)
{
	while (s.count) {
		struct span piece = span_before(s, s.first + ASK_FRAMES);

		zero_piece(piece);
		s = span_from(s, span_end(piece));
	}
}

static void populate(struct span s)
{
	char *addr = address_of(s.first);

	if (!arena.os->madvise(addr, bytes_of(s), MADV_POPULATE_WRITE))
		return;
	for (size_t at = 0; at < bytes_of(s); at += FRAME)
		*(volatile char *)(addr + at) = 0;
}

/* ------------------------------------------------------------------------ */
/* Handing out                                                               */

static bool remap_altered(struct span s)
{
	while (s.count) {
		bool have;
		struct span run = mark_run(arena.marks, MARK_BIT(MARK_ALTERED),
					   s, &have);

		if (have && map_fresh(run, READ_WRITE))
			return false;
		s = span_from(s, span_end(run));
	}
	return true;
}

static void fill_dirty(struct span s, enum fill fill)
{
	while (s.count) {
		bool have;
		struct span run = mark_run(arena.marks, MARK_BIT(MARK_DIRTY), s,
					   &have);

		if (have && (fill == FILL_ZERO || !give_to_kernel(run)))
			zero(run);
		s = span_from(s, span_end(run));
	}
}

/* Makes allocated frames the program's, the first `head` of them filled that
 * way and the others with zeros; or they are free again. */
static bool hand_over(struct span s, size_t head, enum fill fill)
{
	size_t dirty = mark_count(arena.marks, MARK_DIRTY, s);

	if (!remap_altered(s)) {
		deallocate(s);
		return false;
	}
	if (dirty) {
		if (fill != FILL_ANY)
			fill_dirty(span_before(s, s.first + head), fill);
		fill_dirty(span_from(s, s.first + head), FILL_ZERO);
	}
	mark_set(arena.marks, MARK_LIVE, s);
	gauge_add((int64_t)s.count, -(int64_t)dirty);
	stats_count(STAT_FRAMES_SERVED, s.count);
	return true;
}

static size_t frames_for(size_t len)
{
	size_t page = arena.page_frames * FRAME;

	return (len + page - 1) / page * arena.page_frames;
}

static enum route serve(size_t len, size_t head, enum fill fill,
			struct span *got)
{
	size_t count = frames_for(len);
	enum bring brought;

	if (lock_all())
		return ROUTE_LOCK_ALL;
	do {
		*got = allocate(frame_id_none(), count);
		if (!got->count)
			return ROUTE_ARENA_FULL;
		brought = bring_online(*got);
	} while (brought == BRING_AGAIN);
	if (brought == BRING_REFUSED || !hand_over(*got, head, fill))
		return ROUTE_KERNEL_REFUSED;
	return ROUTE_SERVE;
}

enum route arena_get(size_t len, bool populated, void **addr)
{
	struct span got;
	enum route route = serve(len, 0, FILL_ZERO, &got);

	if (route != ROUTE_SERVE)
		return route;
	if (populated)
		populate(got);
	*addr = address_of(got.first);
	return ROUTE_SERVE;
}

enum route arena_get_for(size_t len, size_t head, enum fill fill,
			 uintptr_t *addr)
{
	struct span got;
	enum route route = serve(len, head / FRAME, fill, &got);

	if (route == ROUTE_SERVE)
		*addr = (uintptr_t)address_of(got.first);
	return route;
}

bool arena_get_at(uintptr_t addr, size_t len)
{
	struct span want = span_of(addr, len);
	struct span got;

	if (addr - arena_range.base >= arena_range.bytes ||
	    span_end(want) > arena.frames || lock_all())
		return false;
	got = allocate(frame_id_some(frame_id(want.first)), want.count);
	return got.count && bring_online(got) == BROUGHT &&
	       hand_over(got, 0, FILL_ZERO);
}

/* ------------------------------------------------------------------------ */
/* Taking back                                                               */

#define APART (MARK_BIT(MARK_ALTERED) | MARK_BIT(MARK_MOVED))

static bool close_when_freed(void)
{
	return arena.strict || lock_all();
}

/* The contents of frames that were freed: kept for reuse, or given back. */
static void retire_contents(struct span s, enum leave leave)
{
	if (leave == LEAVE_CLEAN ||
	    (dirty_enough(s.count) && give_to_kernel(s))) {
		mark_clear(arena.marks, MARK_DIRTY, s);
		return;
	}
	mark_set(arena.marks, MARK_DIRTY, s);
	gauge_add(0, (int64_t)s.count);
}

/* Undoes what was done to the mappings of freed frames. A refusal counts only
 * where something was altered: what was only moved can stay. */
static long restore_mappings(struct span s, enum leave leave)
{
	long failed = map_fresh(s, READ_WRITE);

	if (!failed)
		stats_count(STAT_FRAMES_RETURNED, s.count);
	else if (mark_count(arena.marks, MARK_ALTERED, s))
		return failed;
	else
		retire_contents(s, leave);
	return 0;
}

/* The first frames of `s`, which the program has freed, become free: those
 * that are alike. -errno when the kernel refuses, and they are as they were. */
static long free_part(struct span *s, enum leave leave)
{
	bool apart;
	struct span run = mark_run(arena.marks, APART, *s, &apart);
	long failed = 0;

	if (close_when_freed())
		failed = map_fresh(run, PROT_NONE);
	else if (apart)
		failed = restore_mappings(run, leave);
	else
		retire_contents(run, leave);
	if (failed)
		return failed;
	gauge_add(-(int64_t)run.count, 0);
	stats_count(STAT_FRAMES_GIVEN_BACK, run.count);
	deallocate(run);
	*s = span_from(*s, span_end(run));
	return 0;
}

static long free_frames(struct span s, enum leave leave, size_t *freed)
{
	struct take take = mark_take(arena.marks, s);
	struct span run;

	while ((run = mark_take_next(&take)).count) {
		*freed += bytes_of(run);
		while (run.count) {
			long failed = free_part(&run, leave);

			if (failed) {
				*freed -= bytes_of(run);
				mark_set(arena.marks, MARK_LIVE, run);
				mark_take_undo(&take);
				return failed;
			}
		}
	}
	return 0;
}

long arena_free(uintptr_t addr, size_t len, enum leave leave)
{
	size_t freed = 0;

	return free_frames(span_of(addr, len), leave, &freed);
}

/* The kernel's part first: it knows best what is wrong with the range. */
long arena_unmap(uintptr_t addr, size_t len, struct arena_tally *tally)
{
	struct arena_part part;
	uintptr_t end = addr + len;
	long failed = 0;

	for (uintptr_t at = addr; at < end && !failed; at += part.len) {
		part = arena_place(at, end);
		if (part.kind != PART_KERNEL)
			continue;
		failed = arena.os->munmap((void *)at, part.len);
		tally->kernel += failed ? 0 : part.len;
	}
	for (uintptr_t at = addr; at < end && !failed; at += part.len) {
		part = arena_place(at, end);
		if (part.kind != PART_KERNEL)
			failed = free_frames(span_of(at, part.len),
					     LEAVE_DIRTY, &tally->ours);
	}
	return failed;
}

/* ------------------------------------------------------------------------ */
/* Parts of a range of addresses                                             */

static bool is_ours(uintptr_t addr)
{
	return addr - arena_range.base < arena_range.bytes &&
	       frame_online(frame_of(addr));
}

/* Where a tree, or the range, begins or ends next. */
static uintptr_t next_border(uintptr_t addr)
{
	uintptr_t base = arena_range.base;

	if (addr < base)
		return base;
	if (addr - base >= arena_range.bytes)
		return UINTPTR_MAX;
	return addr - (addr - base) % LLFREE_ALIGN + LLFREE_ALIGN;
}

struct arena_part arena_place(uintptr_t start, uintptr_t end)
{
	bool ours = is_ours(start);
	uintptr_t at = next_border(start);
	struct arena_part part = { start, 0, PART_KERNEL };

	while (at < end && is_ours(at) == ours)
		at = next_border(at);
	part.len = (at < end ? at : end) - start;
	part.kind = ours ? PART_LIVE : PART_KERNEL;
	return part;
}

struct arena_part arena_part(uintptr_t start, uintptr_t end)
{
	struct arena_part part = arena_place(start, end);
	struct span run;
	bool live;

	if (part.kind == PART_KERNEL)
		return part;
	run = mark_run(arena.marks, MARK_BIT(MARK_LIVE),
		       span_of(start, part.len), &live);
	part.len = bytes_of(run);
	part.kind = live ? PART_LIVE : PART_HOLE;
	return part;
}

bool arena_is_live(uintptr_t addr, size_t len, unsigned without)
{
	struct arena_part part = arena_part(addr, addr + len);

	return part.kind == PART_LIVE && part.len == len &&
	       mark_count_which(arena.marks, MARK_BIT(MARK_LIVE), without,
				span_of(addr, len)) == len / FRAME;
}

/* ------------------------------------------------------------------------ */
/* What the kernel does to our addresses                                     */

void arena_alter(uintptr_t addr, size_t len, enum mark mark)
{
	struct arena_part part;

	for (uintptr_t at = addr; at < addr + len; at += part.len) {
		part = arena_part(at, addr + len);
		if (part.kind != PART_LIVE)
			continue;
		mark_set(arena.marks, mark, span_of(at, part.len));
		if (mark == MARK_ALTERED)
			stats_count(STAT_FRAMES_ALTERED, part.len / FRAME);
	}
}

/* Makes free frames the program's, as they are. */
static bool claim_frames(struct span s)
{
	struct span got;
	size_t dirty;

	got = allocate(frame_id_some(frame_id(s.first)), s.count);
	if (!got.count)
		return false;
	dirty = mark_count(arena.marks, MARK_DIRTY, s);
	mark_set(arena.marks, MARK_LIVE, s);
	gauge_add((int64_t)s.count, -(int64_t)dirty);
	stats_count(STAT_FRAMES_SERVED, s.count);
	return true;
}

static void claim_hole(struct arena_claims *claims, struct arena_part hole)
{
	struct span s = span_of(hole.start, hole.len);
	size_t page = arena.page_frames;

	if (claim_frames(s)) {
		if (claims->count < ARENA_CLAIMS)
			claims->holes[claims->count++] = hole;
		return;
	}
	for (size_t i = 0; s.count > page && i < s.count; i += page)
		claim_frames(span(s.first + i, page));
}

struct arena_claims arena_claim(uintptr_t addr, size_t len)
{
	struct arena_claims claims = { .addr = addr, .len = len };
	struct arena_part part;

	if (!arena_touches(addr, len))
		return claims;
	for (uintptr_t at = addr; at < addr + len; at += part.len) {
		part = arena_part(at, addr + len);
		if (part.kind == PART_HOLE)
			claim_hole(&claims, part);
	}
	arena_alter(addr, len, MARK_ALTERED);
	return claims;
}

void arena_claim_undo(const struct arena_claims *claims)
{
	for (size_t i = 0; i < claims->count; i++)
		arena_free(claims->holes[i].start, claims->holes[i].len,
			   LEAVE_DIRTY);
	arena_refill(claims->addr, claims->len);
}

bool arena_is_free(uintptr_t addr, size_t len)
{
	struct arena_part part;

	if (!arena_touches(addr, len))
		return false;
	part = arena_part(addr, addr + len);
	return part.kind == PART_HOLE && part.len == len;
}

/* Maps afresh where nothing is mapped at all. */
static bool fill_hole(uintptr_t addr, size_t len)
{
	return arena.os->mmap((void *)addr, len, READ_WRITE,
			      FRESH | MAP_FIXED_NOREPLACE, -1,
			      0) == (long)addr;
}

void arena_patch(uintptr_t addr, size_t len)
{
	size_t page = arena.page_frames * FRAME;

	if (fill_hole(addr, len))
		return;
	for (size_t at = 0; at < len; at += page)
		fill_hole(addr + at, page);
}

static void refill_live(uintptr_t addr, size_t len)
{
	size_t page = arena.page_frames * FRAME;

	if (fill_hole(addr, len)) {
		arena_free(addr, len, LEAVE_CLEAN);
		return;
	}
	for (size_t at = 0; at < len; at += page)
		if (fill_hole(addr + at, page))
			arena_free(addr + at, page, LEAVE_CLEAN);
}

void arena_refill(uintptr_t addr, size_t len)
{
	struct arena_part part;

	if (!arena_touches(addr, len))
		return;
	for (uintptr_t at = addr; at < addr + len; at += part.len) {
		part = arena_part(at, addr + len);
		if (part.kind == PART_LIVE)
			refill_live(at, part.len);
	}
}

size_t arena_refill_hole(uintptr_t addr)
{
	size_t page = arena.page_frames * FRAME;
	uintptr_t at = addr;

	for (; is_ours(at) && fill_hole(at, page); at += page)
		arena_free(at, page, LEAVE_CLEAN);
	return at - addr;
}

void arena_lock_all(bool all)
{
	__atomic_store_n(&arena.lock_all, all, __ATOMIC_RELEASE);
}

/* Takes the frames through the allocator, so that no one is served them while
 * they are unlocked and emptied. */
static void unlock_run(struct span s)
{
	struct span got =
		allocate(frame_id_some(frame_id(s.first)), s.count);

	if (!got.count)
		return;
	arena.os->munlock(address_of(s.first), bytes_of(s));
	if (!mark_count(arena.marks, MARK_DIRTY, s))
		arena.os->madvise(address_of(s.first), bytes_of(s),
				  MADV_DONTNEED);
	deallocate(got);
}

void arena_unlock_free(void)
{
	for (size_t t = 0; t < arena.trees; t++) {
		struct span s = tree_span(t);

		while (tree_state(t) == TREE_ONLINE && s.count) {
			bool live;
			struct span run =
				mark_run(arena.marks, MARK_BIT(MARK_LIVE), s,
					 &live);

			if (!live)
				unlock_run(run);
			else
				mark_set(arena.marks, MARK_ALTERED, run);
			s = span_from(s, span_end(run));
		}
	}
}

/* ------------------------------------------------------------------------ */
/* Setting up                                                                */

#define ARENA_LEAST (4 * LLFREE_ALIGN)

enum arena_state arena_state(void)
{
	return __atomic_load_n(&arena.state, __ATOMIC_ACQUIRE);
}

const struct arena_os *arena_kernel(void)
{
	return arena.os;
}

const char *arena_why_off(void)
{
	return arena_state() == ARENA_OFF ? arena.why_off : "";
}

bool arena_claim_start(void)
{
	enum arena_state fresh = ARENA_NEW;

	return __atomic_compare_exchange_n(&arena.state, &fresh, ARENA_STARTING,
					   false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

static enum arena_state settle(enum arena_state state)
{
	__atomic_store_n(&arena.state, state, __ATOMIC_RELEASE);
	return state;
}

void arena_stay_off(const char *why)
{
	arena.why_off = why;
	settle(ARENA_OFF);
}

static size_t round_up(size_t value, size_t to)
{
	return (value + to - 1) / to * to;
}

/* Whether nothing is mapped there. */
static bool is_vacant(uintptr_t base, size_t bytes)
{
	long at = arena.os->mmap((void *)base, bytes, PROT_NONE,
				 FRESH | MAP_FIXED_NOREPLACE, -1, 0);

	if (at < 0 && at >= -4095)
		return false;
	arena.os->munmap((void *)at, bytes);
	return (uintptr_t)at == base;
}

/*
 * Above the heap and below what the kernel places by itself, at 13/16 of the
 * address space; how far above depends on `hint`, which is random where
 * addresses are to be.
 */
static bool place_far(uintptr_t hint, size_t bytes, bool limited)
{
	size_t space = (size_t)1 << (64 - __builtin_clzll(hint));
	size_t room = space / 8 - bytes;
	size_t places = room / LLFREE_ALIGN;
	size_t at = (size_t)(hint * 0x9e3779b97f4a7c15ull >> 40);
	uintptr_t base;

	if (bytes > space / 8)
		return false;
	if (places > 1 << 13)
		places = 1 << 13;
	base = round_up(space / 16 * 13, LLFREE_ALIGN);
	base += places ? at % places * LLFREE_ALIGN : 0;
	if (!is_vacant(base, limited ? LLFREE_ALIGN : bytes))
		return false;
	arena_range.base = base;
	return true;
}

/* Where the kernel likes, and held, since it would put others there. */
static bool place_near(size_t bytes)
{
	size_t len = bytes + LLFREE_ALIGN;
	long at = arena.os->mmap(NULL, len, PROT_NONE, FRESH, -1, 0);
	uintptr_t base;

	if (at < 0 && at >= -4095)
		return false;
	base = round_up((uintptr_t)at, LLFREE_ALIGN);
	if (base > (uintptr_t)at)
		arena.os->munmap((void *)at, base - (uintptr_t)at);
	arena.os->munmap((void *)(base + bytes),
			 (uintptr_t)at + LLFREE_ALIGN - base);
	arena.reserved = true;
	arena_range.base = base;
	return true;
}

/* The length that could be placed, 0 for none. */
static size_t place(const struct arena_options *options)
{
	size_t bytes = round_up(options->bytes, LLFREE_ALIGN);

	for (; bytes >= LLFREE_ALIGN; bytes = round_up(bytes / 2, LLFREE_ALIGN)) {
		if (place_far(options->hint, bytes, options->limited) ||
		    (!options->limited && place_near(bytes)))
			return bytes;
		if (bytes <= ARENA_LEAST)
			break;
	}
	return 0;
}

/* One mapping, which costs memory only where it is written. */
struct layout {
	size_t local, trees, lower, states, marks, total;
};

static struct layout layout_of(llfree_meta_size_t need, size_t trees,
			       size_t frames)
{
	struct layout l;

	l.local = round_up(need.llfree, 2 * LLFREE_CACHE_SIZE);
	l.trees = round_up(l.local + need.local, LLFREE_CACHE_SIZE);
	l.states = round_up(l.trees + need.trees, LLFREE_CACHE_SIZE);
	l.lower = round_up(l.states + trees, FRAME);
	l.marks = round_up(l.lower + need.lower, FRAME);
	l.total = l.marks + mark_groups(frames) * sizeof(struct marks);
	l.total = round_up(l.total, FRAME);
	return l;
}

static bool set_up_allocator(void)
{
	llfree_classing_t classing = llfree_classing_simple(arena.cores);
	llfree_meta_size_t need = llfree_metadata_size(&classing, arena.frames);
	struct layout l = layout_of(need, arena.trees, arena.frames);
	long at = arena.os->mmap(NULL, l.total, READ_WRITE, FRESH, -1, 0);
	uint8_t *base = (uint8_t *)at;
	llfree_meta_t meta;

	if (at < 0 && at >= -4095)
		return false;
	meta.local = base + l.local;
	meta.trees = base + l.trees;
	meta.lower = base + l.lower;
	arena.llfree = (llfree_t *)(void *)base;
	arena.tree_states = base + l.states;
	arena.marks = (struct marks *)(void *)(base + l.marks);
	if (llfree_is_ok(llfree_init_zeroed(arena.llfree, arena.frames, meta,
					    &classing)))
		return true;
	arena.os->munmap(base, l.total);
	return false;
}

enum arena_state arena_start(const struct arena_os *os,
			     const struct arena_options *options)
{
	size_t bytes;

	arena.os = os;
	arena.strict = options->strict;
	arena.cores = options->cores;
	arena.page_frames = options->page / FRAME;
	arena.page_order = order_of(arena.page_frames);
	bytes = place(options);
	arena.frames = bytes / FRAME;
	arena.trees = bytes / LLFREE_ALIGN;
	arena.why_off = "no room in the address space";
	if (!bytes)
		return settle(ARENA_OFF);
	arena.why_off = "no memory for the allocator's own data";
	if (!set_up_allocator())
		return settle(ARENA_OFF);
	__atomic_store_n(&arena_range.bytes, bytes, __ATOMIC_RELEASE);
	return settle(ARENA_READY);
}

/* ------------------------------------------------------------------------ */
/* Figures                                                                   */

static size_t count_marks(unsigned with, unsigned without)
{
	size_t count = 0;

	for (size_t t = 0; t < arena.trees; t++)
		if (tree_state(t) == TREE_ONLINE)
			count += mark_count_which(arena.marks, with, without,
						  tree_span(t));
	return count;
}

static size_t count_free(void)
{
	size_t count = 0;

	for (size_t t = 0; t < arena.trees; t++)
		count += tree_state(t) == TREE_OFF ?
				 LLFREE_TREE_SIZE :
				 llfree_stats_at(arena.llfree,
						 frame_id(tree_span(t).first),
						 LLFREE_TREE_ORDER)
					 .free_frames;
	return count;
}

void arena_forked(void)
{
	size_t live;

	if (arena_state() != ARENA_READY)
		return;
	for (size_t i = 0; i < GAUGES; i++)
		if (gauges[i].change)
			gauges[i].change = 0;
	live = count_marks(MARK_BIT(MARK_LIVE), 0);
	sums.live = sums.live_peak = (int64_t)live;
	sums.dirty = (int64_t)count_marks(MARK_BIT(MARK_DIRTY),
					  MARK_BIT(MARK_LIVE));
	arena.inherited = live;
	arena.lost = arena.frames - count_free() - live;
}

static size_t count_resident(size_t tree)
{
	struct span s = tree_span(tree);
	unsigned char resident[ASK_FRAMES];
	size_t count = 0;

	while (s.count) {
		struct span piece = span_before(s, s.first + ASK_FRAMES);

		if (ask_resident(piece, resident))
			for (size_t i = 0; i < piece.count; i++)
				count += resident[i] & 1;
		s = span_from(s, span_end(piece));
	}
	return count;
}

static void count_per_huge(size_t tree, struct arena_figures *f)
{
	struct span s = tree_span(tree);
	size_t step = LLFREE_HUGE_SIZE / 8;

	for (size_t at = s.first; at < span_end(s); at += LLFREE_HUGE_SIZE) {
		ll_stats_t stats = llfree_stats_at(arena.llfree, frame_id(at),
						   LLFREE_HUGE_ORDER);

		f->per_huge[(stats.free_frames + step - 1) / step]++;
	}
}

static void count_trees(struct arena_figures *f)
{
	for (size_t t = 0; t < arena.trees; t++) {
		if (tree_state(t) != TREE_ONLINE) {
			f->per_huge[8] += tree_state(t) == TREE_OFF ?
						  LLFREE_TREE_CHILDREN :
						  0;
			continue;
		}
		f->online += LLFREE_TREE_SIZE;
		f->resident += count_resident(t);
		count_per_huge(t, f);
	}
}

void arena_figures(struct arena_figures *f)
{
	ll_stats_t exact;

	*f = (struct arena_figures){ 0 };
	if (arena_state() != ARENA_READY)
		return;
	for (size_t i = 0; i < GAUGES; i++)
		gauge_flush(&gauges[i]);
	exact = llfree_stats(arena.llfree);
	f->frames = arena.frames;
	f->trees = arena.trees;
	f->live = count_marks(MARK_BIT(MARK_LIVE), 0);
	f->dirty = count_marks(MARK_BIT(MARK_DIRTY), MARK_BIT(MARK_LIVE));
	raise_peak((int64_t)f->live);
	f->live_peak = (size_t)sums.live_peak;
	f->inherited = arena.inherited;
	f->lost = __atomic_load_n(&arena.lost, __ATOMIC_RELAXED);
	f->free_frames = exact.free_frames;
	f->free_huge = exact.free_huge;
	f->free_trees = exact.free_trees;
	f->fast_free = llfree_tree_stats(arena.llfree).free_frames;
	count_trees(f);
}
