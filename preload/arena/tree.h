/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Trees come online: 16 MiB of addresses are mapped when the first frame of a
 * tree is needed. The states are in state.h.
 */
#pragma once

#include "preload/arena/state.h"

/* Make the trees of allocated frames usable. Otherwise the frames are gone
 * again, and other ones may be usable (TREES_TRY_AGAIN) or not. */
enum trees_result { TREES_ONLINE, TREES_TRY_AGAIN, TREES_REFUSED };
enum trees_result tree_bring_online(struct span s);

/* Yield while another thread brings the tree online; `tries` counts up to
 * `most`. */
void tree_await(size_t tree, unsigned *tries, unsigned most);

/* A tree that is not mapped yet never will be: something else is there. */
void tree_set_unavailable(size_t tree);

/* Whether all of the tree is free, at the moment. */
bool tree_is_free(size_t tree);

/* In a child of fork: no thread brings a tree online. */
void tree_forget_threads(void);
