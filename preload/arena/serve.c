/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena/state.h"

#include <errno.h>

struct arena arena;
struct arena_range arena_range, arena_heap_zone, arena_data;

/* ------------------------------------------------------------------------ */
/* The allocator                                                             */

static llfree_request_t request_for(const struct zone *zone, size_t count,
				    unsigned order)
{
	unsigned kind = count < LLFREE_HUGE_SIZE ? 0 : LLFREE_HUGE_ORDER;
	llfree_request_t request = llfree_simple_request(
		zone->cores, (uint8_t)kind, arena.os->cpu());

	request.order = (uint8_t)order;
	return request;
}

static inline bool is_block(size_t count)
{
	return count <= LLFREE_HUGE_SIZE && !(count & (count - 1));
}

/* Frame numbers within the zone, which says no to what lies across its end. */
static llfree_result_t allocate_from(const struct zone *zone,
				     frame_id_optional_t at, size_t count)
{
	unsigned order = arena.page_order;

	if (count >= LLFREE_HUGE_SIZE && !at.present)
		order = LLFREE_HUGE_ORDER;
	if (at.present || !is_block(count))
		return llfree_get_range(zone->llfree, at, count,
					request_for(zone, count, order));
	return llfree_get(zone->llfree, at,
			  request_for(zone, count, order_of(count)));
}

/* Those that no one uses may be borrowed by the background thread at the
 * moment. */
static llfree_result_t allocate_at(const struct zone *zone, struct span s)
{
	frame_id_optional_t at =
		frame_id_some(frame_id(s.first - zone->frames.first));
	llfree_result_t got;
	unsigned tries = 0;
	uint32_t turn;

	do {
		turn = epoch_now();
		got = allocate_from(zone, at, s.count);
	} while (!llfree_is_ok(got) && !mark_count(arena.marks, MARK_LIVE, s) &&
		 epoch_passed(turn, &tries));
	return got;
}

struct span arena_allocate(frame_id_optional_t at, size_t count)
{
	const struct zone *zone = &arena.zones[ZONE_REGIONS];
	llfree_result_t got;

	if (at.present) {
		zone = zone_of(at.value.value);
		got = allocate_at(zone, span(at.value.value, count));
	} else
		got = allocate_from(zone, at, count);
	stats_count(llfree_is_ok(got) ? STAT_GET : STAT_GET_FAILED, 1);
	return llfree_is_ok(got)
		       ? span(zone->frames.first + got.frame.value, count)
		       : span(0, 0);
}

static void leak(size_t count)
{
	__atomic_fetch_add(&arena.leaked, count, __ATOMIC_RELAXED);
}

static void deallocate_to(const struct zone *zone, struct span s)
{
	frame_id_t first = frame_id(s.first - zone->frames.first);
	llfree_result_t put;

	if (!s.count)
		return;
	if (is_block(s.count) && !(s.first & (s.count - 1)))
		put = llfree_put(zone->llfree, first,
				 request_for(zone, s.count, order_of(s.count)));
	else
		put = llfree_put_range(zone->llfree, first, s.count,
				       request_for(zone, s.count, 0));
	stats_count(STAT_PUT, 1);
	if (!llfree_is_ok(put))
		leak(s.count);
}

void arena_deallocate(struct span s)
{
	const struct zone *zones = arena.zones;
	size_t border = span_end(zones[ZONE_REGIONS].frames);

	deallocate_to(&zones[ZONE_REGIONS], span_before(s, border));
	deallocate_to(&zones[ZONE_HEAP], span_from(s, border));
}

ll_stats_t arena_tree_stats(size_t tree)
{
	size_t first = arena_tree(tree).first;
	const struct zone *zone = zone_of(first);

	return llfree_stats_at(zone->llfree,
			       frame_id(first - zone->frames.first),
			       LLFREE_TREE_ORDER);
}

/* ------------------------------------------------------------------------ */
/* Trees                                                                     */

static long map_fresh(size_t tree, int prot)
{
	void *addr = address_of(arena_tree(tree).first);

	if (arena.reserved)
		return arena.os->mprotect(addr, LLFREE_ALIGN, prot);
	return page_occupy(addr, LLFREE_ALIGN, prot);
}

/* While all is locked: without access, and unlocked again, since what of it is
 * served will be mapped afresh. */
