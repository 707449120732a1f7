/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A test of the allocator where its frames are real memory: each processor gets
 * and puts blocks, ranges and single frames. A map has the owner of each frame,
 * and each frame that is held has a mark of its owner written into it. What a
 * kernel supplies stands at the end.
 */
#pragma once

#include <llfree.h>

#define STRESS_EXTENTS 256u
#define STRESS_CPUS 64u

/* Frames that a processor holds, one behind the other. */
struct extent {
	uint64_t first;
	size_t frames;
};

/* A processor; all zero at first. */
struct worker {
	unsigned cpu;
	uint64_t random;
	uint64_t calls, refused;
	size_t count;
	struct extent extents[STRESS_EXTENTS];
};

/* The mistakes that the checks have to find, made by processor 0. */
enum stress_mistake { NO_MISTAKE, PUT_TWICE, FORGET };

struct stress {
	llfree_t *allocator;
	uint8_t *owners; /* one for each frame managed, all zero at first */
	struct worker *workers; /* one for each processor */
	unsigned cpus;
	uint64_t rounds; /* steps on each processor */
	enum stress_mistake mistake;
	ll_stats_t before; /* set by stress_begin */
	uint64_t exhausted; /* frames that all processors had at last */
};

/* Note what is free. Alone, before the processors begin. */
void stress_begin(struct stress *stress);

/* Do what processor `cpu` has to do, beside all others. */
void stress_run(struct stress *stress, unsigned cpu);

/* Check that all is as it was, and print a few counts. Alone, after all. */
void stress_end(struct stress *stress);

/* Supplied by the kernel: wait until `cpus` processors are here. */
void barrier_wait(unsigned cpus);

/* Supplied by the kernel: return the address of a frame. */
uint64_t *frame_contents(uint64_t frame);

/* Supplied by the kernel: print a line with a number at its end. */
void print_number(const char *text, uint64_t number);
