/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The entry of a tree, 32 bits, and its pure transitions.
 *
 *   bits 0-18   free frames that the tree's slot has not taken along
 *   bits 19-26  version: rises with every give, so that a search that sees the
 *               same entry twice knows that nothing came or went in between
 *   bit  27     offline: nothing is allocated from it; it keeps counting what
 *               is freed into it, so that going online is only this bit
 *   bits 28-30  class
 *   bit  31     reserved: a slot has it, or is about to
 *
 * The counts are claims on the lower allocator, which alone says what is free.
 */
#pragma once

#include "lib/ids.h"

typedef uint32_t tree_t;

#define TREE_FREE_BITS 19u
#define TREE_FREE ((UINT32_C(1) << TREE_FREE_BITS) - 1)
#define TREE_VERSION_ONE (UINT32_C(1) << TREE_FREE_BITS)
#define TREE_VERSION (UINT32_C(0xff) << TREE_FREE_BITS)
#define TREE_OFFLINE (UINT32_C(1) << 27)
#define TREE_CLASS_SHIFT 28u
#define TREE_CLASS ((tree_t)(LLFREE_MAX_CLASSES - 1) << TREE_CLASS_SHIFT)
#define TREE_RESERVED (UINT32_C(1) << 31)

_Static_assert(LLFREE_TREE_SIZE <= TREE_FREE, "the count must fit");
_Static_assert(TREE_CLASS_SHIFT + LLFREE_CLASS_BITS == 31, "no bit twice");

static inline tree_t tree_new(size_t free, uint8_t class)
{
	return (tree_t)free | (tree_t)class << TREE_CLASS_SHIFT;
}

/* Counts also what is freed into an offline tree. */
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

/* What can be allocated from it without its slot. */
static inline size_t tree_free(tree_t tree)
{
	return tree_is_offline(tree) ? 0 : tree_counted(tree);
}

static inline uint8_t tree_class(tree_t tree)
{
	return (uint8_t)((tree & TREE_CLASS) >> TREE_CLASS_SHIFT);
}

static inline void tree_set_class(tree_t *tree, uint8_t class)
{
	*tree = (*tree & ~TREE_CLASS) | (tree_t)class << TREE_CLASS_SHIFT;
}

static inline bool tree_claim(tree_t *tree, size_t frames)
{
	if (tree_free(*tree) < frames)
		return false;
	*tree -= (tree_t)frames;
	return true;
}

/*
 * Frames come in; never more than are managed, whatever was put twice. Back to
 * the default class when all of it is free.
 */
static inline bool tree_give(tree_t *tree, size_t frames, size_t managed,
			     uint8_t default_class)
{
	size_t free = size_min(tree_counted(*tree) + frames, managed);

	*tree = (*tree & ~(TREE_FREE | TREE_VERSION)) |
		((*tree + TREE_VERSION_ONE) & TREE_VERSION) | (tree_t)free;
	if (free == managed && !tree_is_reserved(*tree))
		tree_set_class(tree, default_class);
	return true;
}

/* Takes all that is free along into a slot. */
static inline bool tree_reserve(tree_t *tree, uint8_t class)
{
	if (tree_is_reserved(*tree) || tree_is_offline(*tree))
		return false;
	*tree = (*tree & ~TREE_FREE) | TREE_RESERVED;
	tree_set_class(tree, class);
	return true;
}

/* The way back, with what the slot still has. */
static inline bool tree_unreserve(tree_t *tree, size_t frames, size_t managed,
				  uint8_t default_class)
{
	*tree &= ~TREE_RESERVED;
	return tree_give(tree, frames, managed, default_class);
}

/* The slot of a reserved tree takes what others freed, if it then has enough:
 * `has` is what the slot has, `frames` what it needs. */
static inline bool tree_collect(tree_t *tree, size_t has, size_t frames)
{
	if (tree_free(*tree) == 0 || tree_free(*tree) + has < frames)
		return false;
	*tree &= ~TREE_FREE;
	return true;
}
