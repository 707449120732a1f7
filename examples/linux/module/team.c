// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: the llfree-preload contributors

#include <linux/atomic.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "examples/linux/module/team.h"

struct member {
	struct work_struct work;
	void (*task)(void *arg, unsigned int cpu);
	void *arg;
	unsigned int cpu;
};

static struct member members[NR_CPUS > 64 ? 64 : NR_CPUS];

static void member_work(struct work_struct *work)
{
	struct member *member = container_of(work, struct member, work);

	member->task(member->arg, member->cpu);
}

void team_run(unsigned int cpus, void (*task)(void *arg, unsigned int cpu),
	      void *arg)
{
	unsigned int cpu;

	for (cpu = 0; cpu < cpus; cpu++) {
		struct member *member = &members[cpu];

		member->task = task;
		member->arg = arg;
		member->cpu = cpu;
		INIT_WORK(&member->work, member_work);
		schedule_work_on(cpu, &member->work);
	}
	for (cpu = 0; cpu < cpus; cpu++)
		flush_work(&members[cpu].work);
}

void barrier_wait(unsigned int cpus)
{
	static atomic_t arrived, turns;
	int turn = atomic_read_acquire(&turns);

	if (atomic_inc_return(&arrived) == cpus) {
		atomic_set(&arrived, 0);
		atomic_set_release(&turns, turn + 1);
	}
	while (atomic_read_acquire(&turns) == turn) {
		cpu_relax();
		cond_resched();
	}
}
