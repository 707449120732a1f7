// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: the llfree-preload contributors

/*
 * /proc/llfree: what is free in each zone, in frames of 4 KiB and whole ones of
 * 2 MiB, and what LLFree did. What can be written to it:
 *
 *   check         check everything, with all other processors stopped: EIO when
 *                 something is wrong, and the kernel's log says what
 *   instructions  measure the kernel's page allocator, whichever it is, see
 *                 instructions.c; the table is in the kernel's log
 */
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/stop_machine.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmstat.h>

#include <llfree.h>
#include "examples/linux/module/bench.h"
#include "examples/linux/module/side.h"
#include "zones.h"

static int show(struct seq_file *file, void *unused)
{
	struct zone *zone;

	seq_puts(file, "zone managed free huge reservations steals demotions "
		       "raids retries\n");
	for_each_populated_zone(zone)
	{
		const llfree_t *llfree = llfree_of_zone(zone);
		ll_stats_t stats;
		llfree_counters_t count;

		if (!llfree)
			continue;
		stats = llfree_stats(llfree);
		count = llfree_counters(llfree);
		seq_printf(file, "%s %lu %zu %zu %llu %llu %llu %llu %llu\n",
			   zone->name, zone_managed_pages(zone),
			   stats.free_frames, stats.free_huge,
			   count.reservations, count.steals, count.demotions,
			   count.raids, count.retries);
	}
	return 0;
}

/* ------------------------------------------------------------------------ */
/* Checks                                                                    */

static bool equal(const struct zone *zone, const char *what, u64 found,
		  u64 expected)
{
	if (found != expected)
		pr_err("llfree: zone %s: %s: %llu, not %llu\n", zone->name,
		       what, found, expected);
	return found == expected;
}

/* Nothing may have got into the lists that LLFree replaces. */
static u64 pages_in_lists(const struct zone *zone)
{
	unsigned int order;
	u64 pages = 0;

	for (order = 0; order < ARRAY_SIZE(zone->free_area); order++)
		pages += (u64)zone->free_area[order].nr_free << order;
	return pages;
}

/* Return how many pages are free that are in use, or are no pages at all. */
static u64 free_but_used(const struct zone *zone, const llfree_t *llfree)
{
	size_t frames = llfree_frames(llfree), frame;
	u64 used = 0;

	for (frame = 0; frame < frames; frame++) {
		unsigned long pfn = llfree_first_pfn(zone) + frame;

		if (!llfree_stats_at(llfree, frame_id(frame), 0).free_frames)
			continue;
		if (!pfn_valid(pfn) || page_zone(pfn_to_page(pfn)) != zone ||
		    page_count(pfn_to_page(pfn)) ||
		    PageReserved(pfn_to_page(pfn)))
			used++;
	}
	return used;
}

static u64 pages_in_blocks(const struct zone *zone)
{
	size_t blocks[ARRAY_SIZE(zone->free_area)];
	unsigned int order;
	u64 pages = 0;

	llfree_count_blocks(zone, blocks, ARRAY_SIZE(blocks));
	for (order = 0; order < ARRAY_SIZE(blocks); order++)
		pages += (u64)blocks[order] << order;
	return pages;
}

static bool check_zone(const struct zone *zone, const llfree_t *llfree)
{
	u64 counted =
		zone_page_state_snapshot((struct zone *)zone, NR_FREE_PAGES);
	u64 free = llfree_stats(llfree).free_frames;

	llfree_validate(llfree);
	return equal(zone, "free frames", free, counted) &
	       equal(zone, "free frames by the trees",
		     llfree_tree_stats(llfree).free_frames, free) &
	       equal(zone, "pages in free blocks", pages_in_blocks(zone),
		     free) &
	       equal(zone, "pages in the buddy's lists", pages_in_lists(zone),
		     0) &
	       equal(zone, "free frames in use", free_but_used(zone, llfree),
		     0);
}

static int check_all(void *unused)
{
	struct zone *zone;
	bool good = true;

	for_each_populated_zone(zone) if (llfree_of_zone(zone))
		good &= check_zone(zone, llfree_of_zone(zone));
	return good ? 0 : -EIO;
}

static int check(void)
{
	return llfree_active ? stop_machine(check_all, NULL, NULL) : 0;
}

/* ------------------------------------------------------------------------ */

static int measure(void)
{
	const struct side side = { .name = llfree_active ? "llfree" : "buddy",
				   .get = kernel_get,
				   .put = kernel_put };

	return instructions(&side, 1);
}

static ssize_t write(struct file *file, const char __user *text, size_t size,
		     loff_t *at)
{
	char word[16] = "";
	int error;

	if (size >= sizeof(word) || copy_from_user(word, text, size))
		return -EINVAL;
	if (sysfs_streq(word, "check"))
		error = check();
	else if (sysfs_streq(word, "instructions"))
		error = measure();
	else
		error = -EINVAL;
	return error ? error : size;
}

/* ------------------------------------------------------------------------ */

static int open(struct inode *inode, struct file *file)
{
	return single_open(file, show, NULL);
}

static const struct proc_ops operations = {
	.proc_open = open,
	.proc_read = seq_read,
	.proc_lseek = seq_lseek,
	.proc_write = write,
	.proc_release = single_release,
};

static int __init proc_llfree_init(void)
{
	return proc_create("llfree", 0600, NULL, &operations) ? 0 : -ENOMEM;
}
late_initcall(proc_llfree_init);
