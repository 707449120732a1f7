/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The upper allocator: which tree a request is served from, so that cores keep
 * out of each other's cache lines and large free frames stay whole. Volatile,
 * rebuilt at start.
 *
 * A request claims frames from the count of a tree, then has the lower
 * allocator find them in that tree, and gives the claim back when it cannot.
 * A tree that a slot has reserved is left to that slot as long as there are
 * others; its frames are there for everyone before memory is out.
 *
 * When nothing was found, memory must have been short at one moment, and not
 * only have been moving past the search: a get fails after a pass over all
 * trees with none of their words changed meanwhile. Each repetition means that
 * another request claimed or gave something; since that may go on for ever,
 * enough passes that all found nothing end it, too. No claim is made where a
 * look shows that it would be in vain.
 */
#pragma once

#include "lib/local.h"
#include "lib/lower.h"
#include "lib/tree.h"

struct llfree {
	lower_t lower;
	tree_line_t *trees;
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

/* The slot of a request, or null; false when it names one that is not there. */
static inline bool upper_find_local(const llfree_t *self, unsigned class,
				    size_t slot, local_t **local)
{
	*local = NULL;
	if (!upper_has_class(self, class))
		return false;
	if (slot == SIZE_MAX)
		return true;

	uint32_t first = self->first_slot[class];

	if (slot >= self->first_slot[class + 1] - first)
		return false;
	*local = &self->locals[first + slot];
	return true;
}

static inline tree_t *upper_tree(const llfree_t *self, tree_id_t tree)
{
	return &self->trees[tree.value].word;
}

/* Where a search in a tree begins. */
static inline frame_id_t upper_hint(tree_id_t id, tree_t tree)
{
	return frame_plus(frame_of_tree(id), tree_hint(tree));
}

/* Gives a claim back. */
static inline void upper_unclaim(const llfree_t *self, tree_id_t id,
				 size_t frames)
{
	size_t managed = lower_tree_frames(&self->lower, id);
	tree_t was, next;

	(void)atom_update(upper_tree(self, id), was, next,
			  tree_give(&next, frames, managed,
				    self->default_class));
}

/*
 * Counts frames just freed. In the tree of the own slot, the next search
 * begins there: what was used last is used first.
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
				    self->default_class) &&
				  (!own || tree_move(&next, at)));
}

/* Is the place of the last get worth an update of the hint? Not for what is
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

/* After a claim, when the tree was as it `was`: the frames, or the claim is
 * given back. */
HOT frame_id_optional_t upper_fulfil(const llfree_t *self, tree_id_t id,
				     tree_t was, want_t want)
{
	frame_id_t hint = upper_hint(id, was);
	found_t found = lower_get(&self->lower, hint, want);
	tree_t next;

	if (!found.ok) {
		upper_unclaim(self, id, want.frames - found.lost);
		return frame_id_none();
	}
	if (upper_moved(hint, found.first, want.frames))
		(void)atom_update(upper_tree(self, id), was, next,
				  tree_move(&next, found.first));
	return frame_id_some(found.first);
}

/* From the tree that the slot has: the path that nearly all gets take. */
HOT frame_id_optional_t upper_get_own(const llfree_t *self, local_t *local,
				      uint8_t class, want_t want)
{
	slot_t slot = atom_load_acquire(&local->slot);
	tree_t was, next;

	if (!slot_is_present(slot) ||
	    !atom_update(upper_tree(self, slot_tree(slot)), was, next,
			 tree_class(next) == class &&
				 tree_claim(&next, want.frames)))
		return frame_id_none();
	return upper_fulfil(self, slot_tree(slot), was, want);
}

/* From anywhere, when the own slot (or null) has nothing that fits. */
llfree_result_t upper_get(const llfree_t *self, want_t want, uint8_t class,
			  local_t *local);

/* Exactly these frames, all of one tree, whose class stays for now. */
llfree_result_t upper_get_at(const llfree_t *self, size_t frames, uint8_t class,
			     frame_id_t first);

/* What becomes of a tree's class after that; false: it stays. No slot loses
 * its tree for a place that was asked for. */
bool upper_settle_at(const llfree_t *self, uint8_t class, const local_t *local,
		     tree_id_t id);

/* May it, at this moment? Writes nothing. */
bool upper_may_get_at(const llfree_t *self, size_t frames, uint8_t class,
		      frame_id_t first);

/* Empties a slot. */
void upper_drain(const llfree_t *self, local_t *local);

/* Changes when any tree's word does. */
uint64_t upper_stamp(const llfree_t *self);

/* How often a search over all trees looks again when something moved. */
#define UPPER_AGAIN 16u
