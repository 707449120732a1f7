/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The state of the arena, for the files of this folder. They stand on floors: a
 * file calls functions of lower floors only (tests/unit/architecture.sh reads
 * this table).
 *
 *	7	detach snapshot fork
 *	6	serve free trim start
 *	5	purge merge
 *	4	frames tree
 *	3	zone page parts
 *	2	epoch vma
 *	1	state marks usage class
 */
#pragma once

#include "preload/arena/arena.h"
#include "preload/arena/marks.h"
#include "preload/report/stats.h"
#include "preload/sys/atomic.h"
#include "preload/sys/compat.h"

#include <llfree.h>

#define FRAME ((size_t)LLFREE_FRAME_SIZE)
#define HUGE ((size_t)LLFREE_HUGE_SIZE) /* frames */
#define READ_WRITE (PROT_READ | PROT_WRITE)

/*
 * A tree's state. One thread at a time brings it online; a thread that needs
 * the tree meanwhile yields for a moment, adds one to the state, and goes on
 * without the tree. When the tree is overdue, another thread may try: what the
 * kernel says then is the truth.
 */
enum {
	TREE_OFF = 0,
	TREE_MAPPING = 1, /* to TREE_OVERDUE - 1 */
	TREE_OVERDUE = 250,
	TREE_UNAVAILABLE = 251, /* its addresses were mapped before */
	TREE_ONLINE = 252,
};

struct vma_counts;

struct arena {
	enum arena_state state;
	const char *why_off;
	const struct arena_os *os;
	const struct arena_options *options;
	size_t frames;
	size_t trees;
	size_t page_frames;
	bool reserved; /* the kernel chose the place, which is held meanwhile */
	bool lock_all;
	bool serve_absent; /* no page is present in what is served */
	uint8_t *tree_states;
	struct vma_counts *vmas; /* of each tree */
	struct marks *marks;
	size_t leaked; /* frames that are neither live nor free */
	size_t claimed; /* free, but not counted: see arena_snapshot */
	size_t inherited; /* live when this process was forked */
	llfree_counters_t
		counted; /* by the process that this was forked from */
};
extern struct arena arena;

/* Addresses and frames */

static inline void *address_of(size_t frame)
{
	return (void *)(arena_bounds.start + frame * FRAME);
}

static inline size_t frame_of(uintptr_t addr)
{
	return (addr - arena_bounds.start) / FRAME;
}

static inline struct span span_of(struct region r)
{
	return span(frame_of(r.start), r.len / FRAME);
}

static inline size_t bytes_of(struct span s)
{
	return s.count * FRAME;
}

/* Trees */

static inline struct span span_of_tree(size_t tree)
{
	return span(tree * LLFREE_TREE_SIZE, LLFREE_TREE_SIZE);
}

static inline size_t tree_of(size_t frame)
{
	return frame / LLFREE_TREE_SIZE;
}

/* Each tree that a span touches. */
#define for_each_tree(t, s)                                                    \
	for (size_t t = tree_of((s).first),                                    \
		    trees_end_ = (s).count ? tree_of(span_end(s) - 1) + 1 : t; \
	     t < trees_end_; t++)

static inline uint8_t tree_state(size_t tree)
{
	return atom_load_acquire(&arena.tree_states[tree]);
}

static inline bool tree_is_online(size_t tree)
{
	return tree_state(tree) == TREE_ONLINE;
}

/* Whether a thread brings it online. */
static inline bool tree_is_mapping(size_t tree)
{
	uint8_t state = tree_state(tree);

	return state >= TREE_MAPPING && state < TREE_OVERDUE;
}

static inline bool frame_is_online(size_t frame)
{
	return tree_is_online(tree_of(frame));
}

/* After mlockall: what is mapped now is locked at once. */
static inline bool is_locked(void)
{
	return atom_load_acquire(&arena.lock_all);
}

static inline void leak(size_t count)
{
	atom_add(&arena.leaked, count);
}
