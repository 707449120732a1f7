/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* Included by mm/compaction.c, as page_alloc.h is by mm/page_alloc.c. */
#include "llfree/names.h"

#if defined(CONFIG_LLFREE) && defined(CONFIG_COMPACTION)
static enum compact_result compact_zone(struct compact_control *control,
					struct capture_control *capture);
#endif
