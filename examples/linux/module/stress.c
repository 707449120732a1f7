// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: the llfree-preload contributors

/* What examples/bare/stress.c wants from a kernel. */

#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include "examples/bare/stress.h"
#include "examples/linux/module/bench.h"
#include "examples/linux/module/frames.h"
#include "examples/linux/module/team.h"

uint64_t *frame_contents(uint64_t frame)
{
	return page_address(pfn_to_page(frames_first_pfn() + frame));
}

void print_number(const char *text, uint64_t number)
{
	pr_info("llfree: %s%llu\n", text, number);
}

static void run(void *arg, unsigned int cpu)
{
	stress_run(arg, cpu);
}

int stress(unsigned int rounds, unsigned int mistake)
{
	struct stress stress = {
		.allocator = frames_llfree(),
		.cpus = min(num_online_cpus(), STRESS_CPUS),
		.rounds = rounds,
		.mistake = mistake,
	};
	int error = -ENOMEM;

	stress.owners = vzalloc(llfree_frames(stress.allocator));
	stress.workers = vzalloc(stress.cpus * sizeof(struct worker));
	if (stress.owners && stress.workers) {
		stress_begin(&stress);
		team_run(stress.cpus, run, &stress);
		stress_end(&stress);
		error = 0;
	}
	vfree(stress.workers);
	vfree(stress.owners);
	return error;
}
