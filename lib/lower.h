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

#include "lib/bitfield.h"
#include "lib/child.h"

typedef struct {
	bitfield_t *fields;
	child_t *children;
	size_t frames;
} lower_t;

/* Entries from one tree's children to the next tree's. */
#define CHILD_STRIDE                                                     \
	(LLFREE_TREE_CHILDREN * sizeof(child_t) < LLFREE_CACHE_SIZE ?    \
		 LLFREE_CACHE_SIZE / sizeof(child_t) :                   \
		 LLFREE_TREE_CHILDREN)

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

/* The slow parts of lower_get: anywhere in the tree of `frame`. */
bool lower_get_part(const lower_t *self, frame_id_t *frame, want_t want,
		    size_t *lost);
bool lower_get_whole(const lower_t *self, frame_id_t *frame, want_t want,
		     size_t *lost);

/* Puts back a claim, whose frames hold the generation where it is. */
static inline void lower_unclaim(child_t *child, size_t frames)
{
	child_t was, next;

	(void)atom_update(child, was, next, child_give(&next, frames, next));
}

/*
 * Allocates in the tree of `frame`, beginning the search there; `frame` then
 * is the first frame allocated. When it fails, `lost` has grown by how many of
 * the frames it held for a moment a wrong put of another thread has freed and
 * counted: whoever gives back a claim for them must leave those out.
 */
static inline bool lower_get(const lower_t *self, frame_id_t *frame,
			     want_t want, size_t *lost)
{
	if (want.frames >= LLFREE_HUGE_SIZE)
		return lower_get_whole(self, frame, want, lost);
	if (want.frames > ROW_FRAMES || want.frames != 1u << want.align)
		return lower_get_part(self, frame, want, lost);

	huge_id_t huge = huge_of_frame(*frame);
	child_t *child = lower_child(self, huge);
	child_t was, next;
	size_t first;

	if (!atom_update(child, was, next, child_claim(&next, want.frames)))
		return lower_get_part(self, frame, want, lost);
	if (bitfield_take_order(lower_field(self, huge),
				frame_in_huge(*frame) / ROW_FRAMES, want.align,
				&first)) {
		*frame = frame_plus(frame_of_huge(huge), first);
		return true;
	}
	lower_unclaim(child, want.frames);
	return lower_get_part(self, frame, want, lost);
}

/* Allocates exactly these frames of one tree, or none; `lost` as above. */
bool lower_get_at(const lower_t *self, frame_id_t first, size_t frames,
		  size_t *lost);

/* Are they all allocated? */
bool lower_is_allocated(const lower_t *self, frame_id_t first, size_t frames);

/*
 * Frees these frames of one tree and tells how many: all, or none when one of
 * them is not allocated. In between only when another thread frees some of
 * them at the same time.
 */
size_t lower_put(const lower_t *self, frame_id_t first, size_t frames);

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
