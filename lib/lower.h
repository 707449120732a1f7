/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The lower allocator: which frames are allocated. Everything here is rebuilt
 * from its one buffer after a crash; nothing above it has to persist.
 *
 *   buffer: | bitfield of each huge frame, 64 bytes | children, a line a tree |
 *
 * A tree's children share a cache line with no other tree. Entries past the
 * end of the managed range are set allocated and stay so.
 *
 * A get of part of a huge frame claims from the child's count, then takes
 * bits, and gives back when there is no run. A put clears bits, then counts.
 * All functions but init may run beside each other on any threads.
 *
 * A search stays within one tree: the upper allocator chooses the tree.
 * Spans that are named (get_at, put) do not cross a tree either.
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

/* Alone. */
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

/* Frames of a tree that are managed: fewer in a partial last tree. */
static inline size_t lower_tree_frames(const lower_t *self, tree_id_t tree)
{
	return size_min(LLFREE_TREE_SIZE,
			self->frames - frame_of_tree(tree).value);
}

/* Huge frames of a tree that are managed, a partial last one included. */
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
 * What a get came to: the first frame, or how many of the frames that it held
 * for a moment a wrong put of another thread has freed and counted meanwhile.
 * Whoever gives back a claim must leave those out.
 */
typedef struct {
	bool ok;
	union {
		frame_id_t first;
		size_t lost;
	};
} found_t;

static inline found_t found(frame_id_t first)
{
	return (found_t){ .ok = true, .first = first };
}

static inline found_t not_found(size_t lost)
{
	return (found_t){ .ok = false, .lost = lost };
}

/* A claim keeps the generation as it is: it is that of now. */
static inline void lower_unclaim(child_t *child, size_t frames)
{
	child_t was, next;
	bool given =
		atom_update(child, was, next, child_give(&next, frames, next));

	llfree_assert(given);
	(void)given;
}

/* Anywhere in the tree of `from`: the slow part of lower_get. */
found_t lower_search(const lower_t *self, frame_id_t from, want_t want);

/* One huge frame, from that of `from` on. */
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

/* Up to a row, in the huge frame of `from` if possible. */
HOT found_t lower_get_order(const lower_t *self, frame_id_t from, want_t want)
{
	huge_id_t huge = huge_of_frame(from);
	child_t *child = lower_child(self, huge);
	child_t was, next;
	size_t first;

	if (!atom_update(child, was, next, child_claim(&next, want.frames)))
		return lower_search(self, from, want);
	if (bitfield_take_order(lower_field(self, huge),
				frame_in_huge(from) / ROW_FRAMES, want.align,
				&first))
		return found(frame_plus(frame_of_huge(huge), first));
	lower_unclaim(child, want.frames);
	return lower_search(self, from, want);
}

/* Allocates in the tree of `from`, where the search begins. */
HOT found_t lower_get(const lower_t *self, frame_id_t from, want_t want)
{
	if (want.frames == (size_t)1 << want.align) {
		if (want.align <= LLFREE_ATOMIC_ORDER)
			return lower_get_order(self, from, want);
		if (want.align == LLFREE_HUGE_ORDER)
			return lower_get_huge(self, from);
	}
	return lower_search(self, from, want);
}

/*
 * Allocates single frames in the tree of `from`, where the search begins: up
 * to `most`. How many; fewer when there are no more, or for others in the way.
 */
size_t lower_get_some(const lower_t *self, frame_id_t from, frame_id_t *frames,
		      size_t most);

/* What a put of some frames of a row came to. */
typedef enum {
	ROW_PUT, /* all of them are free */
	ROW_KEPT, /* one of them is not allocated: nothing has changed */
	ROW_PUT_TWICE, /* another call freed them with their huge frame */
} row_put_t;

/* Frees these frames of the row that begins at `first`, in one step. */
row_put_t lower_put_row(const lower_t *self, frame_id_t first, row_t mask);

/* Allocates exactly these frames of one tree, or none. */
found_t lower_get_at(const lower_t *self, frame_id_t first, size_t frames);

/* Are they all allocated? */
bool lower_is_allocated(const lower_t *self, frame_id_t first, size_t frames);

/*
 * Frees a part of a huge frame whose child was `seen` neither whole nor busy;
 * how much. Within a row it is all or nothing.
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
	/* Who split it may not have come to persisting that. */
	llfree_persist(lower_child(self, huge), sizeof(child_t));
	return frames;
}

/* The slow part of lower_put. */
size_t lower_put_span(const lower_t *self, frame_id_t first, size_t frames);

/*
 * Frees these frames of one tree and tells how many: all, or none when one of
 * them is not allocated. In between only when another thread frees some of
 * them at the same time.
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

/* May a search in this tree find something? No is certain at that moment. */
bool lower_may_fit(const lower_t *self, tree_id_t tree, want_t want);

/*
 * The next place from `first` on, in any tree, at which a want of whole huge
 * frames (aligned to at least that) seems to fit.
 */
bool lower_find_whole(const lower_t *self, frame_id_t *first, want_t want);

/* Free frames by the counts: what can be claimed. */
size_t lower_count_in_tree(const lower_t *self, tree_id_t tree);

/* Free frames by the bits: exact at rest. */
size_t lower_free_in_huge(const lower_t *self, huge_id_t huge);
size_t lower_free_in_tree(const lower_t *self, tree_id_t tree);
bool lower_is_free(const lower_t *self, frame_id_t frame);

/* Null when all invariants hold (at rest), else which one does not. */
const char *lower_broken(const lower_t *self);
