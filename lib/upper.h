/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The upper allocator: which tree a request is served from, so that cores keep
 * out of each other's cache lines and large free frames stay whole. Volatile,
 * rebuilt at start.
 *
 * A request claims frames from the count of a slot or a tree entry, then has
 * the lower allocator find them in that tree, and gives the claim back when it
 * cannot. A slot takes a tree over only after a request succeeded in it.
 *
 * When nothing was found, memory must have been short at one moment, and not
 * only have been moving past the search: a get fails only after a pass over
 * all trees and slots with none of their words changed meanwhile. Such a pass
 * claims only what the lower allocator seems to have, so that requests that
 * fail do not keep each other going: each repetition means that another
 * request succeeded or is on its way to.
 *
 * Frames on their way from an entry to a slot or back are in neither. A thread
 * that stops there hides one tree.
 */
#pragma once

#include "lib/local.h"
#include "lib/lower.h"
#include "lib/tree.h"

struct llfree {
	lower_t lower;
	tree_t *trees;
	local_t *locals; /* by class; one more for requests without a slot */
	llfree_policy_fn policy;
	uint32_t first_slot[LLFREE_MAX_CLASSES + 1];
	uint8_t configured; /* bit c: class c */
	uint8_t default_class;
};
_Static_assert(sizeof(struct llfree) <= 2 * LLFREE_CACHE_SIZE, "by contract");

static inline size_t upper_trees(const llfree_t *self)
{
	return div_ceil(self->lower.frames, LLFREE_TREE_SIZE);
}

static inline size_t upper_slots(const llfree_t *self)
{
	return self->first_slot[LLFREE_MAX_CLASSES];
}

static inline bool upper_has_class(const llfree_t *self, unsigned class)
{
	return class < LLFREE_MAX_CLASSES && (self->configured >> class & 1);
}

/* Frames come into their tree, but not into its slot. */
static inline void upper_give_tree(const llfree_t *self, tree_id_t tree,
				   size_t frames)
{
	size_t managed = lower_tree_frames(&self->lower, tree);
	tree_t was, next;

	(void)atom_update(&self->trees[tree.value], was, next,
			  tree_give(&next, frames, managed,
				    self->default_class));
}

/* Gives a claim back to where it most likely came from. */
static inline void upper_unclaim(const llfree_t *self, local_t *local,
				 tree_id_t tree, size_t frames)
{
	slot_t was, next;

	if (!local || !atom_update(&local->slot, was, next,
				   slot_give(&next, tree, frames)))
		upper_give_tree(self, tree, frames);
}

/* Counts frames just freed, where the next get of this slot finds them. */
static inline void upper_freed(const llfree_t *self, local_t *local,
			       frame_id_t at, size_t frames)
{
	slot_t was, next;

	if (!local || !atom_update(&local->slot, was, next,
				   slot_give_at(&next, at, frames)))
		upper_give_tree(self, tree_of_frame(at), frames);
}

/* Is the place of the last get worth an update of the slot? Not for what is
 * found by a look at one cache line anyway. */
static inline bool upper_moved(frame_id_t hint, frame_id_t at, size_t frames)
{
	if (frames >= LLFREE_HUGE_SIZE)
		return false;
	if (huge_of_frame(hint).value != huge_of_frame(at).value)
		return true;
	return frames <= ROW_FRAMES / 16 &&
	       hint.value / ROW_FRAMES != at.value / ROW_FRAMES;
}

/* From the tree that the slot has: the path that nearly all gets take. */
HOT frame_id_optional_t upper_get_own(const llfree_t *self, local_t *local,
				      want_t want)
{
	slot_t was, next;

	if (!atom_update(&local->slot, was, next,
			 slot_claim(&next, want.frames)))
		return frame_id_none();

	frame_id_t from = slot_frame(was);
	found_t found = lower_get(&self->lower, from, want);

	if (!found.ok) {
		upper_unclaim(self, local, slot_tree(was),
			      want.frames - found.lost);
		return frame_id_none();
	}
	if (upper_moved(from, found.first, want.frames))
		(void)atom_update(&local->slot, was, next,
				  slot_move(&next, found.first));
	return frame_id_some(found.first);
}

/* From anywhere, when the own slot (or null) has nothing that fits. */
llfree_result_t upper_get(const llfree_t *self, want_t want, uint8_t class,
			  local_t *local);

/* Exactly these frames, all of one tree. */
llfree_result_t upper_get_at(const llfree_t *self, want_t want, uint8_t class,
			     local_t *local, frame_id_t first);

/* May it, at this moment? Writes nothing. */
bool upper_may_get_at(const llfree_t *self, size_t frames, uint8_t class,
		      frame_id_t first);

/* Empties a slot. */
void upper_drain(const llfree_t *self, local_t *local);

/* Changes when anything comes to or goes from an entry or a slot: of all
 * trees, or of one. */
uint64_t upper_stamp(const llfree_t *self);
uint64_t upper_tree_stamp(const llfree_t *self, tree_id_t tree);
