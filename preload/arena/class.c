/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Which tree a request is served from: one that was in use before, and whose
 * pages may still be there, rather than a fresh one. Small requests and those
 * of 2 MiB and more keep to trees of their own as long as there are some.
 */
#include "preload/arena/class.h"

static llfree_policy_t use(uint8_t type, uint8_t priority)
{
	llfree_policy_t policy = { type, priority };
	return policy;
}

/* Partly used trees first, and of those the fuller ones; but what is nearly
 * full is hardly worth a reservation. */
static uint8_t priority_of(size_t free)
{
	if (free >= LLFREE_TREE_SIZE / 2)
		return 1;
	return free >= LLFREE_TREE_SIZE / 64 ? UINT8_MAX : 0;
}

static llfree_policy_t for_small(uint8_t target, size_t free)
{
	if (target == CLASS_FRESH)
		return use(LLFREE_POLICY_DEMOTE, 2);
	/* Entirely free: it was used, and is anybody's. */
	if (target == CLASS_SMALL || free == LLFREE_TREE_SIZE)
		return use(LLFREE_POLICY_MATCH, priority_of(free));
	return use(LLFREE_POLICY_DEMOTE, 1);
}

static llfree_policy_t for_huge(uint8_t target, size_t free)
{
	if (target == CLASS_FRESH)
		return use(LLFREE_POLICY_DEMOTE, 2);
	if (target == CLASS_HUGE)
		return use(LLFREE_POLICY_MATCH, priority_of(free));
	return use(free >= LLFREE_TREE_SIZE / 2 ? LLFREE_POLICY_STEAL
						: LLFREE_POLICY_DEMOTE,
		   1);
}

static llfree_policy_t policy(uint8_t requested, uint8_t target, size_t free)
{
	switch (requested) {
	case CLASS_SMALL:
		return for_small(target, free);
	case CLASS_HUGE:
		return for_huge(target, free);
	default:
		return use(LLFREE_POLICY_STEAL, 1);
	}
}

llfree_classing_t class_classing(size_t cores)
{
	llfree_classing_t classing = {
		.classes = { { CLASS_SMALL, cores },
			     { CLASS_HUGE, cores },
			     { CLASS_FRESH, 0 },
			     { CLASS_BORROWED, 0 } },
		.num_classes = 4,
		.default_class = CLASS_HUGE,
		.policy = policy,
	};
	return classing;
}
