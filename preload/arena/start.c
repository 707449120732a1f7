/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Starting: finding a place for the arena, far from where the kernel and the
 * program map things, and for the allocators' own data.
 */
#include "preload/arena/page.h"
#include "preload/arena/purge.h"
#include "preload/arena/usage.h"
#include "preload/arena/vma.h"
#include "preload/arena/zone.h"

#define ARENA_LEAST (4 * LLFREE_ALIGN)
/* The heap zone: a quarter of what regions have, as far as that. */
#define HEAP_MOST ((size_t)4 << 30)

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
	size_t most = space / 8 + HEAP_MOST;
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
	arena_bounds.start = base;
	return true;
}

/* Where the kernel likes, and held, since it would put others there. */
static bool place_near(size_t bytes)
{
	size_t len = bytes + LLFREE_ALIGN;
	long at = arena.os->mmap(NULL, len, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				 -1, 0);
	uintptr_t base;

	if (sys_failed(at))
		return false;
	base = round_up((uintptr_t)at, LLFREE_ALIGN);
	if (base > (uintptr_t)at)
		arena.os->munmap((void *)at, base - (uintptr_t)at);
	arena.os->munmap((void *)(base + bytes),
			 (uintptr_t)at + LLFREE_ALIGN - base);
	arena.reserved = true;
	arena_bounds.start = base;
	return true;
}

static size_t heap_zone_for(size_t bytes)
{
	size_t heap = bytes / 4 < HEAP_MOST ? bytes / 4 : HEAP_MOST;

	return arena.options->heap ? round_up(heap, LLFREE_ALIGN) : 0;
}

/* The length for regions that could be placed, 0 for none. */
static size_t place(void)
{
	const struct arena_options *o = arena.options;
	size_t bytes = round_up(o->bytes, LLFREE_ALIGN);

	for (; bytes >= LLFREE_ALIGN;
	     bytes = round_up(bytes / 2, LLFREE_ALIGN)) {
		size_t total = bytes + heap_zone_for(bytes);

		if (place_far(o->hint, total, o->limited) ||
		    (!o->limited && place_near(total)))
			return bytes;
		if (bytes <= ARENA_LEAST)
			break;
	}
	return 0;
}

/*
 * One mapping for all data, which costs memory only where it is written: what
 * is written at the start lies together.
 */
struct layout {
	size_t states, vmas, marks, total;
};

static struct layout place_data(void)
{
	struct layout l;

	l.states = zone_place_upper(0);
	l.vmas = round_up(l.states + arena.trees, sizeof(uint64_t));
	l.marks = round_up(zone_place_lower(l.vmas + vma_bytes(arena.trees)),
			   FRAME);
	l.total = round_up(l.marks + mark_groups(arena.frames) *
					     sizeof(struct marks),
			   FRAME);
	return l;
}

static bool start_allocators(void)
{
	struct layout l = place_data();
	long at = arena.os->mmap(NULL, l.total, READ_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				 -1, 0);
	uint8_t *data = (uint8_t *)at;

	if (sys_failed(at))
		return false;
	arena_data = region((uintptr_t)at, l.total);
	arena.tree_states = data + l.states;
	arena.vmas = (struct vma_counts *)(void *)(data + l.vmas);
	arena.marks = (struct marks *)(void *)(data + l.marks);
	if (zone_start(data))
		return true;
	arena.os->munmap(data, l.total);
	return false;
}

static void divide(size_t bytes)
{
	size_t heap = heap_zone_for(bytes);

	arena.frames = (bytes + heap) / FRAME;
	arena.trees = arena.frames / LLFREE_TREE_SIZE;
	zone_divide(bytes / FRAME, heap / FRAME, arena.options->cores);
	arena_heap_zone = region(arena_bounds.start + bytes, heap);
}

/* Why it cannot start, or NULL. */
static const char *start(void)
{
	size_t bytes = place();

	if (!bytes)
		return "no room in the address space";
	divide(bytes);
	if (!start_allocators())
		return "no memory for the allocator's own data";
	usage_limit(arena.options->max / FRAME);
	purge_set_up();
	return NULL;
}

enum arena_state arena_start(const struct arena_os *os,
			     const struct arena_options *options)
{
	const char *why_not;

	arena.os = os;
	arena.options = options;
	arena.page_frames = options->page / FRAME;
	why_not = start();
	if (why_not) {
		arena_stay_off(why_not);
		return ARENA_OFF;
	}
	atom_store_release(&arena_bounds.len, arena.frames * FRAME);
	atom_store_release(&arena.state, ARENA_READY);
	return ARENA_READY;
}
