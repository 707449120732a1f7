/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What the benchmarks share: an allocator, pinned threads that start together,
 * medians, and CSV files that say where they were made.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include <llfree.h>

/* Nanoseconds from some start. */
double bench_clock(void);

/* Ends the program when it does not hold: a figure would be worth nothing. */
#define bench_check(condition) \
	((condition) ? (void)0 : bench_fail(#condition, __FILE__, __LINE__))
_Noreturn void bench_fail(const char *condition, const char *file, int line);

/* An allocator with the simple classing and `slots` slots, all free. */
llfree_t *bench_make(size_t frames, size_t slots);
void bench_free(llfree_t *self);

/* Random numbers (xorshift); the state must not be 0. */
size_t bench_below(uint64_t *state, size_t bound);

/* Runs body(arg, id) on `count` threads, each pinned to a core of its own. */
void bench_threads(size_t count, void (*body)(void *arg, size_t id), void *arg);
/* Cores that this process may use. */
size_t bench_cores(void);

struct bench_median {
	double median, min, max;
};
/* Sorts the values. */
struct bench_median bench_median(double *values, size_t count);

/* A file NAME.csv: lines on machine, kernel, compiler and version, a header. */
FILE *bench_csv(const char *name, const char *header);
/* The same lines. */
void bench_where(FILE *file);
