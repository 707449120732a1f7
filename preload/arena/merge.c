/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena/merge.h"

#include "preload/arena/frames.h"
#include "preload/arena/tree.h"
#include "preload/arena/vma.h"
#include "preload/arena/zone.h"

/* So many new boundaries make a tree due: one in use, a free one. */
#define MANY 32u
#define FEW 4u

static bool merge(struct span s)
{
	bool merged;

	if (!zone_borrow(s))
		return false;
	merged = !frames_remap(s);
	zone_give_back(s);
	return merged;
}

bool merge_tree(size_t tree)
{
	bool merged = false;

	if (arena.options->strict || is_locked())
		return false;
	for_each_run(run, arena.marks, MARK_LIVE, 0, span_of_tree(tree))
		if (!run.have && vma_is_divided(run.span))
			merged = merge(run.span) || merged;
	vma_settled(tree);
	return merged;
}

static bool is_due(size_t tree)
{
	size_t made = vma_made(tree);

	return made >= FEW &&
	       (made >= MANY + vma_kept(tree) || tree_is_free(tree));
}

void merge_if_due(struct span freed)
{
	for_each_tree(t, freed)
		if (__builtin_expect(is_due(t), 0))
			merge_tree(t);
}
