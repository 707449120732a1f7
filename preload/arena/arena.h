/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The arena: a range of addresses, far from where programs and the kernel map
 * things, whose frames LLFree hands out.
 *
 * Nothing is reserved. The range is divided into trees (16 MiB), and a tree
 * becomes ours when the first frame is served from it: its addresses are then
 * mapped, readable and writable, and stay so (see arena_trim). So the process
 * is charged for what it uses only, limits on its address space keep their
 * meaning, and all the addresses of other trees are as they would be without
 * us. If someone else got there first, the tree is never used.
 *
 *	base                                            base + bytes
 *	| ours (online) | not ours yet | someone else's | ... |
 *	  frames: live (the program's), free, or on the way
 *
 * A frame belongs to the program while it is marked live (mark.h). Freeing
 * takes that mark away atomically, so each frame is freed exactly once,
 * whatever the program does at once; it reaches the allocator only when it is
 * fit to be served again, or marked with what is left to do (dirty: zero it).
 * What the program did to a mapping (protection, advice, lock, another mapping
 * over it) is undone by a fresh mapping as soon as the frame is freed; or by
 * none until it serves again, where the kernel has no room for one more.
 *
 * All functions may run beside each other on any thread and in signal
 * handlers; none locks, allocates or touches errno. None waits but arena_detach,
 * for some milliseconds at most, and what needs frames that the background
 * thread has borrowed, for the fraction of one until it returns them. A thread
 * that never goes on keeps the frames it was about to hand out or to free.
 *
 * Results are as the kernel's: 0 or an address, or -errno. Lengths and
 * addresses are in bytes and whole pages unless said otherwise.
 */
#pragma once

#include "preload/arena/marks.h"
#include "preload/reason.h"

#include <llfree.h>
#include <sys/types.h>

/* The kernel, as the arena sees it. */
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
	unsigned (*cpu)(void);
	bool (*alone)(void); /* no other thread is there */
	void (*yield)(unsigned tries); /* to threads that go on */
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
	bool heap; /* with a window for the main heap */
};

#define ARENA_NEVER UINT64_MAX

enum arena_state { ARENA_NEW, ARENA_STARTING, ARENA_READY, ARENA_OFF };

/* Where it is, for quick tests: empty until it is ready. */
struct arena_range {
	uintptr_t base;
	size_t bytes;
};
extern struct arena_range arena_range;

/* The part of it at its end that only the main heap grows into (heap.h); all
 * other calls do with it as with the rest. Empty without one. */
extern struct arena_range arena_heap_zone;

/* The allocators' own data, outside. */
extern struct arena_range arena_data;

enum arena_state arena_state(void);
const struct arena_os *arena_kernel(void); /* once it is ready */

/* Sets up, once: of several callers one does it, the others go on without.
 * True for the one. */
bool arena_start_once(void);
enum arena_state arena_start(const struct arena_os *os,
			     const struct arena_options *options);
/* Instead of arena_start: there will be none. */
void arena_stay_off(const char *why);
/* Why there is none, for people; "" while there is. */
const char *arena_why_off(void);

/* Whether [addr, addr + len) reaches into the arena, ours or not. */
static inline bool arena_touches(uintptr_t addr, size_t len)
{
	uintptr_t base = arena_range.base;
	size_t bytes = arena_range.bytes;

	return len && bytes && (addr - base < bytes || base - addr < len);
}

/*
 * [start, start + len): the longest part, from its start on, that is alike.
 * PART_HOLE belongs to no one: as if nothing were mapped there.
 */
enum arena_kind { PART_KERNEL, PART_LIVE, PART_HOLE };
struct arena_part {
	uintptr_t start;
	size_t len;
	enum arena_kind kind;
};
struct arena_part arena_part(uintptr_t start, uintptr_t end);
/* The same, without a difference between PART_LIVE (for both) and _HOLE. */
struct arena_part arena_place(uintptr_t start, uintptr_t end);

/* Whether any of it is ours, used or free. */
bool arena_has(uintptr_t addr, size_t len);

/* All of it is live, and nothing of it has a mark of the set `without`. */
bool arena_is_live(uintptr_t addr, size_t len, unsigned without);

/* Serving */

/*
 * `len` zeroed bytes, for the program: REASON_NONE and *addr, or the reason
 * why not. Aligned to 2 MiB from that length on.
 */
enum reason arena_get(size_t len, bool populate, void **addr);

/* The same, exactly at `addr`; or false. */
bool arena_get_at(uintptr_t addr, size_t len);

/*
 * The same, for a region whose first `head` bytes are about to be overwritten:
 * these hold anything, or, for FILL_CLEAN, zeros without a page resident.
 */
enum fill { FILL_ZERO, FILL_CLEAN, FILL_ANY };
enum reason arena_get_for(size_t len, size_t head, enum fill fill,
			  uintptr_t *addr);

/* What is left in frames that are freed: LEAVE_CLEAN if no page is resident. */
enum leave { LEAVE_DIRTY, LEAVE_CLEAN };

