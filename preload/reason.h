/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Whether a request for memory is served from the arena or passed to the
 * kernel, and why. Pure: decides by the arguments alone; reasons that depend
 * on the arena's state are named here and found out elsewhere.
 *
 * When in doubt, pass: a passed request costs a line in the report, a wrong
 * answer costs trust.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum reason {
	REASON_NONE,
	/* By the arguments; of several reasons the first one counts. */
	REASON_INVALID, /* the kernel will refuse it */
	REASON_FILE,
	REASON_SHARED,
	REASON_PROT_NONE,
	REASON_EXECUTABLE,
	REASON_NOT_WRITABLE,
	REASON_FIXED,
	REASON_HINT,
	REASON_HUGETLB,
	REASON_GROWSDOWN,
	REASON_LOW,
	REASON_LOCKED,
	REASON_FLAGS, /* some other flag that changes what is mapped */
	REASON_TOO_LARGE,
	/* By the state of things. */
	REASON_EARLY, /* while the arena was being set up */
	REASON_OFF, /* no arena in this process */
	REASON_LOCK_ALL, /* after mlockall(MCL_FUTURE) */
	REASON_MAX, /* refused: LLFREE_MAX bytes would be exceeded */
	REASON_ARENA_FULL,
	REASON_KERNEL_REFUSED, /* no memory to bring the arena's part online */
	REASON_OUTSIDE, /* mremap of memory that the kernel gave */
	REASON_HEAP_FULL, /* brk: no room behind the heap, or its limit */
	REASON_COUNT
};

/*
 * For mmap with these arguments. `page` is the kernel's page size, `max` the
 * longest region to serve, both in bytes.
 */
enum reason reason_to_pass(const void *addr, size_t len, int prot, int flags,
			   off_t offset, size_t page, size_t max);

/* The key in the JSON report, as in "prot_none"; and a line for people. */
const char *reason_key(enum reason why);
const char *reason_text(enum reason why);

/* Whether what was passed for that reason is memory that the arena is for: with
 * other settings, or at another time, it would have been served. Not what the
 * heap lacks, for which malloc asks elsewhere. */
bool reason_is_servable(enum reason why);
