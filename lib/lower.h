/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The lower allocator: which frames are allocated. Its one buffer is all that
 * recovery needs after a crash; nothing above it has to persist.
 *
 *   buffer: | bitfield of each huge frame, 64 bytes | children, a line a tree |
 *
 * A tree's children share a cache line with no other tree. Entries past the
 * end of the managed range are set allocated and stay so.
 *
 * A get of part of a huge frame lowers the child's count, then takes bits, and
 * raises the count again when there is no run. A put clears bits, then raises
 * the count. All functions but lower_init may run at once on any threads.
 *
 * A search stays within one tree, which the upper allocator chooses. The span
 * of a get at a place, or of a put, lies within one tree as well.
 */
#pragma once

#include "lib/whole.h"

typedef struct {
	bitfield_t *fields;
	child_t *children;
	size_t frames;
} lower_t;

/* Entries from one tree's children to the next tree's. */
#define CHILD_STRIDE                                                \
	(LLFREE_TREE_CHILDREN * sizeof(child_t) < LLFREE_CACHE_SIZE \
		 ? LLFREE_CACHE_SIZE / sizeof(child_t)              \
		 : LLFREE_TREE_CHILDREN)

/*
 * Limits of a search. A search that fails repeats its pass when an entry that
 * it read has changed meanwhile, since what it looked for may have moved past
 * it. Each change means that another thread made progress, so repeating without
 * a limit would be lock-free; the limit bounds the time that one call can take
 * while other threads move frames all the time. A tree has few places that can
 * be passed, all trees have many.
 */
#define TREE_PASSES 8u /* over the huge frames of a tree */
#define ALL_PASSES 16u /* over all trees */

/* A search for the best tree compares so many. More find a slightly better
 * tree, and each costs a cache line. */
#define SEARCH_WINDOW 32u

/* How the buffer becomes the state. */
typedef enum {
	LOWER_FREE,
	LOWER_FREE_ZEROED, /* the buffer is zero already */
	LOWER_ALLOC,
	LOWER_RECOVER,
	LOWER_KEEP,
} lower_init_t;

/* Bytes of the buffer. */
size_t lower_size(size_t frames);

/* No other call may run at the same time. */
void lower_init(lower_t *self, size_t frames, uint8_t *buffer,
		lower_init_t init);

static inline bitfield_t *lower_field(const lower_t *self, huge_id_t huge)
{
	return &self->fields[huge.value];
}

static inline child_t *lower_child(const lower_t *self, huge_id_t huge)
{
	size_t tree = tree_of_huge(huge).value;

	return &self->children[tree * CHILD_STRIDE +
			       huge.value % LLFREE_TREE_CHILDREN];
}

/* Return how many frames of a tree are managed: fewer in a partial last one. */
static inline size_t lower_tree_frames(const lower_t *self, tree_id_t tree)
{
	return size_min(LLFREE_TREE_SIZE,
			self->frames - frame_of_tree(tree).value);
}

/* Return how many huge frames of a tree are managed, a partial one included. */
static inline size_t lower_tree_huge(const lower_t *self, tree_id_t tree)
{
	return div_ceil(lower_tree_frames(self, tree), LLFREE_HUGE_SIZE);
}

HOT bool lower_whole_get(const lower_t *self, huge_id_t huge, unsigned lanes)
{
	return whole_get(lower_child(self, huge), lower_field(self, huge),
			 lanes);
}

HOT bool lower_whole_put(const lower_t *self, huge_id_t huge, unsigned lanes)
{
	return whole_put(lower_child(self, huge), lower_field(self, huge),
			 lanes);
}

/*
 * The result of a get: the first frame, or a failure. A failed get held some
 * frames for a moment. A wrong put of another thread may have freed some of
 * these, and counted them; `already_freed` is their number. They must not be
 * counted again when the claim is given back.
 */
typedef struct {
	bool ok;
	union {
		frame_id_t first;
		size_t already_freed;
	};
} found_t;

static inline found_t found(frame_id_t first)
{
	return (found_t){ .ok = true, .first = first };
}

static inline found_t not_found(size_t already_freed)
{
	return (found_t){ .ok = false, .already_freed = already_freed };
}

/* Give a claim back. While the claim exists, the generation cannot change. */
static inline void lower_unclaim(child_t *child, size_t frames)
{
	child_t was, next;
	bool given =
		atom_update(child, was, next, child_give(&next, frames, next));

	llfree_assert(given);
	(void)given;
}

/* Search the whole tree of `from`: the slow path of lower_get. */
found_t lower_search(const lower_t *self, frame_id_t from, run_t run);

/* Get one huge frame; the search begins at that of `from`. */
HOT found_t lower_get_huge(const lower_t *self, frame_id_t from)
{
	size_t start = huge_of_frame(from).value;
	size_t base = start - start % LLFREE_TREE_CHILDREN;

	for (size_t i = 0; i < LLFREE_TREE_CHILDREN; i++) {
		huge_id_t huge =
			huge_id(base + (start + i) % LLFREE_TREE_CHILDREN);

		if (lower_whole_get(self, huge, 1))
			return found(frame_of_huge(huge));
	}
	return not_found(0);
}

