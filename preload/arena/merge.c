/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Seams. What was altered is mapped afresh when it is freed, and is then like
 * its neighbours; but the kernel makes one mapping of two only as long as no
 * page came to them while they differed. So what has been mapped piece by piece
 * stays in pieces, and their number is limited for a process.
 *
 * A mark says where a piece begins (MARK_VMA_START), within a tree. When a tree has got some more
 * of them than it kept last time, each stretch of it that is free and has a
 * seam within is mapped afresh in one piece; a few are enough when all of the
 * tree is free. So there are at most twice as many pieces as there have to be
 * between what is in use, and some for each tree, and a piece made costs a
 * fraction of a mapping. Programs that alter nothing have no seams.
 */
#include "preload/arena/state.h"

/* So many new seams make a tree due: one that is partly used, a free one. */
#define MANY 32u
#define FEW 4u

/* Seams made since the tree was mended, and those that it had then. Threads
 * that change these at once may lose a change: they are estimates. */
struct vma_counts {
	uint16_t made, kept;
};

static inline uint16_t load(const uint16_t *number)
{
	return __atomic_load_n(number, __ATOMIC_RELAXED);
}

static inline void store(uint16_t *number, size_t value)
{
	__atomic_store_n(number, (uint16_t)value, __ATOMIC_RELAXED);
}

static struct vma_counts *counts_of(size_t frame)
{
	return &arena.vmas[frame / LLFREE_TREE_SIZE];
}

size_t vma_bytes(size_t trees)
{
	return trees * sizeof(struct vma_counts);
}

static struct span inside(struct span s)
{
	return span_from(s, s.first + 1);
}

static void made_at(size_t frame)
{
	struct vma_counts *vmas = counts_of(frame);

	if (frame % LLFREE_TREE_SIZE == 0)
		return;
	mark_set(arena.marks, MARK_VMA_START, span(frame, 1));
	if (load(&vmas->made) < UINT16_MAX)
		store(&vmas->made, load(&vmas->made) + 1u);
}

void vma_mapped(struct span s)
{
	mark_clear(arena.marks, MARK_VMA_START, inside(s));
	made_at(s.first);
	made_at(span_end(s));
}

void arena_vma_starts(uintptr_t addr)
{
	struct arena_part part = arena_place(addr, addr + 1);

	if (part.kind != PART_KERNEL)
		made_at(frame_of(addr));
}

size_t arena_vma_length(uintptr_t addr, size_t len)
{
	struct arena_part part = arena_place(addr, addr + len);
	struct span s = span_of(addr, part.len), rest;
	bool seam;

	if (part.kind == PART_KERNEL)
		return part.len;
	s = span_before(s, (s.first / LLFREE_TREE_SIZE + 1) * LLFREE_TREE_SIZE);
	rest = mark_run(arena.marks, MARK_BIT(MARK_VMA_START), inside(s),
			&seam);
	return bytes_of(span(s.first, seam ? 1 : 1 + rest.count));
}

void vma_tree_gone(struct span tree)
{
	struct vma_counts *vmas = counts_of(tree.first);

	mark_clear(arena.marks, MARK_VMA_START, tree);
	store(&vmas->made, 0);
	store(&vmas->kept, 0);
}

/* Frames that are free, it seems. */
static bool join(struct span s)
{
	size_t dirty;
	bool joined;

	if (!purge_borrow(s))
		return false;
	dirty = mark_count(arena.marks, MARK_DIRTY, s);
	joined = !page_fresh(s, READ_WRITE);
	if (joined) {
		usage_change(0, -(int64_t)dirty);
		stats_count(STAT_FRAMES_RETURNED, dirty);
	}
	purge_give_back(s);
	return joined;
}

bool merge_tree(size_t tree)
{
	struct vma_counts *vmas = &arena.vmas[tree];
	struct span s = arena_tree(tree);
	bool mended = false;

	if (arena.strict || arena_is_locked())
		return false;
	while (s.count) {
		bool live;
		struct span run =
			mark_run(arena.marks, MARK_BIT(MARK_LIVE), s, &live);

		if (!live &&
		    mark_count(arena.marks, MARK_VMA_START, inside(run)))
			mended = join(run) || mended;
		s = span_from(s, span_end(run));
	}
	store(&vmas->made, 0);
	store(&vmas->kept,
	      mark_count(arena.marks, MARK_VMA_START, arena_tree(tree)));
	return mended;
}

static bool is_due(size_t tree)
{
	size_t made = load(&arena.vmas[tree].made);

	return made >= FEW && (made >= MANY + load(&arena.vmas[tree].kept) ||
			       arena_tree_stats(tree).free_trees);
}

void merge_if_due(struct span freed)
{
	size_t last = (span_end(freed) - 1) / LLFREE_TREE_SIZE;

	for (size_t t = freed.first / LLFREE_TREE_SIZE; t <= last; t++)
		if (__builtin_expect(is_due(t), 0))
			merge_tree(t);
}
