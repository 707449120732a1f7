/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Merging mappings. Memory that was altered and mapped afresh stays in pieces
 * (vma.h), and the number of mappings of a process is limited. So when a tree
 * has got some more boundaries than it kept last time, each stretch of it that
 * is free and divided is mapped afresh in one piece; a few boundaries are
 * enough when all of the tree is free. There are then at most twice as many
 * mappings as there have to be between what is in use, and some for each tree,
 * and a boundary costs a fraction of a mapping. Programs that alter nothing
 * have no boundaries.
 */
#pragma once

#include "preload/arena/state.h"

/* After these frames were freed: merge mappings of trees that are due. */
void merge_if_due(struct span freed);

/* Merge what can be in this tree; true if there was something. */
bool merge_tree(size_t tree);
