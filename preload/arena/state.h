/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What the files of the arena share, and no one else sees.
 *
 *	arena.c		the allocator and the trees; handing out, taking back
 *	arena-class.c	which tree a request is served from
 *	arena-page.c	fresh, empty and zeroed pages
 *	arena-purge.c	giving memory back
 *	arena-turn.c	who waits for the thread that does so
 *	arena-leave.c	out of the address space, or of the kernel's count
 *	arena-seam.c	mappings that the kernel keeps apart
 *	arena-alter.c	what the kernel does to our addresses
 *	arena-start.c	finding a place, setting up
 *	arena-figures.c	for the report, and after fork
 */
#pragma once

#include "preload/arena/arena.h"
#include "preload/arena/usage.h"
#include "preload/sys/sys.h"
#include "preload/report/stats.h"

#include <sys/mman.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define FRAME ((size_t)LLFREE_FRAME_SIZE)
#define READ_WRITE (PROT_READ | PROT_WRITE)
#define FRESH (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

/*
 * A tree's state. One thread at a time brings it online; the others give way for
 * a moment, do without it if that was too short, and each adds one to the state.
 * If it takes too long, someone else may try: what the kernel says then is the
 * truth.
 */
enum {
	TREE_OFF = 0,
	TREE_MAPPING = 1, /* to TREE_OVERDUE - 1 */
	TREE_OVERDUE = 250,
	TREE_UNAVAILABLE = 251,
	TREE_ONLINE = 252,
};

/*
 * A part of the arena with an allocator of its own: one serves regions; the
 * other is the window of the main heap, where frames are asked for by their
 * number only, so that those behind the heap stay free for it.
 */
struct zone {
	llfree_t *llfree;
	struct span frames; /* whole trees; the allocator counts from 0 */
	size_t cores; /* slots */
};
enum { ZONE_REGIONS, ZONE_HEAP, ZONES };

struct arena {
	enum arena_state state;
	const char *why_off;
	const struct arena_os *os;
	size_t frames;
	size_t trees;
	size_t page_frames;
	unsigned page_order;
	uint64_t decay; /* milliseconds, 0, or ARENA_NEVER */
	int advice; /* for madvise, to what is mapped; 0: none */
	bool strict;
	bool reserved; /* the kernel gave the place: it is held meanwhile */
	bool lock_all;
	struct zone zones[ZONES];
	uint8_t *tree_states;
	struct vma_counts *vmas; /* of each tree */
	struct marks *marks;
	size_t max; /* frames that may be live; 0: any number */
	size_t limited; /* those that are, while there is a maximum */
	size_t leaked;
	size_t claimed; /* free, but not counted: see arena_snapshot */
	size_t inherited;
	llfree_counters_t
		counted; /* by the process that this was forked from */
};
extern struct arena arena;

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

static inline struct span arena_tree(size_t tree)
{
	return span(tree * LLFREE_TREE_SIZE, LLFREE_TREE_SIZE);
}

static inline const struct zone *zone_of(size_t frame)
{
	return &arena.zones[frame < span_end(arena.zones[ZONE_REGIONS].frames)
				    ? ZONE_REGIONS
				    : ZONE_HEAP];
}

static inline uint8_t arena_tree_state(size_t tree)
{
	return __atomic_load_n(&arena.tree_states[tree], __ATOMIC_ACQUIRE);
}

/* Someone brings it online. */
static inline bool arena_is_mapping(size_t tree)
{
	uint8_t state = arena_tree_state(tree);

	return state >= TREE_MAPPING && state < TREE_OVERDUE;
}

static inline bool arena_is_locked(void)
{
	return __atomic_load_n(&arena.lock_all, __ATOMIC_ACQUIRE);
}

static inline bool frame_online(size_t frame)
{
	return arena_tree_state(frame / LLFREE_TREE_SIZE) == TREE_ONLINE;
}

static inline void usage_change(int64_t live, int64_t dirty)
{
	usage_add(arena.os->cpu(), live, dirty);
}

/* Frames that were not, or are no longer, live; or, limit_force, that are in
 * any case. */
static inline void limit_give(size_t count)
{
	if (arena.max)
		__atomic_fetch_sub(&arena.limited, count, __ATOMIC_RELAXED);
}

