/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Slots: the tree that a core (or whatever a caller makes a slot) has reserved.
 *
 *   bit  0      present
 *   bits 1-19   free frames it has taken along
 *   bits 20-27  version: rises with every give and every change of the tree,
 *               so that a search that sees the same slot twice knows that
 *               nothing came or went in between
 *   bits 28-63  row of 64 frames at which the next search begins; the tree is
 *               the one that this row is in
 *
 * A slot usually belongs to one core; anyone may take from it when nothing
 * else fits. Each has its cache line to itself.
 */
#pragma once

#include "lib/bitfield.h"

typedef uint64_t slot_t;

#define SLOT_PRESENT ((slot_t)1)
#define SLOT_FREE_SHIFT 1u
#define SLOT_FREE_BITS 19u
#define SLOT_FREE (((slot_t)1 << SLOT_FREE_BITS) - 1)
#define SLOT_VERSION_SHIFT (SLOT_FREE_SHIFT + SLOT_FREE_BITS)
#define SLOT_VERSION_ONE ((slot_t)1 << SLOT_VERSION_SHIFT)
#define SLOT_VERSION ((slot_t)0xff << SLOT_VERSION_SHIFT)
#define SLOT_ROW_SHIFT (SLOT_VERSION_SHIFT + 8u)

/* The most frames whose rows can be numbered. */
#define SLOT_MAX_FRAMES \
	(UINT64_C(1) << (64 - SLOT_ROW_SHIFT + LLFREE_ATOMIC_ORDER))

_Static_assert(LLFREE_TREE_SIZE <= SLOT_FREE, "the count must fit");

typedef struct {
	_Alignas(LLFREE_CACHE_SIZE) slot_t slot;
	/* For llfree_counters. */
	uint64_t reservations;
	uint64_t steals;
	uint64_t demotions;
	uint64_t raids;
} local_t;
_Static_assert(sizeof(local_t) == LLFREE_CACHE_SIZE, "one line each");

static inline bool slot_is_present(slot_t slot)
{
	return (slot & SLOT_PRESENT) != 0;
}

static inline size_t slot_free(slot_t slot)
{
	return (slot >> SLOT_FREE_SHIFT) & SLOT_FREE;
}

/* First frame of the row where the next search begins. */
static inline frame_id_t slot_frame(slot_t slot)
{
	return frame_id((slot >> SLOT_ROW_SHIFT) * ROW_FRAMES);
}

static inline tree_id_t slot_tree(slot_t slot)
{
	return tree_of_frame(slot_frame(slot));
}

static inline bool slot_holds(slot_t slot, tree_id_t tree)
{
	return slot_is_present(slot) && slot_tree(slot).value == tree.value;
}

static inline bool slot_claim(slot_t *slot, size_t frames)
{
	if (slot_free(*slot) < frames)
		return false;
	*slot -= (slot_t)frames << SLOT_FREE_SHIFT;
	return true;
}

static inline slot_t slot_next_version(slot_t slot)
{
	return (slot & ~SLOT_VERSION) |
	       ((slot + SLOT_VERSION_ONE) & SLOT_VERSION);
}

/* Frames come in; no when it has another tree by now. */
static inline bool slot_give(slot_t *slot, tree_id_t tree, size_t frames)
{
	if (!slot_holds(*slot, tree) ||
	    slot_free(*slot) + frames > LLFREE_TREE_SIZE)
		return false;
	*slot = slot_next_version(*slot +
				  ((slot_t)frames << SLOT_FREE_SHIFT));
	return true;
}

/* No tree any more. */
static inline bool slot_empty(slot_t *slot)
{
	*slot = slot_next_version(*slot) & SLOT_VERSION;
	return true;
}

/* Another tree, with so many frames, in which the search begins at `at`. */
static inline bool slot_replace(slot_t *slot, frame_id_t at, size_t free)
{
	(void)slot_empty(slot);
	*slot |= SLOT_PRESENT | (slot_t)free << SLOT_FREE_SHIFT |
		 at.value / ROW_FRAMES << SLOT_ROW_SHIFT;
	return true;
}

/* The next search begins at this frame of the tree it has. */
static inline bool slot_move(slot_t *slot, frame_id_t at)
{
	if (!slot_holds(*slot, tree_of_frame(at)))
		return false;
	*slot = (*slot & (((slot_t)1 << SLOT_ROW_SHIFT) - 1)) |
		at.value / ROW_FRAMES << SLOT_ROW_SHIFT;
	return true;
}

/* What was just freed is what the next search should find. */
static inline bool slot_give_at(slot_t *slot, frame_id_t at, size_t frames)
{
	return slot_give(slot, tree_of_frame(at), frames) &&
	       slot_move(slot, at);
}
