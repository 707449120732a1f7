/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* Included by mm/vmstat.c, as page_alloc.h is by mm/page_alloc.c. */
#include "llfree/names.h"

#ifdef CONFIG_LLFREE
static void frag_show_print(struct seq_file *file, pg_data_t *node,
			    struct zone *zone);
#endif