static inline void limit_force(size_t count)
{
	if (arena.max)
		__atomic_fetch_add(&arena.limited, count, __ATOMIC_RELAXED);
}

static inline unsigned order_of(size_t count)
{
	return (unsigned)__builtin_ctzll(count);
}

static inline bool is_error(long result)
{
	return result < 0 && result >= -4095;
}

/* arena-class.c */

/* A tree's class, and a request's; of the first two also llfree_simple_request
 * makes requests. */
enum {
	CLASS_SMALL,
	CLASS_HUGE, /* or used, and entirely free now */
	CLASS_FRESH, /* of trees only: nothing was served from it yet */
	CLASS_BORROWED, /* of requests only: leaves a tree's class alone */
};
llfree_classing_t arena_classing(size_t cores);

/* arena.c */

/* Frames anywhere but in the heap's window, or at `at`; an empty span when
 * there are none. */
struct span arena_allocate(frame_id_optional_t at, size_t count);
void arena_deallocate(struct span s);
/* Of trees that are not ours yet: never will be. */
void arena_unavailable(uintptr_t addr, size_t len);
/* The exact figures of the tree, as llfree_stats_at. */
ll_stats_t arena_tree_stats(size_t tree);

/* arena-page.c: for frames that no one else may touch now. */

/* What LLFREE_THP says of a mapping just made. */
void page_advise(struct span s);
/* Maps memory where nothing is mapped: 0, -EEXIST where something is, or what
 * else the kernel says. To a kernel before 4.17, and in a sandbox, which may know
 * the flags of ordinary allocators only, the address is a hint. */
long page_occupy(void *addr, size_t len, int prot);
/* A fresh mapping: 0 or -errno. Without access the frames count as altered.
 * When it fails all are as altered as one of them was, and altered if the kernel
 * may have taken away what was there. */
long page_fresh(struct span s, int prot);
/* The same, of altered frames that are being freed; or no mapping at all where
 * the kernel has no room for one more: they stay altered, and are mapped before
 * they serve again. -errno when it refuses even that, as it would have done
 * without us. */
long page_retire(struct span s);
/* Whether all of it is mapped, for sure. */
bool page_is_there(struct span s);
/* Gives contents back to the kernel; false when it refuses. */
bool page_empty(struct span s);
void page_zero(struct span s);
void page_populate(struct span s);
/* Bit 0 of a byte for each frame; at most ASK_FRAMES. */
#define ASK_FRAMES 1024u
bool page_resident(struct span s, unsigned char *resident);

/* arena-leave.c */

/* Without access, and not locked: 0 or -errno. The frames count as altered. */
long page_close(struct span s);

/* arena-seam.c: what the kernel keeps apart */

size_t vma_bytes(size_t trees);
/* These frames have just been mapped by themselves. */
void vma_mapped(struct span s);
/* All of the tree is one mapping. */
void vma_tree_gone(struct span tree);
/* After these frames were freed. */
void merge_if_due(struct span freed);
/* Maps free frames of the tree afresh where they are in pieces; true if some
 * were. */
bool merge_tree(size_t tree);

/* arena-purge.c */

/* Free frames, for a moment, from the allocator; its trees stay as they are. */
bool purge_borrow(struct span s);
/* So many huge frames, from the first on, may be borrowed by a call about this
 * frame: not the heap's, which may be about to grow in another thread. */
size_t purge_within_reach(size_t frame);
void purge_give_back(struct span s);

void purge_set_up(void);
/* After these frames have become live or dirty: gives others back if there are
 * too many dirty ones now. */
void purge_excess(struct span changed);

/* arena-turn.c */

/* The background thread: around what it borrows. False, and no turn, while
 * someone holds. */
bool epoch_begin(uint64_t now);
void epoch_end(void);
/* Others: epoch_now before an attempt to get certain frames; when it failed,
 * epoch_passed waits for the end of a turn, and tells whether one may have been
 * in the way, so that it is worth another attempt. `tries` starts at 0. */
uint32_t epoch_now(void);
bool epoch_passed(uint32_t seen, unsigned *tries);
/* In a child of fork. */
void epoch_reset(void);
