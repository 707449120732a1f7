/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * System calls that change, lock or ask about a range of addresses. The kernel
 * carries them out; frames of the arena are marked first if the call changes
 * them, and free memory of the arena is left out: to the program, nothing is
 * mapped there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* What free memory of the arena does to a call: ends it, makes it fail in the
 * end, or makes it fail only if there is nothing else. */
enum range_holes { HOLES_END, HOLES_FAIL, HOLES_PASS };

struct range_call {
	long number; /* of the system call: (addr, len, args...) */
	long args[4];
	const void *addr;
	size_t len;
	bool alters;
	enum range_holes holes;
	int hole_error; /* positive errno */
};

/* Returns what the kernel returned: 0 or -errno. */
long range_call(const struct range_call *call);

/* The same as libc's function: 0, or -1 and errno. */
int range_result(const struct range_call *call);

/* Whether some of the range is free memory of the arena. */
bool range_meets_hole(const struct range_call *call);

/* Whether this advice of madvise changes more than contents. */
bool range_advice_alters(int advice);
