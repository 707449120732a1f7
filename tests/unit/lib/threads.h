/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Threads for tests. cmocka's assertions work on the main thread only, so what
 * a thread finds wrong ends the program here, with the seed to repeat it.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ends the program with place, condition and seed unless it holds. */
#define must(condition) \
	((condition) ? (void)0 : must_fail(#condition, __FILE__, __LINE__))
_Noreturn void must_fail(const char *condition, const char *file, int line);

/* The seed of the run, for must_fail to print; LLFREE_TEST_SEED sets it. */
extern uint64_t test_seed;
void test_seed_next(void);

/* So many; ten times as many with LLFREE_TEST_SIZE=long; fewer where trees are
 * larger than usual, as each takes longer then. */
size_t test_rounds(size_t quick);

/* A point where `count` threads wait for each other, again and again. */
struct meeting {
	size_t count;
	atomic_size_t arrived;
	atomic_size_t round;
};
void meet(struct meeting *meeting);

/* Runs body(arg, 0) … body(arg, count - 1), each on a thread; waits. */
void run_threads(size_t count, void (*body)(void *arg, size_t id), void *arg);
