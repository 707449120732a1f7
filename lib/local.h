/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Slots: which tree a core (or whatever a caller makes a slot) has reserved.
 * Each has its cache line to itself, which is written only when it takes
 * another tree.
 */
#pragma once

#include "lib/atom.h"
#include "lib/ids.h"

/*
 * The number of the tree and one, or 0 for none. A slot that found nothing but
 * the trees of others is a guest in one of them: it goes on there, but has not
 * reserved it.
 */
typedef uint64_t slot_t;

#define SLOT_GUEST ((slot_t)1 << 63)

typedef struct {
	_Alignas(LLFREE_CACHE_SIZE) slot_t slot;
	/* For llfree_counters. */
	uint64_t reservations;
	uint64_t steals;
	uint64_t demotions;
	uint64_t raids;
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

static inline bool slot_is_guest(slot_t slot)
{
	return (slot & SLOT_GUEST) != 0;
}

static inline tree_id_t slot_tree(slot_t slot)
{
	return tree_id((size_t)(slot & ~SLOT_GUEST) - 1);
}

/* Has it reserved this tree? */
static inline bool slot_holds(slot_t slot, tree_id_t tree)
{
	return slot == slot_of(tree);
}

/* Another tree, or none; what it had before. */
static inline slot_t local_replace(local_t *local, slot_t with)
{
	slot_t was, next;

	(void)atom_update(&local->slot, was, next, (next = with, true));
	return was;
}

/* Loses this tree, if it still has it. */
static inline bool local_lose(local_t *local, tree_id_t tree)
{
	slot_t was, next;

	return atom_update(&local->slot, was, next,
			   slot_holds(next, tree) && (next = 0, true));
}
