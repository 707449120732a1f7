/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The two ready-made classings. In both, a request of a lower class may take
 * over trees of a higher class. A request of a higher class may only use trees
 * of a lower class as they are.
 */
#include "lib/ids.h"

/*
 * Prefer partly used trees, so that entirely free trees stay free. A nearly
 * full tree comes last: it is hardly worth a reservation.
 */
static llfree_policy_t policy(uint8_t requested, uint8_t target, size_t free,
			      uint8_t nearly_full)
{
	uint8_t priority = UINT8_MAX;
	uint8_t type = LLFREE_POLICY_MATCH;

	if (free >= LLFREE_TREE_SIZE / 2)
		priority = 1;
	else if (free < LLFREE_TREE_SIZE / 64)
		priority = nearly_full;
	if (requested > target)
		type = LLFREE_POLICY_STEAL;
	else if (requested < target)
		type = LLFREE_POLICY_DEMOTE;
	return (llfree_policy_t){ type, priority };
}

/* Classes 0 to n-1, each with one slot per core. */
static llfree_classing_t classing(size_t cores, uint8_t classes,
				  llfree_policy_fn policy_fn)
{
	llfree_classing_t self = {
		.num_classes = classes,
		.default_class = (uint8_t)(classes - 1),
		.policy = policy_fn,
	};

	for (uint8_t i = 0; i < classes; i++)
		self.classes[i] = (llfree_class_conf_t){ i, cores };
	return self;
}

llfree_policy_t llfree_simple_policy(uint8_t requested, uint8_t target,
				     size_t free)
{
	return policy(requested, target, free, 0);
}

llfree_classing_t llfree_classing_simple(size_t cores)
{
	return classing(cores, 2, llfree_simple_policy);
}

llfree_policy_t llfree_movable_policy(uint8_t requested, uint8_t target,
				      size_t free)
{
	return policy(requested, target, free, 2);
}

llfree_classing_t llfree_classing_movable(size_t cores)
{
	return classing(cores, 3, llfree_movable_policy);
}
