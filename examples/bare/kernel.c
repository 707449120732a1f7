/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A kernel that is nothing but its page allocator and the test of it. It hands
 * all of the machine's memory to the allocator, and the map of owners is memory
 * that it gets from there. On the command line:
 *
 *   cpus=N    so many processors
 *   rounds=N  so many steps on each
 *   mistake=N 1: a block is put twice; 2: one is forgotten
 */
#include <llfree_platform.h>
#include "examples/bare/machine.h"
#include "examples/bare/stress.h"

static uint8_t handle[2 * LLFREE_CACHE_SIZE]
	__attribute__((aligned(LLFREE_CACHE_SIZE)));
static struct worker workers[STRESS_CPUS];
static struct stress stress = { .allocator = (llfree_t *)handle,
				.workers = workers };

uint64_t *frame_contents(uint64_t frame)
{
	return (uint64_t *)(frame << LLFREE_FRAME_BITS);
}

/* ------------------------------------------------------------------------ */
/* Memory                                                                    */

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

/* Return the usable memory that holds `address`. */
static struct span memory_around(const struct start_info *info,
				 uint64_t address)
{
	struct span span;

	for (unsigned i = 0; (span = usable_memory(info, i)).end; i++)
		if (span.start <= address && address < span.end)
			return span;
	fail("no memory there: ", address);
}

static uint64_t end_of_memory(const struct start_info *info)
{
	uint64_t end = 0;
	struct span span;

	for (unsigned i = 0; (span = usable_memory(info, i)).end; i++)
		end = span.end > end ? span.end : end;
	return end;
}

/*
 * Set up the allocator for all frames up to the last one, all allocated, with
 * its metadata behind the kernel. Return where that ends.
 */
static uint64_t place_metadata(const struct start_info *info, size_t frames)
{
	llfree_classing_t classing = llfree_classing_simple(stress.cpus);
	llfree_meta_size_t size = llfree_metadata_size(&classing, frames);
	uint64_t start = round_up(kernel_image().end, LLFREE_FRAME_SIZE);
	llfree_meta_t meta;

	meta.lower = (uint8_t *)start;
	meta.trees = meta.lower + round_up(size.lower, LLFREE_CACHE_SIZE);
	meta.local = meta.trees + round_up(size.trees, LLFREE_CACHE_SIZE);
	start = (uint64_t)meta.local + size.local;
	if (start > memory_around(info, kernel_image().start).end)
		fail("too much metadata: ", size.lower);
	if (!llfree_is_ok(llfree_init(stress.allocator, frames,
				      LLFREE_INIT_ALLOC, meta, &classing)))
		fail("cannot manage frames: ", frames);
	return start;
}

/* Hand over all usable memory, but what is in use: that up to `used`. */
static void free_memory(const struct start_info *info, uint64_t used)
{
	llfree_request_t request = llfree_simple_request(stress.cpus, 0, 0);
	struct span span;

	for (unsigned i = 0; (span = usable_memory(info, i)).end; i++) {
		uint64_t start = span.start > used ? span.start : used;
		uint64_t first = round_up(start, LLFREE_FRAME_SIZE) >>
				 LLFREE_FRAME_BITS;
		uint64_t end = span.end >> LLFREE_FRAME_BITS;

		if (first >= end)
			continue;
		if (!llfree_is_ok(llfree_put_range(stress.allocator,
						   frame_id(first), end - first,
						   request)))
			fail("cannot free memory at frame ", first);
	}
}

static void make_owners(size_t frames)
{
	size_t size = round_up(frames, LLFREE_FRAME_SIZE) >> LLFREE_FRAME_BITS;
	llfree_result_t got =
		llfree_get_range(stress.allocator, frame_id_none(), size,
				 llfree_simple_request(stress.cpus, 0, 0));

	if (!llfree_is_ok(got))
		fail("no room for the map of owners: ", size);
	stress.owners = (uint8_t *)frame_contents(got.frame.value);
	memset(stress.owners, 0, frames);
}

/* ------------------------------------------------------------------------ */

_Noreturn void other_cpu(unsigned cpu)
{
	if (cpu < stress.cpus)
		stress_run(&stress, cpu);
	for (;;)
		asm volatile("hlt");
}

_Noreturn void first_cpu(const struct start_info *info)
{
	size_t frames = end_of_memory(info) >> LLFREE_FRAME_BITS;

	stress.cpus = (unsigned)parameter(info, "cpus", 1);
	stress.rounds = parameter(info, "rounds", 10000);
	stress.mistake =
		(enum stress_mistake)parameter(info, "mistake", NO_MISTAKE);
	if (stress.cpus < 1 || stress.cpus > STRESS_CPUS)
		fail("too many processors: ", stress.cpus);
	free_memory(info, place_metadata(info, frames));
	make_owners(frames);
	stress_begin(&stress);
	start_cpus(stress.cpus);
	stress_run(&stress, 0);
	stress_end(&stress);
	print("# done\n");
	machine_exit(true);
}
