/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * mremap on a kernel that has no memory to promise: each move again and again,
 * and each time another one of the calls that it makes is refused, alone or
 * with all that follow. A move that fails has changed nothing, and what stays
 * behind can be served.
 */
#include "tests/unit/preload/arena.h"

#include "preload/calls/mremap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#define ALL ((size_t)64 << 20) /* or a tree, if that is more */
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)
#define TO_PLACE (MREMAP_MAYMOVE | MREMAP_FIXED)
#define CALLS_MOST 100u

static struct {
	unsigned first; /* call that is refused, from 1 on; 0: none */
	bool only; /* not those that follow */
	unsigned calls;
} refuse;

static bool is_refused(void)
{
	refuse.calls++;
	return refuse.first && (refuse.calls == refuse.first ||
				(!refuse.only && refuse.calls > refuse.first));
}

static long fake_mmap(void *addr, size_t len, int prot, int flags, int fd,
		      off_t offset)
{
	return is_refused() ? -ENOMEM
			    : sys_mmap(addr, len, prot, flags, fd, offset);
}

/* As the kernel, which first makes room where it is to move to. */
static long fake_mremap(void *addr, size_t old_len, size_t new_len, int flags,
			void *to)
{
	bool asks = !flags && (uintptr_t)addr + new_len > sys_stack();

	if (asks || !is_refused())
		return sys_mremap(addr, old_len, new_len, flags, to);
	if (flags & MREMAP_FIXED)
		sys_munmap(to, new_len);
	return -ENOMEM;
}

static int start(void **state)
{
	static struct arena_os kernel;
	static struct arena_options options = {
		.bytes = ALL > TREE ? ALL : TREE,
		.page = PAGE,
		.cores = 1,
		.decay = ARENA_NEVER,
	};

	(void)state;
	kernel = real_kernel();
	kernel.mmap = fake_mmap;
	kernel.mremap = fake_mremap;
	options.hint = getauxval(AT_RANDOM);
	start_arena(&kernel, &options);
	return 0;
}

/* Each page is another one. */
static void fill(char *p, size_t len)
{
	for (size_t at = 0; at < len; at += PAGE)
		memset(p + at, (int)(1 + at / PAGE % 100), PAGE);
}

static bool is_filled(const char *p, size_t len)
{
	for (size_t at = 0; at < len; at++)
		if (p[at] != (char)(1 + at / PAGE % 100))
			return false;
	return true;
}

static bool reads_zero(const char *p, size_t len)
{
	for (size_t at = 0; at < len; at++)
		if (p[at])
			return false;
	return true;
}

/* All that is free can be had, reads as zero and can be written. */
static void assert_usable(void)
{
	struct arena_snapshot f;
	char *all;

	arena_snapshot(&f);
	assert_int_equal(f.live, 0);
	assert_int_equal(f.leaked, 0);
	assert_int_equal(f.free_frames, f.frames);
	assert_int_equal(f.fast_free, f.frames);
	all = get(ALL);
	assert_true(reads_zero(all, ALL));
	fill(all, ALL);
	put(all, ALL);
}

/* ------------------------------------------------------------------------ */
/* Moves                                                                     */

struct scene {
	size_t len, new_len;
	int flags;
	bool altered; /* a page in the midst of it, so that it is in pieces */
	bool grown; /* from half of it, so that it is in two */
	enum { NOWHERE, TO_ARENA, TO_KERNEL } place; /* for MREMAP_FIXED */
	bool once; /* the kernel refuses one call only */
};

/* In pieces as a program makes them, whose protection is the same again. */
static void alter(char *page)
{
	arena_remap_later(at(page, PAGE), REMAP_BEFORE_USE);
	assert_int_equal(sys_mprotect(page, PAGE, PROT_READ), 0);
	*(page + PAGE) = *(page + PAGE);
	assert_int_equal(sys_mprotect(page, PAGE, RW), 0);
}

static void stand_behind(char *p, size_t len)
{
	struct region behind = at(p + len, PAGE);

	if (!arena_is_live(behind))
		assert_true(arena_get_at(behind));
}

static void leave_behind(char *p, size_t len)
{
	put(p + len, PAGE);
}

static char *make_region(const struct scene *scene)
{
	char *p = get(scene->grown ? scene->len / 2 : scene->len);
	struct mremap_call half = {
		.old = at(p, scene->len / 2),
		.new_len = scene->len,
		.flags = MREMAP_MAYMOVE,
		.max = ALL,
	};
	enum reason why;

	if (!scene->grown)
		return p;
	stand_behind(p, half.old.len);
	fill(p, half.old.len);
	p = (char *)mremap_region(&half, &why);
	leave_behind((char *)half.old.start, half.old.len);
	assert_true(arena_vma(at(p, scene->len)).len < scene->len);
	return p;
}

static char *make_place(const struct scene *scene)
{
	if (scene->place == TO_ARENA)
		return get(scene->new_len);
	if (scene->place == TO_KERNEL)
		return (char *)sys_mmap(NULL, scene->new_len, RW, PRIVATE, -1,
					0);
	return NULL;
}

static void check_moved(const struct scene *scene, const char *to)
{
	size_t len = scene->len, new_len = scene->new_len;
	size_t kept = len < new_len ? len : new_len;

	assert_true(is_filled(to, kept));
	assert_true(reads_zero(to + kept, new_len - kept));
}

