/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A frame's life under LLFREE_MAX: after each step what is counted (live frames
 * towards the limit, dirty ones) is what the marks say.
 */
#include "tests/unit/preload/arena.h"

#include "preload/arena/usage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#define ALL ((size_t)32 << 20) /* or a tree, if that is more */
#define MOST ((size_t)1024) /* frames */
#define DECAY 1000u /* milliseconds */

/* A page that is live all the time, so that no mappings are merged because all
 * of a tree is free. */
static char *stays;

static bool refuses;

static long fake_mmap(void *addr, size_t len, int prot, int flags, int fd,
		      off_t offset)
{
	return refuses ? -ENOMEM : sys_mmap(addr, len, prot, flags, fd, offset);
}

static int start(void **state)
{
	static struct arena_os kernel;
	static struct arena_options options = {
		.bytes = ALL > TREE ? ALL : TREE,
		.page = PAGE,
		.cores = 1,
		.decay = DECAY,
		.max = MOST * PAGE,
	};

	(void)state;
	kernel = real_kernel();
	kernel.mmap = fake_mmap;
	options.hint = getauxval(AT_RANDOM);
	start_arena(&kernel, &options);
	stays = get(PAGE);
	return 0;
}

static struct arena_snapshot snapshot(void)
{
	struct arena_snapshot f;

	arena_snapshot(&f);
	return f;
}

/* Neither more nor fewer are counted. */
static void assert_dirty(size_t frames)
{
	usage_add(0, 0, -(int64_t)frames);
	assert_false(usage_any_dirty());
	usage_add(0, 0, 1);
	assert_true(usage_any_dirty());
	usage_add(0, 0, (int64_t)frames - 1);
}

static void assert_reserved(size_t frames)
{
	assert_in_range(frames, 0, MOST);
	assert_true(usage_reserve(MOST - frames, 0));
	assert_false(usage_reserve(1, 0));
	usage_release(MOST - frames);
}

/* Beside what stays. */
static void assert_counted(size_t live, size_t dirty)
{
	struct arena_snapshot f = snapshot();

	assert_int_equal(f.live, live + 1);
	assert_int_equal(f.dirty, dirty);
	assert_reserved(live + 1);
	assert_dirty(dirty);
}

static uint64_t now;

static void later(void)
{
	now += DECAY;
	arena_age(now, SIZE_MAX);
}

/* No frame is live or dirty at the beginning of each. */
static int all_clean(void **state)
{
	(void)state;
	refuses = false;
	for (int i = 0; i < 3; i++)
		later();
	assert_counted(0, 0);
	return 0;
}

static char *written(size_t pages)
{
	char *p = get(pages * PAGE);

	memset(p, 'w', pages * PAGE);
	return p;
}

static void serve_at(char *p, size_t pages)
{
	assert_true(arena_get_at(at(p, pages * PAGE)));
}

static void served_and_freed(void **state)
{
	char *p = written(20);

	(void)state;
	assert_counted(20, 0);
	put(p, 5 * PAGE);
	assert_counted(15, 5);
	put(p, 20 * PAGE);
	assert_counted(0, 20);
	serve_at(p, 10);
	assert_counted(10, 10);
	assert_int_equal(p[0], 0);
	put(p, 10 * PAGE);
	assert_counted(0, 20);
}

static void refused(void **state)
{
	char *p = written(20);
	void *addr;

	(void)state;
	assert_int_equal(arena_get((MOST - 20) * PAGE, false, &addr),
			 REASON_MAX);
	assert_false(arena_get_at(at(p, PAGE)));
	assert_counted(20, 0);
	arena_remap_later(at(p, 8 * PAGE), REMAP_BEFORE_USE);
	refuses = true;
	put(p, 8 * PAGE);
	assert_counted(12, 0);
	assert_false(arena_get_at(at(p, 8 * PAGE)));
	assert_counted(12, 0);
	refuses = false;
	serve_at(p, 8);
	assert_counted(20, 0);
	put(p, 20 * PAGE);
}

