/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The main heap's zone, in an arena of a few trees, on a kernel that can
 * refuse.
 */
#include "tests/unit/preload/arena.h"

#include "preload/calls/brk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#define TREES 8u
#define HEAP_ZONE (2 * TREE)

static bool refuse;

static long fake_mmap(void *addr, size_t len, int prot, int flags, int fd,
		      off_t offset)
{
	return refuse ? -ENOMEM : sys_mmap(addr, len, prot, flags, fd, offset);
}

static unsigned fake_cpu(void)
{
	return 3;
}

static uintptr_t base;

static int start(void **state)
{
	static struct arena_os kernel;
	static struct arena_options options = {
		.bytes = TREES * TREE,
		.page = PAGE,
		.cores = 2,
		.heap = true,
	};

	(void)state;
	kernel = real_kernel();
	kernel.mmap = fake_mmap;
	kernel.cpu = fake_cpu;
	options.hint = getauxval(AT_RANDOM);
	start_arena(&kernel, &options);
	assert_int_equal(arena_bounds.len, TREES * TREE + HEAP_ZONE);
	assert_int_equal(arena_heap_zone.len, HEAP_ZONE);
	base = arena_heap_zone.start;
	assert_int_equal(base, arena_bounds.start + TREES * TREE);
	return 0;
}

static int nothing_in_use(void **state)
{
	struct arena_snapshot f;

	(void)state;
	refuse = false;
	assert_int_equal(brk_move(base), base);
	arena_snapshot(&f);
	assert_int_equal(f.live, 0);
	assert_int_equal(f.leaked, 0);
	assert_int_equal(f.frames * PAGE, TREES * TREE + HEAP_ZONE);
	assert_int_equal(f.free_frames, f.frames);
	assert_int_equal(f.fast_free, f.frames);
	assert_int_equal(f.free_trees, TREES + 2);
	return 0;
}

static size_t live(void)
{
	struct arena_snapshot f;

	arena_snapshot(&f);
	assert_int_equal(f.free_frames + f.live, f.frames);
	assert_int_equal(f.fast_free, f.free_frames);
	return f.live;
}

/* Nothing is online yet. */
static void refused(void **state)
{
	(void)state;
	assert_int_equal(brk_move(0), base);
	refuse = true;
	assert_int_equal(brk_move(base + 1), base);
	refuse = false;
	assert_int_equal(live(), 0);
	assert_int_equal(brk_move(base + 1), base + 1);
	refuse = true;
	assert_int_equal(brk_move(base + TREE), base + TREE);
	assert_int_equal(brk_move(base + TREE + 1), base + TREE);
	assert_int_equal(live(), TREE / PAGE);
}

static void by_bytes(void **state)
{
	(void)state;
	assert_int_equal(brk_move(base + 1), base + 1);
	assert_int_equal(live(), 1);
	assert_int_equal(brk_move(base + PAGE), base + PAGE);
	assert_int_equal(live(), 1);
	assert_int_equal(brk_move(base + PAGE + 1), base + PAGE + 1);
	assert_int_equal(live(), 2);
	assert_int_equal(brk_move(base + PAGE), base + PAGE);
	assert_int_equal(live(), 1);
	assert_int_equal(brk_move(base - 1), base + PAGE);
	assert_int_equal(brk_move(UINTPTR_MAX), base + PAGE);
}

static void all_of_it(void **state)
{
	uintptr_t end = base + HEAP_ZONE;

	(void)state;
	assert_int_equal(brk_move(end + 1), base);
	assert_int_equal(brk_move(end), end);
	assert_int_equal(brk_move(end + 1), end);
	assert_int_equal(live(), HEAP_ZONE / PAGE);
	memset((char *)base, 'h', PAGE);
	assert_int_equal(brk_move(base), base);
	assert_int_equal(brk_move(base + PAGE), base + PAGE);
	for (size_t i = 0; i < PAGE; i++)
		assert_int_equal(((char *)base)[i], 0);
}

/* Regions never lie in the window, even when all else is taken. */
static void no_regions(void **state)
{
	struct arena_tally tally = { 0, 0 };
	size_t count = 0;
	void *addr;

	(void)state;
	assert_int_equal(brk_move(base + PAGE), base + PAGE);
	for (; arena_get(TREE / 2, false, &addr) == REASON_NONE; count++)
		assert_true((uintptr_t)addr < base);
	assert_int_equal(count, 2 * TREES);
	assert_int_equal(brk_move(base + HEAP_ZONE), base + HEAP_ZONE);
	/* Neither does one grow into it. */
	assert_false(arena_get_at(region(base - PAGE, 2 * PAGE)));
	assert_int_equal(brk_move(base + PAGE), base + PAGE);
	assert_int_equal(
		arena_unmap(region(arena_bounds.start, TREES * TREE + PAGE),
			    &tally),
		0);
	assert_int_equal(tally.ours, TREES * TREE + PAGE);
	assert_false(arena_get_at(region(base - PAGE, 2 * PAGE)));
}

static void in_its_way(void **state)
{
	struct arena_tally tally = { 0, 0 };

	(void)state;
	assert_int_equal(brk_move(base + PAGE), base + PAGE);
	assert_true(arena_get_at(region(base + 3 * PAGE, PAGE)));
	assert_int_equal(brk_move(base + 4 * PAGE), base + PAGE);
	assert_int_equal(brk_move(base + 3 * PAGE), base + 3 * PAGE);
	assert_int_equal(arena_unmap(region(base + 3 * PAGE, PAGE), &tally), 0);
	assert_int_equal(brk_move(base + 4 * PAGE), base + 4 * PAGE);
	assert_int_equal(live(), 4);
}

/* Its run-time library owns the addresses that the arena would live at. */
extern void __tsan_init(void) __attribute__((weak));

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(refused, nothing_in_use),
		cmocka_unit_test_teardown(by_bytes, nothing_in_use),
		cmocka_unit_test_teardown(all_of_it, nothing_in_use),
		cmocka_unit_test_teardown(no_regions, nothing_in_use),
		cmocka_unit_test_teardown(in_its_way, nothing_in_use),
	};

	if (__tsan_init) {
		puts("1..0 # SKIP the thread sanitizer leaves no place");
		return 0;
	}
	return cmocka_run_group_tests(tests, start, NULL);
}
