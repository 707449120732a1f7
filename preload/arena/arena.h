/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The arena: a range of addresses, far from where programs and the kernel map
 * things, whose frames LLFree hands out. This header is all that other folders
 * see of it; how it is built is in state.h.
 *
 * Nothing is reserved. The range is divided into trees (16 MiB), and a tree
 * comes online when the first frame is served from it: its addresses are then
 * mapped, readable and writable, and stay so (see arena_trim). So the process
 * is charged for what it uses only, limits on its address space keep their
 * meaning, and the addresses of all other trees are as they would be without
 * the library. If something is mapped there already, the tree is never used.
 *
 *	start                                            start + len
 *	| online | not mapped yet | unavailable | ... | heap zone |
 *	  frames: live (the program's), free, or on their way
 *
 * A frame belongs to the program while it is marked live (marks.h). Freeing
 * takes that mark away atomically, so each frame is freed exactly once,
 * whatever the program does at once. The frame reaches the allocator only when
 * it is fit to be served again, or marked with what is left to do (dirty: zero
 * it). What the program did to a mapping (protection, advice, lock, another
 * mapping over it) is undone by a fresh mapping as soon as the frame is freed;
 * or when it serves again, where the kernel has no room for one more mapping.
 *
 * All functions may run beside each other on any thread and in signal
 * handlers; none locks, allocates or touches errno. Two kinds of calls wait:
 * detaching waits a few milliseconds for frames that are on their way, and a
 * call that needs certain frames waits until the background thread returns
 * them. A thread that never goes on keeps the frames it was about to hand out
 * or to free.
 *
 * Results are the kernel's: 0 or an address, or -errno. Regions are in bytes,
 * whole pages, and do not wrap (preload/sys/pages.h).
 */
#pragma once

#include "preload/reason.h"
#include "preload/sys/pages.h"

#include <llfree.h>
#include <sys/types.h>

/* ------------------------------------------------------------------------ */
/* Starting                                                                  */

/* The kernel, as the arena sees it. In a sandbox `mincore` and `is_mapped`
 * fail, MAP_FIXED_NOREPLACE is not passed on, and `yield` returns at once. */
struct arena_os {
	long (*mmap)(void *addr, size_t len, int prot, int flags, int fd,
		     off_t offset);
	long (*munmap)(void *addr, size_t len);
	long (*mprotect)(void *addr, size_t len, int prot);
	long (*mremap)(void *addr, size_t old_len, size_t new_len, int flags,
		       void *new_addr);
	long (*madvise)(void *addr, size_t len, int advice);
	long (*munlock)(const void *addr, size_t len);
	long (*mincore)(void *addr, size_t len, unsigned char *vec);
	bool (*is_mapped)(void *addr, size_t len); /* all of it, for sure */
	unsigned (*cpu)(void);
	bool (*alone)(void); /* the program has no other thread */
	void (*yield)(unsigned tries); /* to other threads */
};

struct arena_options {
	size_t bytes;
	size_t page; /* bytes of a page of the kernel */
	size_t cores; /* slots of the allocator */
	uintptr_t hint; /* an address near the top of what a process has */
	uint64_t decay; /* see arena_age: milliseconds, 0, or ARENA_NEVER */
	size_t max; /* bytes that may be live at once; 0: any number */
	int advice; /* for all memory served: of madvise, 0 for none */
	bool limited; /* address space is short: take no more than needed */
	bool strict; /* no access after munmap */
	bool heap; /* with a zone for the main heap */
};

#define ARENA_NEVER UINT64_MAX

enum arena_state { ARENA_NEW, ARENA_STARTING, ARENA_READY, ARENA_OFF };

/* Where the arena is, for quick tests: empty until it is ready. */
extern struct region arena_bounds;

/* The part of it, at its end, that only the main heap grows into; all other
 * calls do with it as with the rest. Empty without one. */
extern struct region arena_heap_zone;

/* The allocators' own data, outside. */
extern struct region arena_data;

enum arena_state arena_state(void);
const struct arena_os *arena_kernel(void); /* once the arena is ready */

/* True for one of several callers: it calls arena_start or arena_stay_off, the
 * others go on without the arena. */
bool arena_start_once(void);
/* `os` and `options` stay in use. */
enum arena_state arena_start(const struct arena_os *os,
			     const struct arena_options *options);
/* Instead of arena_start: there will be no arena. */
void arena_stay_off(const char *why);
/* Why there is no arena, for people; "" while there is one. */
const char *arena_why_off(void);

/* ------------------------------------------------------------------------ */
/* Addresses                                                                 */

/* Whether the region reaches into the arena, in use or not. */
static inline bool arena_touches(struct region r)
{
	uintptr_t start = arena_bounds.start;
	size_t len = arena_bounds.len;

	return r.len && len &&
	       (r.start - start < len || start - r.start < r.len);
}

/* The longest part of a region, from its start on, that is of one kind. A
 * hole belongs to no one: as if nothing were mapped there. */
enum part_kind { PART_KERNEL, PART_LIVE, PART_HOLE, PART_ONLINE };
struct arena_part {
	struct region region;
	enum part_kind kind;
};
struct arena_part arena_part(struct region r);
/* The same without a difference between live and free: PART_ONLINE for both. */
struct arena_part arena_place(struct region r);

/* Each part (place) of a region, looked for when its turn comes. */
#define for_each_part(part, r)                                          \
	for (struct arena_part part = arena_part(r); (part).region.len; \
	     part = arena_part(region_from(r, region_end((part).region))))
#define for_each_place(part, r)                                          \
	for (struct arena_part part = arena_place(r); (part).region.len; \
	     part = arena_place(region_from(r, region_end((part).region))))

/* Whether any of it belongs to the arena, live or free. */
bool arena_has(struct region r);
/* Whether all of it is live; live and as the arena mapped it; free. */
bool arena_is_live(struct region r);
bool arena_is_plain(struct region r);
bool arena_is_free(struct region r);

/* Memory that to the program is one region may be several mappings (VMAs): the
 * first of them, which may be longer than this says; each of them; and a note
 * that a VMA begins at `addr`. */
struct region arena_vma(struct region r);
#define for_each_vma(vma, r)                              \
	for (struct region vma = arena_vma(r); (vma).len; \
	     vma = arena_vma(region_from(r, region_end(vma))))
void arena_vma_starts(uintptr_t addr);

/* ------------------------------------------------------------------------ */
/* Serving and freeing                                                       */

/*
 * `len` zeroed bytes, for the program: REASON_NONE and *addr, or why not.
 * Aligned to 2 MiB from that length on.
 */
enum reason arena_get(size_t len, bool populate, void **addr);

/* The same, exactly there; or false. */
bool arena_get_at(struct region r);

/*
 * The same, for a region whose first `head` bytes are about to be overwritten:
 * these hold anything, or, for FILL_CLEAN, zeros without a page resident.
 */
enum fill { FILL_ZERO, FILL_CLEAN, FILL_ANY };
enum reason arena_get_for(size_t len, size_t head, enum fill fill,
			  uintptr_t *addr);

/* What is left in frames that are freed: LEAVE_CLEAN if no page is resident. */
enum leave { LEAVE_DIRTY, LEAVE_CLEAN };

/* Free the live frames of a region that belongs to the arena. -errno, with
 * some of them still live, when the kernel refuses what was altered a fresh
 * mapping, and to unmap it as well. */
long arena_free(struct region r, enum leave leave);

/* What a call did, in bytes. */
struct arena_tally {
	size_t ours;
	size_t kernel;
};

/* munmap, of anything: what belongs to the arena is freed, the rest goes to the
 * kernel. */
long arena_unmap(struct region r, struct arena_tally *tally);

/* ------------------------------------------------------------------------ */
/* What the kernel does to the arena's addresses                             */

/*
 * Before and after the kernel changes what frames are mapped to: these frames
 * get a fresh mapping before they serve again, or, if the program cannot tell
 * them from others, when they are freed. After, because frames that another
 * thread frees meanwhile may be mapped afresh in between.
 */
enum remap { REMAP_BEFORE_USE, REMAP_ON_FREE };
void arena_remap_later(struct region r, enum remap when);

/*
 * Before the kernel maps something over a region, and again after: what belongs
 * to the arena there becomes the program's, to be mapped afresh; trees that are
 * not mapped yet become unavailable. Nothing happens if nothing can be mapped
 * there. Frames on their way in other threads are waited for a moment. When the
 * kernel fails to map it, arena_reattach frees what was free before, and maps
 * afresh what the kernel has taken away nevertheless. `mapped`: a part of the
 * region may be mapped.
 */
#define ARENA_DETACHED_MOST 8
struct arena_detached {
	struct region region;
	size_t count;
	struct region holes[ARENA_DETACHED_MOST]; /* more stay detached */
	bool altered[ARENA_DETACHED_MOST]; /* before */
};
struct arena_detached arena_detach(struct region r);
void arena_reattach(const struct arena_detached *detached, bool mapped);

/* The same for MAP_FIXED_NOREPLACE, if all of the region is free memory of the
 * arena: then `count` is not 0. */
struct arena_detached arena_detach_free(struct region r);

/* After the kernel may have taken mappings away: live frames are free where
 * nothing is mapped. */
void arena_reclaim_unmapped(struct region r);

/* The same from `addr` on, as far as nothing is mapped. */
void arena_reclaim_hole(uintptr_t addr);

/*
 * For a program that handles its own page faults (userfaultfd): from now on no
 * page of what is served is present. arena_empty_zeros does the same to pages
 * of a live region that hold zeros only, with no other thread at work there.
 */
void arena_serve_absent(void);
void arena_empty_zeros(struct region r);

/*
 * MAP_FIXED of memory of the kind that is served, over any of the arena's: 0,
 * -errno, or 1 if a part of the region does not belong to the arena.
 */
long arena_map_over(struct region r, bool populate);

/* ------------------------------------------------------------------------ */
/* mlockall, and addresses that are given back                               */

/*
 * Around mlockall, whether the arena is ready or not. Before: what no one uses
 * is neither there to be locked nor populated. After: nor is what was freed
 * meanwhile.
 */
void arena_close_free(void);
void arena_locked(void);
/* From now on what is mapped is locked at once: nothing is served but at places
 * asked for (arena_get_at), mapped afresh, and nothing serves again. Returns
 * what was so before. */
bool arena_lock_all(bool all);

/*
 * Give addresses back, when the kernel refuses something: trees of which
 * nothing is in use are unmapped, and mapped again when they are needed; what
 * is free in others becomes as few mappings as can be. True if that changed
 * anything.
 */
bool arena_trim(void);

/* ------------------------------------------------------------------------ */
/* From time to time, and around a fork                                      */

/*
 * Give back what has been free for longer than options.decay, and not twice as
 * long, if this is called often: a part of the work that is due `now` (a clock
 * in milliseconds). `budget` is a number of 2 MiB frames to look at; one that
 * is given back counts as ARENA_PURGE.
 */
#define ARENA_PURGE 64u
void arena_age(uint64_t now, size_t budget);

/* The same by the background thread, of which there is one: a huge frame at
 * most. Returns when to call again, `now` for at once. It also reaches the heap
 * zone. */
uint64_t arena_age_step(uint64_t now);

/* Between these two the background thread has no frame borrowed: around a fork,
 * and while figures are to be exact. They nest. */
void arena_quiesce(void);
void arena_resume(void);

/* In a child of fork, whose other threads are gone: what they were bringing
 * online is in the hands of no one; frames on their way, and those that they
 * had claimed and not yet taken, stay out of use. */
void arena_forked(void);

/* ------------------------------------------------------------------------ */
/* For the report                                                            */

/* Sizes in frames; exact when no other thread is at work. */
struct arena_snapshot {
	size_t frames, online, trees;
	size_t live, live_peak, inherited, dirty, resident;
	size_t leaked; /* neither live nor free: unavailable, or on their way */
	size_t free_frames, free_huge, free_trees; /* exact scan */
	size_t fast_free; /* the allocators' own counters */
	size_t claimed; /* which threads that are gone had counted down */
	size_t per_huge[9]; /* huge frames with none free, 1/8, ... all free */
	llfree_counters_t counters; /* of this process */
};
void arena_snapshot(struct arena_snapshot *snapshot);
