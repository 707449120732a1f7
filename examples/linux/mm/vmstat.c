// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: the llfree-preload contributors

/* Included at the end of mm/vmstat.c: a zone's line of /proc/buddyinfo. */
#ifdef CONFIG_LLFREE

#include "llfree/zones.h"

static void frag_show_print(struct seq_file *file, pg_data_t *node,
			    struct zone *zone)
{
	size_t blocks[ARRAY_SIZE(zone->free_area)];
	unsigned int order;

	if (!llfree_active) {
		buddy_frag_show_print(file, node, zone);
		return;
	}
	llfree_count_blocks(zone, blocks, ARRAY_SIZE(blocks));
	seq_printf(file, "Node %d, zone %8s", node->node_id, zone->name);
	for (order = 0; order < ARRAY_SIZE(blocks); order++)
		seq_printf(file, " %6zu", blocks[order]);
	seq_puts(file, " \n");
}

#endif
