/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Runs a few threads in every order of their atomic steps.
 *
 * Stateless search with memory: an execution is repeated from its beginning
 * for each choice, and cut where it comes into a state that was seen before.
 * A state is the shared memory and, for each thread, all that it has read so
 * far, which decides where it is and what it will do. So nothing is lost, and
 * steps that do not touch each other are not tried in both orders.
 *
 * Optionally one thread stops for ever, at each of its steps in turn.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPLORE_THREADS 3u

typedef struct {
	unsigned threads;
	bool stop; /* also with one thread stopped for ever */
	unsigned preemptions; /* at most so many; UINT_MAX: all */
	uint64_t most; /* give up after so many executions; UINT64_MAX: none */
	/* The memory as it is before any step. */
	void (*reset)(void *arg);
	/* A thread's whole work. */
	void (*body)(void *arg, unsigned thread);
	/* Right before the first step after explore_expect. */
	void (*begins)(void *arg, unsigned thread);
	/* Null when a crash here is well; for each state, if not null. */
	const char *(*crashes)(void *arg);
	/* Null when all is well after an execution. */
	const char *(*check)(void *arg, bool stopped);
	void *arg;
} explore_t;

typedef struct {
	uint64_t executions;
	uint64_t states;
	bool gave_up; /* there are more executions */
	const char *failure; /* null: none */
	const char *schedule; /* of the failure, for explore_replay */
} explore_result_t;

explore_result_t explore(const explore_t *e);

/* One execution, by its schedule, with each step printed; what it came to. */
const char *explore_replay(const explore_t *e, const char *schedule);

/* For bodies: a clock that rises with every step; that the next step is the
 * first one of something; what the thread's way depends on besides its reads,
 * or the check after it. */
uint64_t explore_now(void);
void explore_expect(void);
void explore_note(uint64_t value);

/* How the replay names an address; may be null. */
extern void (*explore_name)(const void *p, char *text, size_t size);
