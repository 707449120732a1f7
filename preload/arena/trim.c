/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What no one uses, when the kernel counts what is mapped or is about to lock
 * it. A tree that is entirely free leaves the address space. Free frames of
 * other trees are merged into few mappings, or, around mlockall, closed:
 * without access, which nothing populates, and unlocked; they are mapped
 * afresh when they serve.
 */
#include "preload/arena/frames.h"
#include "preload/arena/merge.h"
#include "preload/arena/page.h"
#include "preload/arena/tree.h"
#include "preload/arena/zone.h"

/* When its frames are had, the tree may have left already, and something else
 * may be mapped there. */
static bool leave(size_t tree)
{
	struct span s = span_of_tree(tree);

	if (!zone_get_at(s))
		return false;
	if (!tree_is_online(tree) || page_unmap(s)) {
		zone_put(s);
		return false;
	}
	frames_forget(tree);
	atom_store_release(&arena.tree_states[tree], TREE_OFF);
	zone_put(s);
	return true;
}

/* A free tree leaves, if it can; another one is handled by `partly_used`. */
static bool trim_tree(size_t tree, bool (*partly_used)(size_t tree))
{
	if (!tree_is_online(tree))
		return false;
	if (!arena.reserved && tree_is_free(tree))
		return leave(tree);
	return partly_used(tree);
}

bool arena_trim(void)
{
	bool trimmed = false;
	size_t trees;

	if (arena_state() != ARENA_READY)
		return false;
	trees = zone_reach(0) / LLFREE_TREE_SIZE;
	arena_quiesce();
	for (size_t t = 0; t < trees; t++)
		trimmed = trim_tree(t, merge_tree) || trimmed;
	arena_resume();
	return trimmed;
}

/* Frames that seem to be free. */
static bool close_run(struct span s)
{
	bool closed = false;

	if (!zone_borrow(s))
		return false;
	if (mark_any(arena.marks, 0, MARK_REMAP_BEFORE_USE, s))
		closed = !frames_close(s);
	arena.os->munlock(address_of(s.first), bytes_of(s));
	zone_give_back(s);
	return closed;
}

static bool close_free(size_t tree)
{
	bool closed = false;

	for_each_run(run, arena.marks, MARK_LIVE, 0, span_of_tree(tree))
		if (!run.have)
			closed = close_run(run.span) || closed;
	return closed;
}

void arena_close_free(void)
{
	if (arena_state() != ARENA_READY)
		return;
	arena_quiesce();
	for (size_t t = 0; t < arena.trees; t++)
		trim_tree(t, close_free);
	arena_resume();
}

/* Frames that could not be closed are live, or on their way. */
void arena_locked(void)
{
	if (arena_state() != ARENA_READY)
		return;
	arena_close_free();
	for (size_t t = 0; t < arena.trees; t++)
		if (tree_is_online(t) || tree_is_mapping(t))
			mark_set(arena.marks, MARK_REMAP_BEFORE_USE,
				 span_of_tree(t));
}

bool arena_lock_all(bool all)
{
	return atom_exchange(&arena.lock_all, all);
}