/* Frees the live frames in a range that is ours. -errno, with some of them
 * still live, when the kernel refuses what was altered a fresh mapping, and to
 * unmap it as well. */
long arena_free(uintptr_t addr, size_t len, enum leave leave);

/* What a call did, in bytes. */
struct arena_tally {
	size_t ours;
	size_t kernel;
};

/* munmap, of anything: what is ours is freed, the rest goes to the kernel. */
long arena_unmap(uintptr_t addr, size_t len, struct arena_tally *tally);

/* Altering */

/* Before and after the kernel changes what frames are mapped to: see MARK_.
 * After, because what another thread has free or on its way meanwhile may have
 * been mapped afresh in between. */
void arena_alter(uintptr_t addr, size_t len, enum mark mark);

/* Memory of ours that to the program is one may be several mappings: what is
 * at `addr` begins one of its own; the length of the first of [addr, addr +
 * len), which may be shorter than that really is. */
void arena_vma_starts(uintptr_t addr);
size_t arena_vma_length(uintptr_t addr, size_t len);

/*
 * Before something is mapped over [addr, addr + len), and again after: makes
 * what is ours there the program's, and altered; trees that are not ours yet
 * never will be. Nothing if nothing can be mapped there. What is on its way in another thread is waited for a moment.
 * When the kernel fails to map it,
 * arena_reattach frees what was free before, and maps afresh what the kernel
 * has taken away nevertheless. `mapped`: a part of it may be mapped there.
 */
#define ARENA_DETACHED_MOST 8
struct arena_detached {
	uintptr_t addr;
	size_t len;
	size_t count;
	struct arena_part
		holes[ARENA_DETACHED_MOST]; /* more of them stay claimed */
	bool altered[ARENA_DETACHED_MOST]; /* before */
};
struct arena_detached arena_detach(uintptr_t addr, size_t len);
void arena_reattach(const struct arena_detached *detached, bool mapped);

/* After the kernel may have taken mappings in the range away: live frames there
 * are free then; where something is mapped nothing happens. */
void arena_reclaim_unmapped(uintptr_t addr, size_t len);

/* As arena_reclaim_unmapped from `addr` on, as far as nothing is mapped; its length. */
size_t arena_reclaim_hole(uintptr_t addr);

/* The same for MAP_FIXED_NOREPLACE, if all of the range is free memory of the
 * arena: then detached.count is not 0. */
struct arena_detached arena_detach_free(uintptr_t addr, size_t len);

/*
 * MAP_FIXED of memory of the kind that is served, over any of ours: 0, -errno,
 * or 1 if a part of the range is not ours.
 */
long arena_map_over(uintptr_t addr, size_t len, bool populate);

/* Whether all of it is free memory of the arena, at the moment. */
bool arena_is_free(uintptr_t addr, size_t len);

/*
 * For mlockall, ready or not. Before: what no one uses is neither there to be
 * locked nor populated. After: nor is what was freed meanwhile.
 */
void arena_close_free(void);
void arena_locked(void);
/* From now on what is mapped is locked at once: nothing is served but at places
 * asked for (arena_get_at), mapped afresh, and nothing again. What was so
 * before. */
bool arena_lock_all(bool all);

/*
 * Gives addresses back: trees of which nothing is in use are unmapped, and
 * mapped again when they are needed; what is free in others becomes as few
 * mappings as can be. True if there was one. For when the kernel refuses
 * something.
 */
bool arena_trim(void);

/*
 * Gives back what has been free for longer than options.decay, and not twice as
 * long, if this is called often: a part of the work that is due `now` (a clock
 * in milliseconds). `budget` is a number of 2 MiB frames to look at; one that
 * is given back counts as ARENA_PURGE.
 */
#define ARENA_PURGE 64u
void arena_age(uint64_t now, size_t budget);

/* The same by a thread that does nothing else, and of which there is one: a
 * huge frame at most. When to call again, `now` for at once. It also reaches
 * the heap's window. */
uint64_t arena_age_step(uint64_t now);

/* Between these two that thread has no frame borrowed: around a fork, and while
 * figures are to be exact. They nest. */
void arena_quiesce(void);
void arena_resume(void);

/* In a child of fork, as early as can be: what other threads were bringing
 * online is in the hands of no one. */
void arena_forget_threads(void);

/* In a child of fork: frames on the way in threads that are gone, and those
 * that they had claimed and not yet taken, stay out. */
void arena_forked(void);

/* For the report; sizes in frames, exact when no one else is at work. */
struct arena_snapshot {
	size_t frames, online, trees;
	size_t live, live_peak, inherited, dirty, resident;
	size_t leaked; /* neither live nor free: someone else's, or on the way */
	size_t free_frames, free_huge, free_trees; /* exact scan */
	size_t fast_free; /* the allocator's own counters */
	size_t claimed; /* which threads that are gone had counted down */
	size_t per_huge[9]; /* huge frames with none free, 1/8, ... all free */
	llfree_counters_t counters; /* of this process */
};
void arena_snapshot(struct arena_snapshot *figures);
