/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena/vma.h"

#include "preload/arena/state.h"

struct vma_counts {
	uint16_t made, kept;
};

size_t vma_bytes(size_t trees)
{
	return trees * sizeof(struct vma_counts);
}

/* The frames at which a boundary would divide `s`. */
static struct span inside(struct span s)
{
	return span_from(s, s.first + 1);
}

void vma_starts(size_t frame)
{
	struct vma_counts *counts;

	if (frame % LLFREE_TREE_SIZE == 0)
		return;
	counts = &arena.vmas[tree_of(frame)];
	mark_set(arena.marks, MARK_VMA_START, span(frame, 1));
	if (atom_load(&counts->made) < UINT16_MAX)
		atom_store(&counts->made,
			   (uint16_t)(atom_load(&counts->made) + 1u));
}

void vma_mapped(struct span s)
{
	mark_clear(arena.marks, MARK_VMA_START, inside(s));
	vma_starts(s.first);
	vma_starts(span_end(s));
}

struct span vma_first(struct span s)
{
	struct mark_run rest;

	s = span_before(s, span_end(span_of_tree(tree_of(s.first))));
	rest = mark_run(arena.marks, MARK_VMA_START, 0, inside(s));
	return span(s.first, rest.have ? 1 : 1 + rest.span.count);
}

bool vma_is_divided(struct span s)
{
	return mark_any(arena.marks, MARK_VMA_START, 0, inside(s));
}

size_t vma_made(size_t tree)
{
	return atom_load(&arena.vmas[tree].made);
}

size_t vma_kept(size_t tree)
{
	return atom_load(&arena.vmas[tree].kept);
}

void vma_settled(size_t tree)
{
	size_t kept =
		mark_count(arena.marks, MARK_VMA_START, 0, span_of_tree(tree));

	atom_store(&arena.vmas[tree].made, 0);
	atom_store(&arena.vmas[tree].kept, (uint16_t)kept);
}

void vma_forget(size_t tree)
{
	mark_clear(arena.marks, MARK_VMA_START, span_of_tree(tree));
	vma_settled(tree);
}
