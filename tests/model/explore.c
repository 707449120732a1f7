/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "tests/model/explore.h"

#include <llfree_platform.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#define STACK_SIZE (64u << 10)
#define MAX_DEPTH 20000u
#define STOP 8u /* added to a thread's number: it stops */
#define NONE UINT32_MAX

/* ------------------------------------------------------------------------ */
/* Threads                                                                   */

typedef struct {
	ucontext_t context;
	jmp_buf at;
	bool started, finished, stopped;
	bool expects; /* its next step begins something */
	uint64_t history; /* of all that it has read */
	_Alignas(64) char stack[STACK_SIZE];
} thread_t;

static struct {
	const explore_t *e;
	thread_t thread[EXPLORE_THREADS];
	unsigned current; /* NONE: the explorer itself */
	jmp_buf scheduler;
	uint64_t memory; /* hash of what was written since reset */
	uint64_t clock;
	const char *panic;
	bool verbose;
} run = { .current = NONE };

void (*explore_name)(const void *p, char *text, size_t size);

static uint64_t mix(uint64_t a, uint64_t b)
{
	a = (a ^ b) * UINT64_C(0x9e3779b97f4a7c15);
	return a ^ (a >> 29);
}

void model_step(const void *p)
{
	(void)p;
	if (run.current == NONE)
		return;
	if (_setjmp(run.thread[run.current].at) == 0)
		_longjmp(run.scheduler, 1);
	run.clock++;
	if (run.thread[run.current].expects) {
		run.thread[run.current].expects = false;
		run.e->begins(run.e->arg, run.current);
	}
}

static void say(const void *p, const char *what, uint64_t value)
{
	char name[64];

	snprintf(name, sizeof(name), "%p", p);
	if (explore_name)
		explore_name(p, name, sizeof(name));
	printf("# thread %u %s %s %#llx\n", run.current, what, name,
	       (unsigned long long)value);
}

void model_read(const void *p, uint64_t value)
{
	if (run.current == NONE)
		return;
	explore_note(mix((uintptr_t)p, value));
	if (run.verbose)
		say(p, "reads", value);
}

/* By 16-bit units, since entries are written one, two or four at a time. */
void model_write(const void *p, size_t size, uint64_t was, uint64_t value)
{
	if (run.current == NONE)
		return;
	explore_note((uintptr_t)p);
	for (size_t i = 0; i < size; i += 2) {
		uintptr_t unit = (uintptr_t)p + i;

		run.memory ^= mix(unit, (was >> (8 * i)) & 0xffff) ^
			      mix(unit, (value >> (8 * i)) & 0xffff);
	}
	if (run.verbose)
		say(p, "writes", value);
}

void model_panic(const char *text)
{
	run.panic = text;
	if (run.current == NONE) {
		fprintf(stderr, "explorer: %s outside of a run\n", text);
		abort();
	}
	_longjmp(run.scheduler, 1);
}

void explore_expect(void)
{
	run.thread[run.current].expects = true;
}

uint64_t explore_now(void)
{
	return run.clock;
}

void explore_note(uint64_t value)
{
	uint64_t *history = &run.thread[run.current].history;

	*history = mix(*history, value);
}

static void thread_main(void)
{
	run.e->body(run.e->arg, run.current);
	run.thread[run.current].finished = true;
	_longjmp(run.scheduler, 1);
}

/* Lets a thread do one step, up to right before its next one. */
static void thread_run(unsigned i)
{
	thread_t *thread = &run.thread[i];

	run.current = i;
	if (_setjmp(run.scheduler) == 0) {
		if (thread->started)
			_longjmp(thread->at, 1);
		thread->started = true;
		setcontext(&thread->context);
	}
	run.current = NONE;
}

/* All threads right before their first steps. */
static void threads_start(void)
{
	run.memory = run.clock = 0;
	run.panic = NULL;
	run.e->reset(run.e->arg);
	for (unsigned i = 0; i < run.e->threads; i++) {
		thread_t *thread = &run.thread[i];

		thread->started = thread->finished = thread->stopped = false;
		thread->expects = false;
		thread->history = i + 1;
		getcontext(&thread->context);
		thread->context.uc_stack.ss_sp = thread->stack;
		thread->context.uc_stack.ss_size = STACK_SIZE;
		thread->context.uc_link = NULL;
		makecontext(&thread->context, thread_main, 0);
		thread_run(i);
	}
}

static bool any_stopped(void)
{
	bool stopped = false;

	for (unsigned i = 0; i < run.e->threads; i++)
		stopped |= run.thread[i].stopped;
	return stopped;
}

/* One choice; what is wrong after it, or null. */
static const char *take(unsigned choice)
{
	if (choice >= STOP) {
		run.thread[choice - STOP].stopped = true;
		return NULL;
	}
	thread_run(choice);
	return run.panic;
}

static bool runnable(unsigned i)
{
	return !run.thread[i].finished && !run.thread[i].stopped;
}

/* ------------------------------------------------------------------------ */
/* States seen                                                               */

static struct {
	uint64_t *key;
	size_t capacity, used;
} seen;

static bool seen_insert(uint64_t key)
{
	size_t at = mix(key, 7) & (seen.capacity - 1);

	while (seen.key[at] != 0) {
		if (seen.key[at] == key)
			return false;
		at = (at + 1) & (seen.capacity - 1);
	}
	seen.key[at] = key;
	seen.used++;
	return true;
}

