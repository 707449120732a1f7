// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: the llfree-preload contributors

#include <linux/kprobes.h>
#include <linux/smp.h>

#include <llfree_platform.h>
#include "examples/linux/module/frames.h"
#include "examples/linux/module/side.h"

DEFINE_PER_CPU(unsigned long, llfree_retries);
static DEFINE_PER_CPU(unsigned long, contended_locks);

/* ------------------------------------------------------------------------ */

static unsigned long llfree_side_get(unsigned int order)
{
	llfree_result_t got =
		llfree_get(frames_llfree(), frame_id_none(),
			   llfree_simple_request(nr_cpu_ids, order,
						 raw_smp_processor_id()));

	return llfree_is_ok(got) ? frames_first_pfn() + got.frame.value : 0;
}

static void llfree_side_put(unsigned long pfn, unsigned int order)
{
	llfree_result_t put =
		llfree_put(frames_llfree(), frame_id(pfn - frames_first_pfn()),
			   llfree_simple_request(nr_cpu_ids, order,
						 raw_smp_processor_id()));

	if (!llfree_is_ok(put))
		panic("llfree: frame %lu cannot be put", pfn);
}

static void llfree_side_free(size_t *frames, size_t *huge)
{
	ll_stats_t stats = llfree_stats(frames_llfree());

	*frames = stats.free_frames;
	*huge = stats.free_huge;
}

/* ------------------------------------------------------------------------ */

static u64 kernel_side_contended(void)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(contended_locks, cpu));
	return sum;
}

/* Of the zone that LLFree's frames are from. */
static void kernel_side_free(size_t *frames, size_t *huge)
{
	struct zone *zone = frames_zone();
	unsigned int order;

	*frames = zone_page_state(zone, NR_FREE_PAGES);
	*huge = 0;
	for (order = LLFREE_HUGE_ORDER; order < ARRAY_SIZE(zone->free_area);
	     order++)
		*huge += zone->free_area[order].nr_free
			 << (order - LLFREE_HUGE_ORDER);
}

/* ------------------------------------------------------------------------ */

const struct side sides[SIDES] = {
	[SIDE_LLFREE] = { "llfree", llfree_side_get, llfree_side_put,
			  atom_retries, llfree_side_free },
	[SIDE_KERNEL] = { "kernel", kernel_get, kernel_put,
			  kernel_side_contended, kernel_side_free },
};

static int lock_is_contended(struct kprobe *probe, struct pt_regs *regs)
{
	this_cpu_inc(contended_locks);
	return 0;
}

static struct kprobe slow_path = {
	.symbol_name = "native_queued_spin_lock_slowpath",
	.pre_handler = lock_is_contended,
};

int side_count_locks(void)
{
	return register_kprobe(&slow_path);
}

void side_count_locks_end(void)
{
	unregister_kprobe(&slow_path);
}
