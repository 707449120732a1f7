/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The allocators that are compared. A block is the number of its first page
 * frame; 0 is none.
 */
#pragma once

#include <linux/types.h>

struct side {
	const char *name;
	unsigned long (*get)(unsigned int order);
	void (*put)(unsigned long pfn, unsigned int order);
	/* How often a processor had to wait or to repeat, so far. */
	u64 (*contended)(void);
	/* How much is free, in frames, and in whole huge frames. */
	void (*free)(size_t *frames, size_t *huge);
};

enum { SIDE_LLFREE, SIDE_KERNEL, SIDES };
extern const struct side sides[SIDES];

/* Count contended spin locks between these two; 0, or a negative errno. */
int side_count_locks(void);
void side_count_locks_end(void);