static void seen_resize(size_t capacity)
{
	uint64_t *old = seen.key;
	size_t count = seen.capacity;

	seen.key = calloc(capacity, sizeof(*seen.key));
	if (!seen.key)
		abort();
	seen.capacity = capacity;
	seen.used = 0;
	for (size_t i = 0; i < count; i++)
		if (old[i] != 0)
			seen_insert(old[i]);
	free(old);
}

static void seen_clear(void)
{
	free(seen.key);
	seen.key = NULL;
	seen.capacity = 0;
	seen_resize(1u << 12);
}

/* Is this state new? */
static bool seen_new(uint64_t key)
{
	if (seen.used * 2 > seen.capacity)
		seen_resize(seen.capacity * 2);
	return seen_insert(key | 1);
}

/* ------------------------------------------------------------------------ */
/* Search                                                                    */

typedef struct {
	uint8_t choice[2 * EXPLORE_THREADS];
	uint8_t count, next;
	uint16_t preemptions; /* before this choice */
} node_t;

static node_t path[MAX_DEPTH];
static size_t depth; /* nodes of the path whose choices are fixed */

static uint64_t state_key(unsigned last, unsigned preemptions)
{
	uint64_t key = run.memory;

	for (unsigned i = 0; i < run.e->threads; i++)
		key = mix(key, run.thread[i].history * 4 +
				       run.thread[i].finished * 2 +
				       run.thread[i].stopped);
	if (run.e->preemptions != UINT32_MAX)
		key = mix(mix(key, last), preemptions);
	return key;
}

/* What can be done next: go on with the same thread, or change, or stop. */
static void choices(node_t *node, unsigned last, unsigned preemptions)
{
	bool going = last != NONE && runnable(last);

	node->count = node->next = 0;
	node->preemptions = (uint16_t)preemptions;
	if (going)
		node->choice[node->count++] = (uint8_t)last;
	for (unsigned i = 0; i < run.e->threads; i++)
		if (i != last && runnable(i) &&
		    (!going || preemptions < run.e->preemptions))
			node->choice[node->count++] = (uint8_t)i;
	if (run.e->stop && !any_stopped())
		for (unsigned i = 0; i < run.e->threads; i++)
			if (runnable(i))
				node->choice[node->count++] =
					(uint8_t)(STOP + i);
}

static bool all_done(void)
{
	for (unsigned i = 0; i < run.e->threads; i++)
		if (runnable(i))
			return false;
	return true;
}

/* Follows the path, then first choices, to an end or a state seen before. */
static const char *execute(void)
{
	unsigned last = NONE, preemptions = 0;
	const char *wrong = NULL;

	threads_start();
	for (size_t at = 0; !wrong; at++) {
		if (all_done())
			return run.e->check(run.e->arg, any_stopped());
		if (at == MAX_DEPTH - 1)
			return "a thread does not come to an end";
		if (at == depth) {
			if (!seen_new(state_key(last, preemptions)))
				return NULL;
			choices(&path[depth++], last, preemptions);
			if (run.e->crashes)
				wrong = run.e->crashes(run.e->arg);
			if (wrong)
				break;
		}

		unsigned choice = path[at].choice[path[at].next];

		if (choice < STOP) {
			preemptions += last != NONE && choice != last &&
				       runnable(last);
			last = choice;
		}
		wrong = take(choice);
	}
	return wrong;
}

/* The next path that was not tried; false when there is none. */
static bool advance(void)
{
	while (depth > 0) {
		node_t *node = &path[depth - 1];

		if (++node->next < node->count)
			return true;
		depth--;
	}
	return false;
}

/* The choices so far, as in "0*12,1*3,b,0*7": thread 0 does twelve steps, and
 * after three of its own thread 1 stops. */
static const char *schedule_text(void)
{
	static char text[8 * MAX_DEPTH];
	size_t length = 0;

	for (size_t i = 0, run_length; i < depth; i += run_length) {
		unsigned choice = path[i].choice[path[i].next];

		run_length = 1;
		while (i + run_length < depth &&
		       path[i + run_length].choice[path[i + run_length].next] ==
			       choice)
			run_length++;
		length += (size_t)snprintf(text + length, sizeof(text) - length,
					   "%s%c*%zu", length ? "," : "",
					   choice < STOP ? '0' + choice
							 : 'a' + choice - STOP,
					   run_length);
	}
	return text;
}

explore_result_t explore(const explore_t *e)
{
	explore_result_t result = { 0 };

	run.e = e;
	run.current = NONE;
	depth = 0;
	seen_clear();
	do {
		result.gave_up = result.executions == e->most;
		if (result.gave_up)
			break;
		result.executions++;
		result.failure = execute();
	} while (!result.failure && advance());
	result.states = seen.used;
	if (result.failure)
		result.schedule = schedule_text();
	return result;
}

const char *explore_replay(const explore_t *e, const char *schedule)
{
	const char *wrong = NULL;

	run.e = e;
	run.current = NONE;
	run.verbose = true;
	threads_start();
	while (*schedule && !wrong) {
		char who = *schedule;
		char *end;
		unsigned long steps = strtoul(schedule + 2, &end, 10);

		while (steps-- > 0 && !wrong)
			wrong = take(who >= 'a' ? (unsigned)(who - 'a') + STOP
						: (unsigned)(who - '0'));
		schedule = end + (*end == ',');
	}
	run.verbose = false;
	return wrong ? wrong : e->check(e->arg, any_stopped());
}
