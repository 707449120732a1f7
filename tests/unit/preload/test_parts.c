/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * From addresses to what is there, about the borders of trees and of the arena.
 * Behind the marks of the last frame lies memory without access.
 */
#include "tests/unit/preload/arena.h"

#include "preload/arena/parts.h"

#include <stdio.h>
#include <sys/auxv.h>

/* So many that their marks are whole pages. */
#define TREES ((size_t)8)

static long map_guarded(void *addr, size_t len, int prot, int flags, int fd,
			off_t offset)
{
	long at;

	if (addr)
		return sys_mmap(addr, len, prot, flags, fd, offset);
	at = sys_mmap(NULL, len + PAGE, PROT_NONE, flags, fd, offset);
	if (!sys_failed(at))
		sys_mprotect((void *)at, len, prot);
	return at;
}

static uintptr_t tree_at(size_t tree)
{
	return arena_bounds.start + tree * TREE;
}

/* Trees 1, 2 and the last one are online, with a page in use each. */
static const size_t online[] = { 1, 2, TREES - 1 };

static int start(void **state)
{
	static struct arena_os kernel;
	static struct arena_options options = {
		.bytes = TREES * TREE,
		.page = PAGE,
		.cores = 1,
		.decay = ARENA_NEVER,
	};

	(void)state;
	kernel = real_kernel();
	kernel.mmap = map_guarded;
	options.hint = getauxval(AT_RANDOM);
	start_arena(&kernel, &options);
	assert_int_equal(arena_bounds.len, TREES * TREE);
	for (size_t i = 0; i < 3; i++)
		assert_true(arena_get_at(region(tree_at(online[i]), PAGE)));
	return 0;
}

static void assert_part(struct arena_part part, enum part_kind kind,
			uintptr_t start, uintptr_t end)
{
	assert_int_equal(part.kind, kind);
	assert_int_equal(part.region.start, start);
	assert_int_equal(region_end(part.region), end);
}

static struct region from_to(uintptr_t start, uintptr_t end)
{
	return region(start, end - start);
}

/* A place ends where the kind of tree changes, or where the region ends. */
static void places(void **state)
{
	uintptr_t begin = arena_bounds.start, end = region_end(arena_bounds);
	struct region all = from_to(begin - TREE, end + TREE);

	(void)state;
	assert_part(arena_place(all), PART_KERNEL, all.start, tree_at(1));
	assert_part(arena_place(region_from(all, tree_at(1))), PART_ONLINE,
		    tree_at(1), tree_at(3));
	assert_part(arena_place(region_from(all, tree_at(3))), PART_KERNEL,
		    tree_at(3), tree_at(TREES - 1));
	assert_part(arena_place(region_from(all, tree_at(TREES - 1))),
		    PART_ONLINE, tree_at(TREES - 1), end);
	assert_part(arena_place(region_from(all, end)), PART_KERNEL, end,
		    end + TREE);
	assert_part(arena_place(from_to(tree_at(1) + PAGE, tree_at(2) + PAGE)),
		    PART_ONLINE, tree_at(1) + PAGE, tree_at(2) + PAGE);
	assert_part(arena_place(from_to(tree_at(2) - PAGE, tree_at(2))),
		    PART_ONLINE, tree_at(2) - PAGE, tree_at(2));
	assert_part(arena_place(from_to(tree_at(0), tree_at(1))), PART_KERNEL,
		    tree_at(0), tree_at(1));
}

static void parts_across_trees(void **state)
{
	struct region r = from_to(tree_at(0), tree_at(4));
	static const enum part_kind kinds[] = { PART_KERNEL, PART_LIVE,
						PART_HOLE,   PART_LIVE,
						PART_HOLE,   PART_KERNEL };
	const uintptr_t ends[] = { tree_at(1), tree_at(1) + PAGE,
				   tree_at(2), tree_at(2) + PAGE,
				   tree_at(3), tree_at(4) };
	uintptr_t at = r.start;
	size_t n = 0;

	(void)state;
	for_each_part(part, r) {
		assert_in_range(n, 0, 5);
		assert_part(part, kinds[n], at, ends[n]);
		at = ends[n++];
	}
	assert_int_equal(n, 6);
}

static void of_the_arena(void **state)
{
	uintptr_t end = region_end(arena_bounds);

	(void)state;
	assert_false(arena_has(from_to(tree_at(0), tree_at(1))));
	assert_true(arena_has(from_to(tree_at(0), tree_at(1) + PAGE)));
	assert_true(arena_has(from_to(end - PAGE, end + PAGE)));
	assert_false(arena_has(from_to(end, end + PAGE)));
	assert_int_equal(span_within(region(end - PAGE, 2 * PAGE)).count, 1);
	assert_int_equal(span_within(region(tree_at(0) - PAGE, 2 * PAGE)).count,
			 1);
	assert_int_equal(span_within(region(end, PAGE)).count, 0);
}

/* The arena's end is the beginning of no VMA of the arena. */
static void mapped_at_the_end(void **state)
{
	struct region last = region(region_end(arena_bounds) - PAGE, PAGE);
	struct region two = region(last.start - PAGE, 2 * PAGE);

	(void)state;
	assert_true(arena_get_at(two));
	arena_remap_later(last, REMAP_BEFORE_USE);
	put((char *)last.start, PAGE);
	assert_true(arena_is_free(last));
	assert_int_equal(arena_vma(two).len, PAGE);
	assert_int_equal(arena_vma(last).len, PAGE);
	put((char *)two.start, PAGE);
}

/* Its run-time library owns the addresses that the arena would live at. */
extern void __tsan_init(void) __attribute__((weak));

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places),
		cmocka_unit_test(parts_across_trees),
		cmocka_unit_test(of_the_arena),
		cmocka_unit_test(mapped_at_the_end),
	};

	if (__tsan_init) {
		puts("1..0 # SKIP the thread sanitizer leaves no place");
		return 0;
	}
	return cmocka_run_group_tests(tests, start, NULL);
}
