/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The scenarios that are explored, in families: every pair of orders with
 * every pair of kinds of call, and the traps that need particular memory.
 */
#pragma once

#include "tests/model/history.h"

#include <limits.h>

typedef struct {
	const char *name;
	bool stop; /* explored once more with a thread stopped */
	unsigned quick; /* preemptions at most, in the short run */
	unsigned all; /* and in the long one, where that can be done; UINT_MAX:
		       * every interleaving */
	/* Makes number `i` of the family; false past the last one. */
	bool (*make)(scenario_t *s, size_t i, bool quick);
} family_t;

extern const family_t families[];
extern const size_t family_count;
