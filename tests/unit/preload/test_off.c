/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* An arena that could not start: every call does without it. */
#include "tests/unit/preload/arena.h"

#include <errno.h>
#include <sys/auxv.h>

static long no_data(void *addr, size_t len, int prot, int flags, int fd,
		    off_t offset)
{
	if (!addr && prot != PROT_NONE)
		return -ENOMEM;
	return sys_mmap(addr, len, prot, flags, fd, offset);
}

static void no_memory_for_data(void **state)
{
	static struct arena_options options = {
		.bytes = 4 * TREE,
		.page = PAGE,
		.cores = 1,
	};
	static struct arena_os kernel;
	struct arena_tally tally = { 0, 0 };
	struct arena_snapshot snapshot;
	struct region anywhere;
	long mapped =
		sys_mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	kernel = real_kernel();
	kernel.mmap = no_data;
	options.hint = getauxval(AT_RANDOM);
	assert_true(arena_start_once());
	assert_int_equal(arena_start(&kernel, &options), ARENA_OFF);
	assert_string_not_equal(arena_why_off(), "");
	anywhere = region((uintptr_t)mapped, PAGE);
	assert_false(arena_touches(anywhere));
	assert_false(arena_trim());
	arena_close_free();
	arena_locked();
	arena_forked();
	arena_snapshot(&snapshot);
	assert_int_equal(snapshot.frames, 0);
	assert_int_equal(arena_detach(anywhere).count, 0);
	assert_int_equal(arena_age_step(1), ARENA_NEVER);
	assert_int_equal(arena_unmap(anywhere, &tally), 0);
	assert_int_equal(tally.kernel, PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_memory_for_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
