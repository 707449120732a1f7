/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * System calls that change, lock or ask about a range of addresses. The kernel
 * carries them out; what is ours of the range is marked first if the call
 * changes it, and free memory of the arena is left out: to the program, there
 * is nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What free memory of the arena does to a call: ends it, makes it fail in the
 * end, or only if there is nothing else. */
enum alter_holes { HOLES_END, HOLES_FAIL, HOLES_PASS };

struct alter {
	long number; /* of the system call: (addr, len, args...) */
	long args[4];
	uintptr_t addr;
	size_t len;
	bool alters;
	enum alter_holes holes;
	int hole_error; /* positive errno */
};

/* What the kernel returned: 0 or -errno. */
long alter_range(const struct alter *alter);

/* Whether some of the range is a hole that only we know of. */
bool alter_meets_hole(const struct alter *alter);

/* Whether this advice changes more than contents, and what holes do to it. */
bool alter_by_advice(int advice);
enum alter_holes alter_holes(int advice);
