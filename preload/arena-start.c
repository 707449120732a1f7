/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena-inner.h"

#define ARENA_LEAST (4 * LLFREE_ALIGN)

enum arena_state arena_state(void)
{
	return __atomic_load_n(&arena.state, __ATOMIC_ACQUIRE);
}

const struct arena_os *arena_kernel(void)
{
	return arena.os;
}

void arena_be_modest(void)
{
	__atomic_store_n(&arena.modest, true, __ATOMIC_RELAXED);
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

	if (is_error(at))
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

	if (is_error(at))
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
	if (options->modest)
		arena_be_modest();
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
