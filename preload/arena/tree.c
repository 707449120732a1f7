/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena/tree.h"

#include "preload/arena/page.h"
#include "preload/arena/zone.h"

#include <errno.h>

/* Bringing a tree online takes a moment, as a rule. A signal handler would wait
 * in vain for the thread that it has interrupted. */
#define AWAIT_TRIES 32u

static bool change_state(size_t tree, uint8_t *from, uint8_t to)
{
	return atom_cas(&arena.tree_states[tree], from, to);
}

static long map_addresses(size_t tree, int prot)
{
	void *addr = address_of(span_of_tree(tree).first);

	if (arena.reserved)
		return arena.os->mprotect(addr, LLFREE_ALIGN, prot);
	return page_occupy(addr, LLFREE_ALIGN, prot);
}

/* While all is locked: without access, and unlocked again, since what of the
 * tree is served will be mapped afresh. */
static long map_locked(size_t tree)
{
	struct span s = span_of_tree(tree);
	long failed = map_addresses(tree, PROT_NONE);

	if (failed)
		return failed;
	arena.os->munlock(address_of(s.first), bytes_of(s));
	mark_set(arena.marks, MARK_REMAP_BEFORE_USE, s);
	return 0;
}

static long map(size_t tree)
{
	long failed;

	if (is_locked())
		return map_locked(tree);
	failed = map_addresses(tree, READ_WRITE);
	if (!failed)
		page_advise(span_of_tree(tree));
	return failed;
}

/* The outcome of this thread's attempt. If the attempt was given up meanwhile
 * and the tree with it, the mapping goes: no thread has used it. */
static void commit(size_t tree, long failed)
{
	uint8_t state = tree_state(tree);
	uint8_t to = !failed		 ? TREE_ONLINE
		     : failed == -EEXIST ? TREE_UNAVAILABLE
					 : TREE_OFF;

	while (state < TREE_UNAVAILABLE && (state != TREE_OFF || !failed))
		if (change_state(tree, &state, to))
			return;
	if (!failed && state == TREE_UNAVAILABLE && !arena.reserved)
		page_unmap(span_of_tree(tree));
}

void tree_await(size_t tree, unsigned *tries, unsigned most)
{
	while (tree_is_mapping(tree) && ++*tries <= most)
		arena.os->yield(*tries);
}

/* Another thread is at it. When it is overdue, this one may try as well. */
static void wait_for(size_t tree, uint8_t state)
{
	uint8_t next = (uint8_t)(state + 1);
	unsigned tries = 0;

	change_state(tree, &state, next < TREE_OVERDUE ? next : TREE_OFF);
	tree_await(tree, &tries, AWAIT_TRIES);
}

/* Returns the state after one attempt to bring the tree online. */
static uint8_t map_once(size_t tree)
{
	uint8_t state = TREE_OFF;

	if (change_state(tree, &state, TREE_MAPPING))
		commit(tree, map(tree));
	else if (state < TREE_OVERDUE)
		wait_for(tree, state);
	return tree_state(tree);
}

void tree_set_unavailable(size_t tree)
{
	uint8_t off = TREE_OFF;

	change_state(tree, &off, TREE_UNAVAILABLE);
}

static void leak_free(struct span s)
{
	if (s.count && zone_get_at(s))
		leak(s.count);
}

/* Frames of an unavailable tree stay allocated for ever. So do the other frames
 * of that tree, rather than be found one after the other. */
static void drop_unavailable(struct span s, size_t tree)
{
	struct span all = span_of_tree(tree);

	zone_put(span_before(s, all.first));
	zone_put(span_from(s, span_end(all)));
	s = span_before(span_from(s, all.first), span_end(all));
	leak(s.count);
	leak_free(span_before(all, s.first));
	leak_free(span_from(all, span_end(s)));
}

enum trees_result tree_bring_online(struct span s)
{
	for_each_tree(t, s) {
		uint8_t state = tree_state(t);

		if (state != TREE_ONLINE)
			state = map_once(t);
		if (state == TREE_UNAVAILABLE) {
			drop_unavailable(s, t);
			return TREES_TRY_AGAIN;
		}
		if (state != TREE_ONLINE) {
			zone_put(s);
			return TREES_REFUSED;
		}
	}
	return TREES_ONLINE;
}

bool tree_is_free(size_t tree)
{
	return zone_stats_at(span_of_tree(tree).first, LLFREE_TREE_ORDER)
		       .free_trees != 0;
}

/* By compare-and-swap: a child that no libc has forked may have threads already
 * when it notices. */
void tree_forget_threads(void)
{
	for (size_t t = 0; t < arena.trees; t++) {
		uint8_t state = tree_state(t);

		if (tree_is_mapping(t))
			change_state(t, &state, TREE_OFF);
	}
}
