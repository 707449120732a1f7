/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* This program takes over functions of its own libc, once for all tests. */

#include "preload/hook/hook.h"
#include "preload/sys/sys.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static volatile size_t maps, unmaps, advises;

static void *our_mmap(void *addr, size_t len, int prot, int flags, int fd,
		      off_t offset)
{
	maps++;
	return sys_result_ptr(sys_mmap(addr, len, prot, flags, fd, offset));
}

static int our_munmap(void *addr, size_t len)
{
	unmaps++;
	return (int)sys_result(sys_munmap(addr, len));
}

static int our_madvise(void *addr, size_t len, int advice)
{
	advises++;
	return (int)sys_result(sys_madvise(addr, len, advice));
}

static void never(void)
{
	abort();
}

#define OURS(function) ((void (*)(void))(function))

enum { MUNMAP, MADVISE, MMAP, HOOKS };

static struct hook hooks[] = {
	{ .symbol = "munmap",
	  .ours = OURS(our_munmap),
	  .words = 2,
	  .test = true },
	{ .symbol = "madvise",
	  .ours = OURS(our_madvise),
	  .words = 3,
	  .test = true },
	{ .symbol = "mmap",
	  .ours = OURS(our_mmap),
	  .words = 6,
	  .test = true,
	  .needs_all = true },
};

static size_t count_lines(const char *path)
{
	static char text[1 << 16];
	long fd = sys_open(path, 0, 0);
	size_t lines = 0;
	long n;

	while ((n = sys_read((int)fd, text, sizeof(text))) > 0)
		for (long i = 0; i < n; i++)
			lines += text[i] == '\n';
	sys_close((int)fd);
	return lines;
}

/* No page of libc stays writable and executable. */
static bool has_writable_code(void)
{
	static char text[1 << 16];
	long fd = sys_open("/proc/self/maps", 0, 0);
	size_t len = 0;
	long n;

	while ((n = sys_read((int)fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	sys_close((int)fd);
	text[len] = '\0';
	return strstr(text, " rwx");
}

static int install(void **state)
{
	(void)state;
	assert_true(count_lines("/proc/self/maps") > 0);
	errno = 77;
	hook_install(hooks, HOOKS);
	assert_int_equal(errno, 77);
	return 0;
}

static void all_taken(void **state)
{
	(void)state;
	for (size_t i = 0; i < HOOKS; i++) {
		assert_true(hooks[i].took);
		assert_null(hooks[i].why_not);
	}
	assert_true(hook_result()->libc);
	assert_string_equal(hook_result()->why_not, "");
}

static void tests_do_not_count(void **state)
{
	(void)state;
	assert_int_equal(maps + unmaps + advises, 0);
}

static void calls_by_name(void **state)
{
	size_t maps_before = maps, unmaps_before = unmaps;
	void *memory;

	(void)state;
	errno = 0;
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	memset(memory, 1, 4096);
	assert_int_equal(munmap(memory, 4096), 0);
	assert_int_equal(errno, 0);
	assert_int_equal(munmap((void *)1, 4096), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(maps, maps_before + 1);
	assert_int_equal(unmaps, unmaps_before + 2);
}

/* All six arguments of a call arrive. */
static void arguments(void **state)
{
	size_t page = sys_page_size();
	long fd = sys_open("/proc/self/exe", 0, 0);
	char *whole, *second;

	(void)state;
	whole = mmap(NULL, 2 * page, PROT_READ, MAP_PRIVATE, (int)fd, 0);
	second = mmap(NULL, page, PROT_READ, MAP_PRIVATE, (int)fd, (off_t)page);
	assert_ptr_not_equal(whole, MAP_FAILED);
	assert_ptr_not_equal(second, MAP_FAILED);
	assert_memory_equal(whole + page, second, page);
	munmap(whole, 2 * page);
	munmap(second, page);
	sys_close((int)fd);
}

static void calls_inside_libc(void **state)
{
	size_t maps_before = maps, unmaps_before = unmaps;
	void *volatile memory;

	(void)state;
	memory = malloc(64 << 20);
	assert_non_null(memory);
	free(memory);
	assert_int_equal(maps, maps_before + 1);
	assert_int_equal(unmaps, unmaps_before + 1);
}

static void code_is_not_writable(void **state)
{
	(void)state;
	assert_false(has_writable_code());
}

static void second_time_refused(void **state)
{
	void *libc = dlopen("libc.so.6", RTLD_NOLOAD | RTLD_LAZY);
	void *theirs = dlsym(libc, "mprotect");
	struct hook again[] = {
		{ .symbol = "munmap", .ours = OURS(never) },
		{ .symbol = "nosuchfunction", .ours = OURS(never) },
		{ .symbol = "environ", .ours = OURS(never) },
		{ .symbol = "memcpy", .ours = OURS(never) },
		{ .symbol = "mprotect", .ours = OURS((uintptr_t)theirs) },
		{ .symbol = "mmap", .ours = OURS(never), .needs_all = true },
	};

	(void)state;
	hook_install(again, 6);
	assert_false(hook_result()->libc);
	for (size_t i = 0; i < 6; i++)
		assert_false(again[i].took);
	assert_string_equal(again[0].why_not,
			    "already patched by another library");
	assert_string_equal(again[1].why_not, "not found in libc");
	assert_string_equal(again[2].why_not, "not found in libc");
	assert_string_equal(again[3].why_not, "not found in libc");
	assert_string_equal(again[4].why_not, "ours is libc's own");
	assert_string_equal(again[5].why_not, "not without the other entries");
	assert_non_null(strstr(hook_result()->why_not,
			       "munmap: already patched by another library; "
			       "nosuchfunction: not found in libc"));
	free(malloc(64 << 20));
}

/* Its failing says nothing about the others, and a reason is obeyed. */
static void apart(void **state)
{
	struct hook alone[] = {
		{ .symbol = "brk",
		  .ours = OURS(never),
		  .apart = true,
		  .why_not = "not today" },
	};

	(void)state;
	hook_install(alone, 1);
	assert_false(alone[0].took);
	assert_true(hook_result()->libc);
	assert_false(hook_result()->apart);
	assert_string_equal(hook_result()->why_not, "brk: not today");
}

static void skipped(void **state)
{
	(void)state;
	hook_skip("LLFREE_HOOK=symbols");
	assert_false(hook_result()->libc);
	assert_string_equal(hook_result()->why_not, "LLFREE_HOOK=symbols");
}

/* Their run-time libraries keep books on libc and its malloc. */
extern void __asan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tests_do_not_count),
		cmocka_unit_test(all_taken),
		cmocka_unit_test(calls_by_name),
		cmocka_unit_test(arguments),
		cmocka_unit_test(calls_inside_libc),
		cmocka_unit_test(code_is_not_writable),
		cmocka_unit_test(second_time_refused),
		cmocka_unit_test(apart),
		cmocka_unit_test(skipped),
	};
	if (__asan_init || __tsan_init || getenv("LLFREE_TEST_WRAPPER")) {
		puts("1..0 # SKIP libc is not itself here");
		return 0;
	}
	return cmocka_run_group_tests(tests, install, NULL);
}
