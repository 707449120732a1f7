/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The upper allocator: it chooses the tree for a request, so that cores stay on
 * different cache lines and large free blocks stay whole. Volatile, rebuilt at
 * start.
 *
 * A request claims frames from the count of a tree, then the lower allocator
 * searches for them in that tree. When it finds none, the claim goes back. While
 * unreserved trees fit, a request does not use a tree that another slot has
 * reserved; before it fails, it tries these as well.
 *
 * A request fails only if memory was short at one moment: after a pass over all
 * trees during which no tree's word changed. Otherwise free frames may have
 * moved past the search, and the pass is repeated (see ALL_PASSES). A pass
 * claims frames only where the lower allocator seems to have them.
 */
#pragma once

#include "lib/local.h"
#include "lib/lower.h"
#include "lib/tree.h"

typedef struct {
	tree_line_t *trees;
	local_t *locals; /* by class; one more for requests without a slot */
	llfree_policy_fn policy;
	uint32_t first_slot[LLFREE_MAX_CLASSES + 1];
	uint8_t configured; /* bit c: class c */
	uint8_t default_class;
} upper_t;

struct llfree {
	lower_t lower;
	upper_t upper;
};
_Static_assert(sizeof(struct llfree) <= 2 * LLFREE_CACHE_SIZE, "by contract");

static inline size_t upper_trees(const llfree_t *self)
{
	return div_ceil(self->lower.frames, LLFREE_TREE_SIZE);
}

static inline size_t upper_slots(const llfree_t *self)
{
	return self->upper.first_slot[LLFREE_MAX_CLASSES];
}

static inline bool upper_has_class(const llfree_t *self, unsigned class)
{
	return class < LLFREE_MAX_CLASSES &&
	       (self->upper.configured >> class & 1);
}

/* Find the slot of a request, or null for none; false when there is no such
 * slot. */
static inline bool upper_find_local(const llfree_t *self, unsigned class,
				    size_t slot, local_t **local)
{
	*local = NULL;
	if (!upper_has_class(self, class))
		return false;
	if (slot == SIZE_MAX)
		return true;

	uint32_t first = self->upper.first_slot[class];

	if (slot >= self->upper.first_slot[class + 1] - first)
		return false;
	*local = &self->upper.locals[first + slot];
	return true;
}

static inline tree_t *upper_tree(const llfree_t *self, tree_id_t tree)
{
	return &self->upper.trees[tree.value].word;
}

/* Return where a search in a tree begins. */
static inline frame_id_t upper_hint(tree_id_t id, tree_t tree)
{
	return frame_plus(frame_of_tree(id), tree_hint(tree));
}

/* Give a claim back. */
static inline void upper_unclaim(const llfree_t *self, tree_id_t id,
				 size_t frames)
{
	size_t managed = lower_tree_frames(&self->lower, id);
	tree_t was, next;

	(void)atom_update(upper_tree(self, id), was, next,
			  tree_give(&next, frames, managed,
				    self->upper.default_class));
}

/*
 * Count frames that were just freed. In the own tree, the next search begins
 * there, so that recently used frames are used again first.
 */
HOT void upper_freed(const llfree_t *self, const local_t *local, frame_id_t at,
		     size_t frames)
{
	tree_id_t id = tree_of_frame(at);
	size_t managed = lower_tree_frames(&self->lower, id);
	bool own = local && slot_holds(atom_load(&local->slot), id);
	tree_t was, next;

	(void)atom_update(upper_tree(self, id), was, next,
			  tree_give(&next, frames, managed,
				    self->upper.default_class) &&
				  (!own || tree_move(&next, at)));
}

/* Return whether the place of the last get is worth an update of the hint: not
 * when the next search finds the place by reading one cache line. */
static inline bool upper_moved(frame_id_t hint, frame_id_t at, size_t frames)
{
	if (frames >= LLFREE_HUGE_SIZE)
		return false;
	if (huge_of_frame(hint).value != huge_of_frame(at).value)
		return true;
	return frames <= ROW_FRAMES / 16 &&
	       hint.value / ROW_FRAMES != at.value / ROW_FRAMES;
}

/* Allocate the claimed frames, or give the claim back. `was` is the tree's word
 * before the claim. */
HOT frame_id_optional_t upper_alloc_claimed(const llfree_t *self, tree_id_t id,
					    tree_t was, run_t run)
{
	frame_id_t hint = upper_hint(id, was);
	found_t found = lower_get(&self->lower, hint, run);
	tree_t next;

	if (!found.ok) {
		upper_unclaim(self, id, run.frames - found.already_freed);
		return frame_id_none();
	}
	if (upper_moved(hint, found.first, run.frames))
		(void)atom_update(upper_tree(self, id), was, next,
				  tree_move(&next, found.first));
	return frame_id_some(found.first);
}

/* Allocate from the tree of the slot: the path of nearly all gets. */
HOT frame_id_optional_t upper_get_own(const llfree_t *self, local_t *local,
				      uint8_t class, run_t run)
{
	slot_t slot = atom_load_acquire(&local->slot);
	tree_t was, next;

	if (!slot_is_present(slot) ||
	    !atom_update(upper_tree(self, slot_tree(slot)), was, next,
			 tree_class(next) == class &&
				 tree_claim(&next, run.frames)))
		return frame_id_none();
	return upper_alloc_claimed(self, slot_tree(slot), was, run);
}

/* Allocate from any tree, when the own slot (or null) has nothing that fits. */
llfree_result_t upper_get(const llfree_t *self, run_t run, uint8_t class,
			  local_t *local);

/* Allocate exactly these frames of one tree. Its class stays for now. */
llfree_result_t upper_get_at(const llfree_t *self, size_t frames, uint8_t class,
			     frame_id_t first);

/* Change the tree's class after that, if the policy says so and no slot has
 * reserved it. Return whether it changed. */
bool upper_commit_at(const llfree_t *self, uint8_t class, const local_t *local,
		     tree_id_t id);

/* Return whether that may succeed at this moment. Write nothing. */
bool upper_may_get_at(const llfree_t *self, size_t frames, uint8_t class,
		      frame_id_t first);

/* Empty a slot. */
void upper_drain(const llfree_t *self, local_t *local);

/* Return a number that changes when any tree's word does. */
uint64_t upper_stamp(const llfree_t *self);