/* Get at most a row, in the huge frame of `from` if possible. */
HOT found_t lower_get_order(const lower_t *self, frame_id_t from, run_t run)
{
	huge_id_t huge = huge_of_frame(from);
	child_t *child = lower_child(self, huge);
	child_t was, next;
	size_t first;

	if (!atom_update(child, was, next, child_claim(&next, run.frames)))
		return lower_search(self, from, run);
	if (bitfield_take_order(lower_field(self, huge),
				frame_in_huge(from) / ROW_FRAMES, run.align,
				&first))
		return found(frame_plus(frame_of_huge(huge), first));
	lower_unclaim(child, run.frames);
	return lower_search(self, from, run);
}

/* Allocate in the tree of `from`; the search begins at `from`. */
HOT found_t lower_get(const lower_t *self, frame_id_t from, run_t run)
{
	if (run.frames == (size_t)1 << run.align) {
		if (run.align <= LLFREE_ATOMIC_ORDER)
			return lower_get_order(self, from, run);
		if (run.align == LLFREE_HUGE_ORDER)
			return lower_get_huge(self, from);
	}
	return lower_search(self, from, run);
}

/*
 * Allocate up to `most` single frames in the tree of `from`; the search begins
 * at `from`. Return how many: fewer when the tree has no more, or when other
 * threads take frames at the same time.
 */
size_t lower_get_some(const lower_t *self, frame_id_t from, frame_id_t *frames,
		      size_t most);

/* The result of a put of some frames of a row. */
typedef enum {
	ROW_PUT, /* all of them are free */
	ROW_KEPT, /* one of them is not allocated: nothing has changed */
	ROW_PUT_TWICE, /* another call freed them with their huge frame */
} row_put_t;

/* Free these frames of the row that begins at `first`, in one step. */
row_put_t lower_put_row(const lower_t *self, frame_id_t first, row_t mask);

/* Allocate exactly these frames of one tree, or none. */
found_t lower_get_at(const lower_t *self, frame_id_t first, size_t frames);

/* Return whether all of them are allocated. */
bool lower_is_allocated(const lower_t *self, frame_id_t first, size_t frames);

/*
 * Free a part of a huge frame; return how many frames. The child as it was
 * `seen` is neither whole nor busy. Within a row it is all or nothing.
 */
HOT size_t lower_put_seen(const lower_t *self, frame_id_t first, size_t frames,
			  child_t seen)
{
	huge_id_t huge = huge_of_frame(first);
	bitfield_t *field = lower_field(self, huge);
	size_t at = frame_in_huge(first);
	child_t was, next;

	if (at % ROW_FRAMES + frames > ROW_FRAMES)
		frames = bitfield_clear(field, at, frames);
	else if (!bitfield_clear_row(field, at, frames))
		return 0;
	if (!atom_update(lower_child(self, huge), was, next,
			 child_give(&next, frames, seen)))
		return 0;
	/* The thread that split it may have stopped before it persisted that. */
	llfree_persist(lower_child(self, huge), sizeof(child_t));
	return frames;
}

/* The slow path of lower_put. */
size_t lower_put_span(const lower_t *self, frame_id_t first, size_t frames);

/*
 * Free these frames of one tree; return how many: all, or none when one of
 * them is not allocated. Only when another thread frees some of them at the
 * same time may it be a part.
 */
HOT size_t lower_put(const lower_t *self, frame_id_t first, size_t frames)
{
	huge_id_t huge = huge_of_frame(first);
	child_t seen = atom_load_acquire(lower_child(self, huge));

	if (first.value % ROW_FRAMES + frames <= ROW_FRAMES &&
	    !(seen & CHILD_WHOLE))
		return lower_put_seen(self, first, frames, seen);
	if (frames == LLFREE_HUGE_SIZE && frame_in_huge(first) == 0 &&
	    lower_whole_put(self, huge, 1))
		return frames;
	return lower_put_span(self, first, frames);
}

/* Return whether a search in this tree may succeed. False is certain at one
 * moment within the call. */
bool lower_may_fit(const lower_t *self, tree_id_t tree, run_t run);

/*
 * Find the next place from `first` on, in any tree, at which a run of whole
 * huge frames seems to fit. The run is aligned to at least a huge frame.
 */
bool lower_find_whole(const lower_t *self, frame_id_t *first, run_t run);

/* Return the free frames by the counts: what can be claimed. */
size_t lower_count_in_tree(const lower_t *self, tree_id_t tree);

/* Return the free frames by the bits: exact at rest. */
size_t lower_free_in_huge(const lower_t *self, huge_id_t huge);
size_t lower_free_in_tree(const lower_t *self, tree_id_t tree);
bool lower_is_free(const lower_t *self, frame_id_t frame);

/* Return null when all invariants hold, else which one does not. At rest. */
const char *lower_broken(const lower_t *self);