static void freed_clean(void **state)
{
	char *p = written(20);

	(void)state;
	put(p, 20 * PAGE);
	serve_at(p, 20);
	arena_free(at(p, 5 * PAGE), LEAVE_CLEAN);
	assert_counted(15, 0);
	arena_remap_later(at(p + 5 * PAGE, 5 * PAGE), REMAP_BEFORE_USE);
	put(p + 5 * PAGE, 5 * PAGE);
	assert_counted(10, 0);
	arena_remap_later(at(p + 10 * PAGE, 5 * PAGE), REMAP_ON_FREE);
	put(p + 10 * PAGE, 5 * PAGE);
	assert_counted(5, 0);
	put(p + 15 * PAGE, 5 * PAGE);
	assert_counted(0, 5);
}

/* Free ones, of which some are dirty; then all are the program's. */
static void detached(void **state)
{
	char *p = written(20);
	struct arena_detached d;

	(void)state;
	put(p + 5 * PAGE, 10 * PAGE);
	assert_counted(10, 10);
	d = arena_detach(at(p, 20 * PAGE));
	assert_counted(20, 0);
	arena_reattach(&d, false);
	assert_counted(10, 10);
	d = arena_detach_free(at(p + 5 * PAGE, 10 * PAGE));
	assert_int_equal(d.count, 1);
	assert_counted(20, 0);
	put(p, 20 * PAGE);
	assert_counted(0, 0);
}

/* Over frames that were dirty when they were served, and over free ones that
 * are dirty. */
static void mapped_over(void **state)
{
	char *p = written(20);

	(void)state;
	put(p, 20 * PAGE);
	serve_at(p, 10);
	assert_counted(10, 10);
	assert_int_equal(arena_map_over(at(p, 10 * PAGE), false), 0);
	assert_counted(10, 10);
	assert_int_equal(arena_map_over(at(p + 5 * PAGE, 10 * PAGE), false), 0);
	assert_counted(15, 5);
	put(p, 15 * PAGE);
	assert_counted(0, 20);
}

static void taken_away(void **state)
{
	char *p = written(20);

	(void)state;
	put(p, 20 * PAGE);
	serve_at(p, 20);
	sys_munmap(p + 5 * PAGE, 5 * PAGE);
	arena_reclaim_unmapped(at(p, 20 * PAGE));
	assert_counted(15, 0);
	put(p, 20 * PAGE);
	assert_counted(0, 15);
}

static void old_becomes_clean(void **state)
{
	char *p = written(20);

	(void)state;
	put(p, 10 * PAGE);
	later();
	put(p + 10 * PAGE, 10 * PAGE);
	later();
	assert_counted(0, 10);
	later();
	assert_counted(0, 0);
}

/* As many are cleaned as there are too many. */
static void too_many(void **state)
{
	size_t dirty;
	char *p[8];

	(void)state;
	for (size_t i = 0; i < 8; i++)
		p[i] = written(100);
	assert_counted(800, 0);
	for (size_t i = 0; i < 8; i++) {
		put(p[i], 100 * PAGE);
		dirty = snapshot().dirty;
		assert_counted(700 - 100 * i, dirty);
	}
	assert_in_range(dirty, 1, 799);
}

static void left_and_closed(void **state)
{
	char *p = written(20);

	(void)state;
	put(p, 20 * PAGE);
	put(stays, PAGE);
	assert_true(arena_trim());
	stays = get(PAGE);
	assert_counted(0, 0);
	p = written(20);
	put(p, 10 * PAGE);
	assert_counted(10, 10);
	arena_close_free();
	assert_counted(10, 0);
	put(p, 20 * PAGE);
	assert_counted(0, 10);
}

/* What another thread had reserved, and counted or not. Last: the child goes on
 * from here. */
static void forked(void **state)
{
	char *p = written(30);

	(void)state;
	put(p, 10 * PAGE);
	assert_true(usage_reserve(500, 0));
	usage_add(0, 300, -5);
	arena_forked();
	assert_counted(20, 10);
	serve_at(p, 10);
	put(p, 30 * PAGE);
	assert_counted(0, 30);
}

#define TEST(name) cmocka_unit_test_setup(name, all_clean)

/* Its run-time library owns the addresses that the arena would live at. */
extern void __tsan_init(void) __attribute__((weak));

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(served_and_freed),	 TEST(refused),
		TEST(freed_clean),	 TEST(detached),
		TEST(mapped_over),	 TEST(taken_away),
		TEST(old_becomes_clean), TEST(too_many),
		TEST(left_and_closed),	 TEST(forked),
	};

	if (__tsan_init) {
		puts("1..0 # SKIP the thread sanitizer leaves no place");
		return 0;
	}
	return cmocka_run_group_tests(tests, start, NULL);
}
