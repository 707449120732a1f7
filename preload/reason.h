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

enum route {
	ROUTE_SERVE,
	/* By the arguments; of several reasons the first one counts. */
	ROUTE_INVALID, /* the kernel will refuse it */
	ROUTE_FILE,
	ROUTE_SHARED,
	ROUTE_PROT_NONE,
	ROUTE_EXECUTABLE,
	ROUTE_NOT_WRITABLE,
	ROUTE_FIXED,
	ROUTE_HINT,
	ROUTE_HUGETLB,
	ROUTE_GROWSDOWN,
	ROUTE_LOW,
	ROUTE_LOCKED,
	ROUTE_FLAGS, /* some other flag that changes what is mapped */
	ROUTE_TOO_LARGE,
	/* By the state of things. */
	ROUTE_EARLY, /* while the arena was being set up */
	ROUTE_OFF, /* no arena in this process */
	ROUTE_LOCK_ALL, /* after mlockall(MCL_FUTURE) */
	ROUTE_MAX, /* refused: LLFREE_MAX bytes would be exceeded */
	ROUTE_ARENA_FULL,
	ROUTE_KERNEL_REFUSED, /* no memory to bring the arena's part online */
	ROUTE_OUTSIDE, /* mremap of memory that the kernel gave */
	ROUTE_HEAP_FULL, /* brk: no room behind the heap, or its limit */
	ROUTE_COUNT
};

/*
 * For mmap with these arguments. `page` is the kernel's page size, `max` the
 * longest region to serve, both in bytes.
 */
enum route route_mmap(const void *addr, size_t len, int prot, int flags,
		      off_t offset, size_t page, size_t max);

/* The key in the JSON report, as in "prot_none"; and a line for people. */
const char *route_key(enum route route);
const char *route_text(enum route route);

/* Whether what was passed for that reason is memory that the arena is for: with
 * other settings, or at another time, it would have been served. Not what the
 * heap lacks, for which malloc asks elsewhere. */
bool route_is_servable(enum route route);
