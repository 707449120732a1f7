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

struct alter {
	long number; /* of the system call: (addr, len, args...) */
	long args[4];
	uintptr_t addr;
	size_t len;
	bool alters;
	bool skips_holes; /* goes on behind a hole, and fails at the end */
	int hole_error; /* positive errno */
};

/* What the kernel returned: 0 or -errno. */
long alter_range(const struct alter *alter);

/* Whether some of the range is a hole that only we know of. */
bool alter_meets_hole(const struct alter *alter);

/* Whether this advice changes more than contents, and whether the kernel goes
 * on behind a hole. */
bool alter_by_advice(int advice);
bool alter_skips_holes(int advice);
