/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena/state.h"

#define ARENA_LEAST (4 * LLFREE_ALIGN)
/* The heap's window: a quarter of what regions have, as far as that. */
#define WINDOW_MOST ((size_t)4 << 30)

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

bool arena_start_once(void)
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
	if (page_occupy((void *)base, bytes, PROT_NONE))
		return false;
	arena.os->munmap((void *)base, bytes);
	return true;
}

/*
 * Above the heap and below what the kernel places by itself, at 13/16 of the
 * address space; how far above depends on `hint`, which is random where
 * addresses are to be.
 */
static bool place_far(uintptr_t hint, size_t bytes, bool limited)
{
	size_t space = (size_t)1 << (64 - __builtin_clzll(hint));
	size_t most = space / 8 + WINDOW_MOST;
	size_t room = most - bytes;
	size_t places = room / LLFREE_ALIGN;
	size_t at = (size_t)(hint * 0x9e3779b97f4a7c15ull >> 40);
	uintptr_t base;

	if (bytes > most)
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

	if (is_error(at))
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

static size_t window_for(const struct arena_options *options, size_t bytes)
{
	size_t window = bytes / 4 < WINDOW_MOST ? bytes / 4 : WINDOW_MOST;

	return options->heap ? round_up(window, LLFREE_ALIGN) : 0;
}

/* The length for regions that could be placed, 0 for none. */
static size_t place(const struct arena_options *options)
{
	size_t bytes = round_up(options->bytes, LLFREE_ALIGN);

	for (; bytes >= LLFREE_ALIGN;
	     bytes = round_up(bytes / 2, LLFREE_ALIGN)) {
		size_t total = bytes + window_for(options, bytes);

		if (place_far(options->hint, total, options->limited) ||
		    (!options->limited && place_near(total)))
			return bytes;
		if (bytes <= ARENA_LEAST)
			break;
	}
	return 0;
}

/* One mapping for all data, which costs memory only where it is written: what
 * is written at the start lies together. */
struct layout {
	struct {
		size_t handle, local, trees, lower;
	} zones[ZONES];
	size_t states, vmas, marks, total;
};

static size_t append(size_t *at, size_t bytes, size_t align)
{
	size_t place = round_up(*at, align);

	*at = place + bytes;
	return place;
}

static void layout_pool(struct layout *l, size_t i, llfree_meta_size_t *need)
{
	const struct zone *zone = &arena.zones[i];
	llfree_classing_t classing = arena_classing(zone->cores);

	*need = llfree_metadata_size(&classing, zone->frames.count);
	l->zones[i].handle =
		append(&l->total, need->llfree, 2 * LLFREE_CACHE_SIZE);
	l->zones[i].local = append(&l->total, need->local, LLFREE_CACHE_SIZE);
	l->zones[i].trees = append(&l->total, need->trees, LLFREE_CACHE_SIZE);
}

static struct layout layout_all(void)
{
	struct layout l = { .total = 0 };
	llfree_meta_size_t need[ZONES];

	for (size_t i = 0; i < ZONES; i++)
		layout_pool(&l, i, &need[i]);
	l.states = append(&l.total, arena.trees, 1);
	l.vmas = append(&l.total, vma_bytes(arena.trees), sizeof(uint64_t));
	for (size_t i = 0; i < ZONES; i++)
		l.zones[i].lower = append(&l.total, need[i].lower, FRAME);
	l.marks = append(&l.total,
			 mark_groups(arena.frames) * sizeof(struct marks),
			 FRAME);
	l.total = round_up(l.total, FRAME);
	return l;
}

/* All trees are fresh; from then on those that become free are used ones. */
static bool init_pool(const struct zone *zone, llfree_meta_t meta)
{
	llfree_classing_t classing = arena_classing(zone->cores);
	uint8_t used = classing.default_class;

	classing.default_class = CLASS_FRESH;
	if (!llfree_is_ok(llfree_init_zeroed(zone->llfree, zone->frames.count,
					     meta, &classing)))
		return false;
	classing.default_class = used;
	return llfree_is_ok(llfree_init(zone->llfree, zone->frames.count,
					LLFREE_INIT_NONE, meta, &classing));
}

static bool start_pool(const struct layout *l, size_t i, uint8_t *base)
{
	struct zone *zone = &arena.zones[i];
	llfree_meta_t meta = {
		.local = base + l->zones[i].local,
		.trees = base + l->zones[i].trees,
		.lower = base + l->zones[i].lower,
	};

	if (!zone->frames.count)
		return true;
	zone->llfree = (llfree_t *)(void *)(base + l->zones[i].handle);
	return init_pool(zone, meta);
}

static bool set_up_allocators(void)
{
	struct layout l = layout_all();
	long at = arena.os->mmap(NULL, l.total, READ_WRITE, FRESH, -1, 0);
	uint8_t *base = (uint8_t *)at;

	if (is_error(at))
		return false;
	arena_data = (struct arena_range){ (uintptr_t)at, l.total };
	arena.tree_states = base + l.states;
	arena.vmas = (struct vma_counts *)(void *)(base + l.vmas);
	arena.marks = (struct marks *)(void *)(base + l.marks);
	if (start_pool(&l, ZONE_REGIONS, base) &&
	    start_pool(&l, ZONE_HEAP, base))
		return true;
	arena.os->munmap(base, l.total);
	return false;
}

static void divide(const struct arena_options *options, size_t bytes)
{
	size_t window = bytes ? window_for(options, bytes) : 0;
	size_t border = bytes / FRAME;

	arena.frames = border + window / FRAME;
	arena.trees = arena.frames / LLFREE_TREE_SIZE;
	arena.zones[ZONE_REGIONS].frames = span(0, border);
	arena.zones[ZONE_REGIONS].cores = options->cores;
	arena.zones[ZONE_HEAP].frames = span(border, window / FRAME);
	arena_heap_zone.base = arena_range.base + bytes;
	arena_heap_zone.bytes = window;
}

enum arena_state arena_start(const struct arena_os *os,
			     const struct arena_options *options)
{
	size_t bytes;

	arena.os = os;
	arena.strict = options->strict;
	arena.decay = options->decay;
	arena.advice = options->advice;
	arena.max = options->max / FRAME;
	arena.page_frames = options->page / FRAME;
	arena.page_order = order_of(arena.page_frames);
	bytes = place(options);
	divide(options, bytes);
	arena.why_off = "no room in the address space";
	if (!bytes)
		return settle(ARENA_OFF);
	arena.why_off = "no memory for the allocator's own data";
	if (!set_up_allocators())
		return settle(ARENA_OFF);
	purge_set_up();
	__atomic_store_n(&arena_range.bytes, arena.frames * FRAME,
			 __ATOMIC_RELEASE);
	return settle(ARENA_READY);
}
