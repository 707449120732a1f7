/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What a few threads call on one allocator, and whether what came of it is
 * right: whether the calls, each at one moment between its first and its last
 * step, give these results on a plain array of frames.
 *
 * Where the interface promises less than that, so does the check:
 * - A get may fail although something fits when calls in flight beside it had
 *   claimed it or not yet given it back: it must fit in a huge frame (for
 *   parts) or tree with all of their frames in that place counted as used. A
 *   single frame must be found if any are left besides them.
 * - A put that is wrong and races may fail, whatever it puts.
 */
#pragma once

#include "tests/model/calls.h"
#include "tests/model/explore.h"

typedef struct {
	char name[96];
	size_t frames; /* managed */
	uint8_t init;
	bool wrong; /* some puts are mistakes: only safety is checked */
	unsigned threads;
	op_t before[16]; /* one thread's calls before the others begin */
	op_t ops[EXPLORE_THREADS][MODEL_OPS + 1];
} scenario_t;

/* All interleavings (up to so many preemptions), or with a stopped thread;
 * gives up after so many executions. */
explore_result_t scenario_explore(const scenario_t *scenario, bool stop,
				  unsigned preemptions, uint64_t most);

/* Prints one execution. */
const char *scenario_replay(const scenario_t *scenario, const char *schedule);
