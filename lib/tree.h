/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The entry of a tree: one word on a cache line of its own, and its pure
 * transitions.
 *
 *   bits 0-18   free frames; a get claims them before the lower allocator
 *               searches for them
 *   bits 19-30  row of the tree at which the next search begins
 *   bits 31-33  class
 *   bit  34     reserved: other slots use it only when nothing else fits
 *   bit  35     offline: nothing is allocated from it. It counts what is freed
 *               into it, so that going online changes only this bit
 *   bits 36-63  version: rises with each change but claims. A thread that reads
 *               the same word twice knows that nothing was freed or claimed in
 *               between
 *
 * The count stays here while a slot has reserved the tree, so its frames are
 * available to every request at any moment.
 */
#pragma once

#include "lib/bitfield.h"

typedef uint64_t tree_t;

#define TREE_FREE_BITS 19u
#define TREE_FREE (((tree_t)1 << TREE_FREE_BITS) - 1)
#define TREE_ROW_SHIFT 19u
#define TREE_ROW_BITS 12u
#define TREE_ROW ((((tree_t)1 << TREE_ROW_BITS) - 1) << TREE_ROW_SHIFT)
#define TREE_CLASS_SHIFT 31u
#define TREE_CLASS ((tree_t)(LLFREE_MAX_CLASSES - 1) << TREE_CLASS_SHIFT)
#define TREE_RESERVED ((tree_t)1 << 34)
#define TREE_OFFLINE ((tree_t)1 << 35)
#define TREE_VERSION_ONE ((tree_t)1 << 36)

_Static_assert(LLFREE_TREE_SIZE <= TREE_FREE, "the count must fit");
_Static_assert(LLFREE_TREE_SIZE / ROW_FRAMES <= 1u << TREE_ROW_BITS,
	       "the row must fit");
_Static_assert(TREE_CLASS_SHIFT + LLFREE_CLASS_BITS == 34, "no bit twice");

typedef struct {
	_Alignas(LLFREE_CACHE_SIZE) tree_t word;
} tree_line_t;
_Static_assert(sizeof(tree_line_t) == LLFREE_CACHE_SIZE, "one line each");

static inline tree_t tree_new(size_t free, uint8_t class)
{
	return (tree_t)free | (tree_t) class << TREE_CLASS_SHIFT;
}

/* The free frames, those of an offline tree included. */
static inline size_t tree_counted(tree_t tree)
{
	return tree & TREE_FREE;
}

static inline bool tree_is_offline(tree_t tree)
{
	return (tree & TREE_OFFLINE) != 0;
}

static inline bool tree_is_reserved(tree_t tree)
{
	return (tree & TREE_RESERVED) != 0;
}

/* The frames that can be allocated from it. */
static inline size_t tree_free(tree_t tree)
{
	return tree_is_offline(tree) ? 0 : tree_counted(tree);
}

static inline uint8_t tree_class(tree_t tree)
{
	return (uint8_t)((tree & TREE_CLASS) >> TREE_CLASS_SHIFT);
}

/* Where the next search begins, in frames from the tree's first. */
static inline size_t tree_hint(tree_t tree)
{
	return ((tree & TREE_ROW) >> TREE_ROW_SHIFT) * ROW_FRAMES;
}

static inline bool tree_claim(tree_t *tree, size_t frames)
{
	if (tree_free(*tree) < frames)
		return false;
	*tree -= frames;
	return true;
}

/* Claim as many frames as there are, at most `most`; false for none. */
static inline bool tree_claim_some(tree_t *tree, size_t most, size_t *claimed)
{
	*claimed = size_min(tree_free(*tree), most);
	*tree -= *claimed;
	return *claimed > 0;
}

/* Let the next search begin at the row of this frame. */
static inline bool tree_move(tree_t *tree, frame_id_t at)
{
	tree_t row = at.value % LLFREE_TREE_SIZE / ROW_FRAMES;

	*tree = (*tree & ~TREE_ROW) | row << TREE_ROW_SHIFT;
	return true;
}

static inline bool tree_set_class(tree_t *tree, uint8_t class)
{
	*tree = ((*tree & ~TREE_CLASS) | (tree_t) class << TREE_CLASS_SHIFT) +
		TREE_VERSION_ONE;
	return true;
}

/*
 * Count freed frames, but never more than are managed, even if frames were put
 * twice. A tree that is entirely free and not reserved returns to the default
 * class.
 */
static inline bool tree_give(tree_t *tree, size_t frames, size_t managed,
			     uint8_t default_class)
{
	size_t free = tree_counted(*tree) + frames;

	*tree += frames + TREE_VERSION_ONE;
	if (__builtin_expect(free < managed, 1))
		return true;
	*tree -= free - managed;
	if (!tree_is_reserved(*tree))
		(void)tree_set_class(tree, default_class);
	return true;
}

/* Reserve the tree for a slot. */
static inline bool tree_reserve(tree_t *tree, uint8_t class)
{
	if (tree_is_reserved(*tree) || tree_is_offline(*tree))
		return false;
	*tree |= TREE_RESERVED;
	return tree_set_class(tree, class);
}

static inline bool tree_unreserve(tree_t *tree, size_t managed,
				  uint8_t default_class)
{
	*tree &= ~TREE_RESERVED;
	return tree_give(tree, 0, managed, default_class);
}

/* Change a tree that matches. ONLINE matches only an offline tree; every other
 * operation matches only an online one. */
static inline bool tree_change(tree_t *tree, llfree_tree_match_t match,
			       llfree_tree_change_t change)
{
	if (tree_is_reserved(*tree) || tree_free(*tree) < match.free ||
	    (match.class != LLFREE_CLASS_NONE &&
	     match.class != tree_class(*tree)) ||
	    tree_is_offline(*tree) !=
		    (change.operation == LLFREE_TREE_OP_ONLINE))
		return false;
	if (change.operation != LLFREE_TREE_OP_NONE)
		*tree ^= TREE_OFFLINE;
	return tree_set_class(tree, change.class != LLFREE_CLASS_NONE
					    ? change.class
					    : tree_class(*tree));
}
