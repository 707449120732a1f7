/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What no one uses, when the kernel counts what is mapped or is about to lock
 * it. A tree that is entirely free leaves the address space. What is free in
 * others is closed: without access, which nothing populates, and unlocked; it
 * counts as altered, and is mapped afresh when it is served.
 */
#include "preload/arena/state.h"

static bool tree_leave(size_t tree)
{
	struct span s = arena_tree(tree);
	size_t dirty;

	if (!arena_allocate(frame_id_some(frame_id(s.first)), s.count).count)
		return false;
	/* It may have left meanwhile, and someone else is there now. */
	if (!frame_online(s.first) ||
	    arena.os->munmap(address_of(s.first), bytes_of(s))) {
		arena_deallocate(s);
		return false;
	}
	dirty = mark_count(arena.marks, MARK_DIRTY, s);
	mark_clear(arena.marks, MARK_DIRTY, s);
	mark_clear(arena.marks, MARK_REMAP_BEFORE_USE, s);
	mark_clear(arena.marks, MARK_REMAP_ON_FREE, s);
	vma_tree_gone(s);
	usage_change(0, -(int64_t)dirty);
	__atomic_store_n(&arena.tree_states[tree], TREE_OFF, __ATOMIC_RELEASE);
	arena_deallocate(s);
	return true;
}

/* A tree that is there: leaves if it can, or has `others` done with it. */
static bool trim_tree(size_t tree, bool (*others)(size_t tree))
{
	if (arena_tree_state(tree) != TREE_ONLINE)
		return false;
	if (!arena.reserved && arena_tree_stats(tree).free_trees)
		return tree_leave(tree);
	return others(tree);
}

bool arena_trim(void)
{
	size_t trees = purge_within_reach(0) / LLFREE_TREE_CHILDREN;
	bool trimmed = false;

	arena_quiesce();
	for (size_t t = 0; t < trees; t++)
		trimmed = trim_tree(t, merge_tree) || trimmed;
	arena_resume();
	return trimmed;
}

/* ------------------------------------------------------------------------ */
/* mlockall                                                                  */

/* Before as well: what is mapped meanwhile counts as locked at once. */
long page_close(struct span s)
{
	long failed;

	if (arena_is_locked())
		arena.os->munlock(address_of(s.first), bytes_of(s));
	failed = page_fresh(s, PROT_NONE);
	if (!failed && arena_is_locked())
		arena.os->munlock(address_of(s.first), bytes_of(s));
	return failed;
}

/* Frames that are free, it seems. */
static bool run_close(struct span s)
{
	size_t dirty;
	bool closed = false;

	if (!purge_borrow(s))
		return false;
	dirty = mark_count(arena.marks, MARK_DIRTY, s);
	if (mark_count(arena.marks, MARK_REMAP_BEFORE_USE, s) < s.count)
		closed = !page_close(s);
	if (closed)
		usage_change(0, -(int64_t)dirty);
	arena.os->munlock(address_of(s.first), bytes_of(s));
	purge_give_back(s);
	return closed;
}

static bool close_free(size_t tree)
{
	struct span s = arena_tree(tree);
	bool closed = false;

	while (s.count) {
		bool live;
		struct span run =
			mark_run(arena.marks, MARK_BIT(MARK_LIVE), s, &live);

		if (!live)
			closed = run_close(run) || closed;
		s = span_from(s, span_end(run));
	}
	return closed;
}

void arena_close_free(void)
{
	arena_quiesce();
	for (size_t t = 0; t < arena.trees; t++)
		trim_tree(t, close_free);
	arena_resume();
}

/* What could not be closed is live, or on its way to someone. */
void arena_locked(void)
{
	arena_close_free();
	for (size_t t = 0; t < arena.trees; t++)
		if (arena_tree_state(t) == TREE_ONLINE || arena_is_mapping(t))
			mark_set(arena.marks, MARK_REMAP_BEFORE_USE,
				 arena_tree(t));
}

bool arena_lock_all(bool all)
{
	return __atomic_exchange_n(&arena.lock_all, all, __ATOMIC_ACQ_REL);
}
