/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Slots. A slot belongs to a core, or to whatever the caller gives slots to,
 * and holds the number of the tree that it has reserved. Each slot has a cache
 * line of its own, which is written only when the slot takes another tree.
 */
#pragma once

#include "lib/atom.h"
#include "lib/ids.h"

/*
 * The number of the tree plus one, or 0 for none. When all trees that fit are
 * reserved, a slot borrows the tree of another slot: it goes on allocating
 * there, but has not reserved it.
 */
typedef uint64_t slot_t;

#define SLOT_BORROWED ((slot_t)1 << 63)

typedef struct {
	_Alignas(LLFREE_CACHE_SIZE) slot_t slot;
	/* For llfree_counters. */
	uint64_t reservations;
	uint64_t steals;
	uint64_t demotions;
	uint64_t reserved_steals;
} local_t;
_Static_assert(sizeof(local_t) == LLFREE_CACHE_SIZE, "one line each");

static inline slot_t slot_of(tree_id_t tree)
{
	return tree.value + 1;
}

static inline bool slot_is_present(slot_t slot)
{
	return slot != 0;
}

static inline bool slot_is_borrowed(slot_t slot)
{
	return (slot & SLOT_BORROWED) != 0;
}

static inline tree_id_t slot_tree(slot_t slot)
{
	return tree_id((size_t)(slot & ~SLOT_BORROWED) - 1);
}

/* Return whether the slot has reserved this tree. */
static inline bool slot_holds(slot_t slot, tree_id_t tree)
{
	return slot == slot_of(tree);
}

/* Set the slot to another tree or to none; return what it had before. */
static inline slot_t local_replace(local_t *local, slot_t with)
{
	slot_t was, next;

	(void)atom_update(&local->slot, was, next, (next = with, true));
	return was;
}

/* Empty the slot if it still has reserved this tree. */
static inline bool local_lose(local_t *local, tree_id_t tree)
{
	slot_t was, next;

	return atom_update(&local->slot, was, next,
			   slot_holds(next, tree) && (next = 0, true));
}
