// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: the llfree-preload contributors

/*
 * Included at the end of mm/compaction.c. Compaction looks for free pages in the
 * buddy allocator's lists; LLFree keeps huge frames whole without it.
 */
#if defined(CONFIG_LLFREE) && defined(CONFIG_COMPACTION)

#include "llfree/zones.h"

static enum compact_result compact_zone(struct compact_control *control,
					struct capture_control *capture)
{
	if (llfree_active)
		return COMPACT_SKIPPED;
	return buddy_compact_zone(control, capture);
}

#endif
