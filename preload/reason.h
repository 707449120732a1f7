/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Whether a request for memory is served from the arena or passed to the
 * kernel, and why. Pure: the decision depends on the arguments alone. Reasons
 * that depend on the arena's state are listed here, and found in calls/ and
 * arena/.
 *
 * When in doubt, pass the request: that costs a line in the report, and a wrong
 * answer costs trust.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum reason {
	REASON_NONE,
	/* By the arguments; if there are several reasons, the first counts. */
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
	REASON_FLAGS, /* another flag that changes the kind of memory */
	REASON_TOO_LARGE,
	/* By the state of the arena. */
	REASON_EARLY, /* while the arena was being set up */
	REASON_OFF, /* no arena in this process */
	REASON_LOCK_ALL, /* after mlockall(MCL_FUTURE) */
	REASON_MAX, /* refused: LLFREE_MAX bytes would be exceeded */
	REASON_ARENA_FULL,
	REASON_KERNEL_REFUSED, /* no tree could be brought online */
	REASON_OUTSIDE, /* mremap of memory of the kernel */
	REASON_HEAP_FULL, /* brk: no room behind the heap, or its limit */
	REASON_COUNT
};

/*
 * Return why mmap with these arguments must be passed, or REASON_NONE. `page` is
 * the kernel's page size, `max` the longest region to serve, both in bytes.
 */
enum reason reason_to_pass(const void *addr, size_t len, int prot, int flags,
			   off_t offset, size_t page, size_t max);

/* Return the key in the JSON report, as in "prot_none"; the words in the text
 * report. */
const char *reason_key(enum reason why);
const char *reason_text(enum reason why);

/* Return whether the arena is for memory that was passed for that reason: with
 * other settings, or at another time, it would have been served. False for
 * growth that the heap was refused, since malloc then uses mmap. */
bool reason_is_servable(enum reason why);