/* False when the kernel was not called as often as that. */
static bool play(const struct scene *scene, unsigned first)
{
	char *old = make_region(scene);
	char *place = make_place(scene);
	struct mremap_call call = {
		.old = at(old, scene->len),
		.new_len = scene->new_len,
		.flags = scene->flags,
		.to = (uintptr_t)place,
		.max = ALL,
	};
	enum reason why;
	bool reached;
	long moved;

	/* It does not grow where it is. */
	stand_behind(old, scene->len);
	fill(old, scene->len);
	if (scene->altered)
		alter(old + scene->len / 2);
	refuse.calls = 0;
	refuse.only = scene->once;
	refuse.first = first;
	moved = mremap_region(&call, &why);
	reached = refuse.calls >= first;
	refuse.first = 0;
	if (sys_failed(moved)) {
		assert_int_equal(moved, -ENOMEM);
		assert_true(is_filled(old, scene->len));
		put(old, scene->len);
	} else {
		check_moved(scene, (char *)moved);
		put((char *)moved, scene->new_len);
	}
	if (scene->flags & MREMAP_DONTUNMAP && !sys_failed(moved))
		put(old, scene->len);
	if (place)
		put(place, scene->new_len);
	leave_behind(old, scene->len);
	return reached;
}

static void test_scene(const struct scene *scene)
{
	unsigned first;

	assert_usable(); /* all trees are online then */
	for (first = 1; play(scene, first); first++) {
		assert_usable();
		assert_in_range(first, 1, CALLS_MOST);
	}
	assert_usable();
	/* It made some. */
	assert_in_range(first, 2, CALLS_MOST);
}

static void by_tables(void **state)
{
	(void)state;
	test_scene(&(struct scene){
		.len = 1 << 20, .new_len = 2 << 20, .flags = MREMAP_MAYMOVE });
}

static void by_tables_once(void **state)
{
	(void)state;
	test_scene(&(struct scene){ .len = 1 << 20,
				    .new_len = 2 << 20,
				    .flags = MREMAP_MAYMOVE,
				    .once = true });
}

static void in_two_pieces(void **state)
{
	(void)state;
	test_scene(&(struct scene){ .len = 2 << 20,
				    .new_len = 3 << 20,
				    .flags = MREMAP_MAYMOVE,
				    .grown = true });
}

static void pieces_that_grow(void **state)
{
	(void)state;
	test_scene(&(struct scene){ .len = 1 << 20,
				    .new_len = 2 << 20,
				    .flags = MREMAP_MAYMOVE,
				    .altered = true,
				    .once = true });
}

static void pieces_to_a_place(void **state)
{
	(void)state;
	test_scene(&(struct scene){ .len = 64 * PAGE,
				    .new_len = 80 * PAGE,
				    .flags = TO_PLACE,
				    .altered = true,
				    .place = TO_KERNEL,
				    .once = true });
}

static void pieces_that_get_shorter(void **state)
{
	(void)state;
	test_scene(&(struct scene){ .len = 64 * PAGE,
				    .new_len = 48 * PAGE,
				    .flags = TO_PLACE,
				    .altered = true,
				    .grown = true,
				    .place = TO_KERNEL,
				    .once = true });
}

static void shorter_to_our_own(void **state)
{
	(void)state;
	test_scene(&(struct scene){ .len = 64 * PAGE,
				    .new_len = 40 * PAGE,
				    .flags = TO_PLACE,
				    .place = TO_ARENA });
}

static void to_our_own(void **state)
{
	(void)state;
	test_scene(&(struct scene){ .len = 64 * PAGE,
				    .new_len = 64 * PAGE,
				    .flags = TO_PLACE,
				    .place = TO_ARENA });
}

static void with_what_stays(void **state)
{
	(void)state;
	test_scene(&(struct scene){ .len = 64 * PAGE,
				    .new_len = 64 * PAGE,
				    .flags = TO_PLACE | MREMAP_DONTUNMAP,
				    .place = TO_KERNEL });
}

#define TEST(name) cmocka_unit_test(name)

/* Not before Linux 5.7, nor under valgrind. */
static bool moves_tables(void)
{
	long from = sys_mmap(NULL, PAGE, RW, PRIVATE, -1, 0);
	long to = sys_mmap(NULL, PAGE, RW, PRIVATE, -1, 0);

	return sys_mremap((void *)from, PAGE, PAGE, TO_PLACE | MREMAP_DONTUNMAP,
			  (void *)to) == to;
}

/* Its run-time library owns the addresses that the arena would live at. */
extern void __tsan_init(void) __attribute__((weak));

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(by_tables),	  TEST(by_tables_once),
		TEST(in_two_pieces),	  TEST(pieces_that_grow),
		TEST(pieces_to_a_place),  TEST(to_our_own),
		TEST(with_what_stays),	  TEST(pieces_that_get_shorter),
		TEST(shorter_to_our_own),
	};

	if (__tsan_init) {
		puts("1..0 # SKIP the thread sanitizer leaves no place");
		return 0;
	}
	if (!moves_tables()) {
		puts("1..0 # SKIP no MREMAP_DONTUNMAP here");
		return 0;
	}
	return cmocka_run_group_tests(tests, start, NULL);
}
