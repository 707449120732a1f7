/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * For tests of what stands on the arena: the kernel, of which a test replaces
 * some calls, and the arena's calls with what they must return.
 */
#pragma once

#include "preload/arena/arena.h"
#include "preload/sys/sys.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/mman.h>

#define PAGE ((size_t)4096)
#define TREE ((size_t)LLFREE_ALIGN)
#define RW (PROT_READ | PROT_WRITE)

static inline bool kernel_is_mapped(void *addr, size_t len)
{
	return !sys_madvise(addr, len, MADV_NORMAL);
}

static inline unsigned kernel_cpu(void)
{
	return 0;
}

static inline struct arena_os real_kernel(void)
{
	struct arena_os kernel = {
		.mmap = sys_mmap,
		.munmap = sys_munmap,
		.mprotect = sys_mprotect,
		.mremap = sys_mremap,
		.madvise = sys_madvise,
		.munlock = sys_munlock,
		.mincore = sys_mincore,
		.is_mapped = kernel_is_mapped,
		.cpu = kernel_cpu,
		.alone = sys_single_threaded,
		.yield = sys_yield,
	};

	return kernel;
}

/* Once; both stay in use. */
static inline void start_arena(const struct arena_os *kernel,
			       const struct arena_options *options)
{
	assert_true(arena_start_once());
	assert_false(arena_start_once());
	assert_int_equal(arena_start(kernel, options), ARENA_READY);
}

static inline struct region at(const void *addr, size_t len)
{
	return region((uintptr_t)addr, len);
}

static inline char *get(size_t len)
{
	void *addr;

	assert_int_equal(arena_get(len, false, &addr), REASON_NONE);
	return addr;
}

/* The arena's or the kernel's. */
static inline void put(char *addr, size_t len)
{
	struct arena_tally tally = { 0, 0 };

	assert_int_equal(arena_unmap(at(addr, len), &tally), 0);
}