static long tree_map_locked(size_t tree)
{
	struct span s = arena_tree(tree);
	long failed = map_fresh(tree, PROT_NONE);

	if (failed)
		return failed;
	arena.os->munlock(address_of(s.first), bytes_of(s));
	mark_set(arena.marks, MARK_REMAP_BEFORE_USE, s);
	return 0;
}

static long tree_map(size_t tree)
{
	long failed;

	if (arena_is_locked())
		return tree_map_locked(tree);
	failed = map_fresh(tree, READ_WRITE);
	if (!failed)
		page_advise(arena_tree(tree));
	return failed;
}

static bool tree_change(size_t tree, uint8_t *from, uint8_t to)
{
	return __atomic_compare_exchange_n(&arena.tree_states[tree], from, to,
					   false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

/* Someone is at it. When overdue, others may try as well. */
static void tree_wait(size_t tree, uint8_t state)
{
	uint8_t next = (uint8_t)(state + 1);

	tree_change(tree, &state, next < TREE_OVERDUE ? next : TREE_OFF);
}

/* What came of our attempt. If we were given up meanwhile and the tree with
 * us, the mapping goes: no one else has used it. */
static void tree_settle(size_t tree, long failed)
{
	uint8_t state = arena_tree_state(tree);
	uint8_t to = !failed		 ? TREE_ONLINE
		     : failed == -EEXIST ? TREE_UNAVAILABLE
					 : TREE_OFF;

	while (state < TREE_UNAVAILABLE && (state != TREE_OFF || !failed))
		if (tree_change(tree, &state, to))
			return;
	if (!failed && state == TREE_UNAVAILABLE && !arena.reserved)
		arena.os->munmap(address_of(arena_tree(tree).first),
				 LLFREE_ALIGN);
}

/* As a rule it takes a moment. A signal handler would wait in vain for the
 * thread that it has interrupted. */
#define AWAIT_TRIES 32u

static void tree_await(size_t tree)
{
	for (unsigned tries = 1; tries <= AWAIT_TRIES && arena_is_mapping(tree);
	     tries++)
		if (!sandboxed())
			arena.os->yield(tries);
}

/* Its state after an attempt to bring it online. */
static uint8_t tree_map_once(size_t tree)
{
	uint8_t state = TREE_OFF;

	if (tree_change(tree, &state, TREE_MAPPING))
		tree_settle(tree, tree_map(tree));
	else if (state < TREE_OVERDUE) {
		tree_wait(tree, state);
		tree_await(tree);
	}
	return arena_tree_state(tree);
}

void arena_unavailable(uintptr_t addr, size_t len)
{
	uintptr_t base = arena_range.base, end = addr + len;

	addr = addr > base ? addr : base;
	end = end < base + arena_range.bytes ? end : base + arena_range.bytes;
	addr -= (addr - base) % LLFREE_ALIGN;
	for (; addr < end; addr += LLFREE_ALIGN) {
		uint8_t off = TREE_OFF;

		tree_change(frame_of(addr) / LLFREE_TREE_SIZE, &off,
			    TREE_UNAVAILABLE);
	}
}

void arena_forget_threads(void)
{
	for (size_t t = 0; t < arena.trees; t++)
		if (arena_tree_state(t) < TREE_OVERDUE)
			arena.tree_states[t] = TREE_OFF;
	epoch_reset();
}

enum bring { BROUGHT, BRING_AGAIN, BRING_REFUSED };

static void leak_free(struct span s)
{
	if (s.count &&
	    arena_allocate(frame_id_some(frame_id(s.first)), s.count).count)
		leak(s.count);
}

/* Frames of a tree that is not ours stay allocated: never again theirs. So do
 * the others of that tree, rather than be found one after the other. */
static void drop_foreign(struct span s, size_t tree)
{
	struct span theirs = arena_tree(tree);

	arena_deallocate(span_before(s, theirs.first));
	arena_deallocate(span_from(s, span_end(theirs)));
	s = span_before(span_from(s, theirs.first), span_end(theirs));
	leak(s.count);
	leak_free(span_before(theirs, s.first));
	leak_free(span_from(theirs, span_end(s)));
}

/* Makes the trees of `s`, which was just allocated, usable; else `s` is gone,
 * and there may be others that are (BRING_AGAIN). */
static enum bring bring_online(struct span s)
{
	size_t last = (span_end(s) - 1) / LLFREE_TREE_SIZE;

	for (size_t t = s.first / LLFREE_TREE_SIZE; t <= last; t++) {
		uint8_t state = arena_tree_state(t);

		if (state != TREE_ONLINE)
			state = tree_map_once(t);
		if (state == TREE_UNAVAILABLE) {
			drop_foreign(s, t);
			return BRING_AGAIN;
		}
		if (state != TREE_ONLINE) {
			arena_deallocate(s);
			return BRING_REFUSED;
		}
	}
	return BROUGHT;
}

/* ------------------------------------------------------------------------ */
/* Handing out                                                               */

static bool remap_altered(struct span s)
{
	while (s.count) {
		bool have;
		struct span run = mark_run(
			arena.marks, MARK_BIT(MARK_REMAP_BEFORE_USE), s, &have);

		if (have && page_fresh(run, READ_WRITE))
			return false;
		s = span_from(s, span_end(run));
	}
	return true;
}

static void fill_dirty(struct span s, enum fill fill)
{
	while (s.count) {
		bool have;
		struct span run =
			mark_run(arena.marks, MARK_BIT(MARK_DIRTY), s, &have);

		if (have && (fill == FILL_ZERO || !page_empty(run)))
			page_zero(run);
		s = span_from(s, span_end(run));
	}
}

/* Makes allocated frames the program's, the first `head` of them filled that
 * way and the others with zeros; or they are free again. */
static bool hand_over(struct span s, size_t head, enum fill fill)
{
	size_t dirty = mark_count(arena.marks, MARK_DIRTY, s);

	/* Mapped afresh it is locked as all that comes now. */
	if (arena_is_locked())
		mark_set(arena.marks, MARK_REMAP_BEFORE_USE, s);
	if (!remap_altered(s)) {
		arena_deallocate(s);
		return false;
	}
	if (dirty) {
		if (fill != FILL_ANY)
			fill_dirty(span_before(s, s.first + head), fill);
		fill_dirty(span_from(s, s.first + head), FILL_ZERO);
	}
	mark_set(arena.marks, MARK_LIVE, s);
	usage_change((int64_t)s.count, -(int64_t)dirty);
	stats_count(STAT_FRAMES_SERVED, s.count);
	purge_excess(s);
	return true;
}

/* As long as there is a limit, what is live is counted exactly as well, and
 * never beyond it: who asks for too much does not stand in the way of others.
 * Of `count` frames the limit does not count `uncounted`: they replace others. */
static bool limit_take(size_t count, size_t uncounted)
{
	size_t live;

	if (!arena.max)
		return true;
	live = __atomic_load_n(&arena.limited, __ATOMIC_RELAXED);
	do {
		if (live + count - uncounted > arena.max)
			return false;
	} while (!__atomic_compare_exchange_n(
		&arena.limited, &live, live + count, true, __ATOMIC_RELAXED,
		__ATOMIC_RELAXED));
	return true;
}

static size_t frames_for(size_t len)
{
	size_t page = arena.page_frames * FRAME;

	return (len + page - 1) / page * arena.page_frames;
}

static enum reason get_frames(size_t count, size_t head, enum fill fill,
			      struct span *got)
{
	enum bring brought;

	do {
		*got = arena_allocate(frame_id_none(), count);
		if (!got->count)
			return REASON_ARENA_FULL;
		brought = bring_online(*got);
	} while (brought == BRING_AGAIN);
	if (brought == BRING_REFUSED || !hand_over(*got, head, fill))
		return REASON_KERNEL_REFUSED;
	return REASON_NONE;
}

static enum reason serve(size_t len, size_t head, enum fill fill,
			 struct span *got)
{
	size_t count = frames_for(len);
	enum reason why;

	if (arena_is_locked())
		return REASON_LOCK_ALL;
	if (!limit_take(count, head))
		return REASON_MAX;
	why = get_frames(count, head, fill, got);
	if (why != REASON_NONE)
		limit_give(count);
	return why;
}

enum reason arena_get(size_t len, bool populated, void **addr)
{
	struct span got;
	enum reason why = serve(len, 0, FILL_ZERO, &got);

	if (why != REASON_NONE)
		return why;
	if (populated)
		page_populate(got);
	*addr = address_of(got.first);
	return REASON_NONE;
}

enum reason arena_get_for(size_t len, size_t head, enum fill fill,
			  uintptr_t *addr)
{
	struct span got;
	enum reason why = serve(len, head / FRAME, fill, &got);

	if (why == REASON_NONE)
		*addr = (uintptr_t)address_of(got.first);
	return why;
}

bool arena_get_at(uintptr_t addr, size_t len)
{
	struct span want = span_of(addr, len);
	struct span got;

	if (addr - arena_range.base >= arena_range.bytes ||
	    span_end(want) > arena.frames)
		return false;
	if (!limit_take(want.count, 0))
		return false;
	got = arena_allocate(frame_id_some(frame_id(want.first)), want.count);
	if (got.count && bring_online(got) == BROUGHT &&
	    hand_over(got, 0, FILL_ZERO))
		return true;
	limit_give(want.count);
	return false;
}

/* ------------------------------------------------------------------------ */
/* Taking back                                                               */

#define APART (MARK_BIT(MARK_REMAP_BEFORE_USE) | MARK_BIT(MARK_REMAP_ON_FREE))

/* The contents of frames that were freed: kept for reuse, or given back. */
static void retire_contents(struct span s, enum leave leave)
{
	bool keep = arena.decay && usage_retains(s.count);

	if (leave == LEAVE_CLEAN || (!keep && page_empty(s))) {
		mark_clear(arena.marks, MARK_DIRTY, s);
		return;
	}
	mark_clear(arena.marks, MARK_AGED, s);
	mark_set(arena.marks, MARK_DIRTY, s);
	usage_change(0, (int64_t)s.count);
}

/* Undoes what was done to the mappings of the first of the freed frames, which
 * *s becomes. A refusal counts only where something was altered: what was only
 * moved can stay, but not its pages, which a pipe may have. */
static long restore_mappings(struct span *s, enum leave leave)
{
	bool altered;
	long failed;

	*s = mark_run(arena.marks, MARK_BIT(MARK_REMAP_BEFORE_USE), *s,
		      &altered);
	failed = altered ? page_retire(*s) : page_fresh(*s, READ_WRITE);
	if (!failed)
		stats_count(STAT_FRAMES_RETURNED, s->count);
	else if (altered)
		return failed;
	else
		retire_contents(*s, page_empty(*s) ? LEAVE_CLEAN : leave);
	return 0;
}

/* The first frames of `s`, which the program has freed, become free: those
 * that are alike. -errno when the kernel refuses, and they are as they were. */
static long free_part(struct span *s, enum leave leave)
{
	bool apart;
	struct span run = mark_run(arena.marks, APART, *s, &apart);
	long failed = 0;

	if (arena.strict || arena_is_locked())
		failed = page_close(run);
	else if (apart)
		failed = restore_mappings(&run, leave);
	else
		retire_contents(run, leave);
	if (failed)
		return failed;
	usage_change(-(int64_t)run.count, 0);
	limit_give(run.count);
	stats_count(STAT_FRAMES_GIVEN_BACK, run.count);
	arena_deallocate(run);
	merge_if_due(run);
	purge_excess(run);
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

/* What lies behind the arena: if the range ends past the address space, the
 * kernel refuses all of it. */
static long unmap_behind(uintptr_t addr, uintptr_t *end,
			 struct arena_tally *tally)
{
	uintptr_t behind = arena_range.base + arena_range.bytes;
	long failed;

	if (*end <= behind || addr >= behind)
		return 0;
	failed = arena.os->munmap((void *)behind, *end - behind);
	if (!failed) {
		tally->kernel += *end - behind;
		*end = behind;
	}
	return failed;
}

/* The kernel's part first: it knows best what is wrong with the range. */
long arena_unmap(uintptr_t addr, size_t len, struct arena_tally *tally)
{
	struct arena_part part;
	uintptr_t end = addr + len;
	long failed = unmap_behind(addr, &end, tally);

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
			failed = free_frames(span_of(at, part.len), LEAVE_DIRTY,
					     &tally->ours);
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

bool arena_has(uintptr_t addr, size_t len)
{
	struct arena_part part;

	if (!arena_touches(addr, len))
		return false;
	part = arena_place(addr, addr + len);
	return part.kind != PART_KERNEL || part.len < len;
}

bool arena_is_live(uintptr_t addr, size_t len, unsigned without)
{
	struct arena_part part = arena_part(addr, addr + len);

	return part.kind == PART_LIVE && part.len == len &&
	       mark_count_which(arena.marks, MARK_BIT(MARK_LIVE), without,
				span_of(addr, len)) == len / FRAME;
}
