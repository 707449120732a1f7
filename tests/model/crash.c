/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "tests/model/crash.h"

#include "lib/lower.h"

#include <setjmp.h>

#define LINE LLFREE_CACHE_SIZE
#define BUFFER                                                      \
	(MODEL_TREES * (LLFREE_TREE_CHILDREN * sizeof(bitfield_t) + \
			CHILD_STRIDE * sizeof(child_t)))
#define MAX_SUBSET_LINES 4u /* all subsets of so many, else some */
#define CUT_OFF_EVERY 61u /* recovery is cut off for one crash of so many */

uint64_t crash_count;

/* ------------------------------------------------------------------------ */
/* The medium                                                                */

static const uint8_t *volatile_memory;
static size_t volatile_size;
static _Alignas(LINE) uint8_t medium[BUFFER];

void crash_begin(const uint8_t *lower, size_t size)
{
	volatile_memory = lower;
	volatile_size = size;
	memcpy(medium, lower, size);
}

void model_persist(const void *address, size_t bytes)
{
	size_t from = (size_t)((const uint8_t *)address - volatile_memory);
	size_t end = from + bytes;

	if ((const uint8_t *)address < volatile_memory || end > volatile_size)
		return; /* recovery, which works on a copy */
	from -= from % LINE;
	end += (LINE - end % LINE) % LINE;
	memcpy(medium + from, volatile_memory + from, end - from);
}

/* ------------------------------------------------------------------------ */
/* Recovery on a copy, that may be cut off                                   */

static _Alignas(LINE) uint8_t copy[BUFFER];
static lower_t recovered;
static unsigned long stores_left; /* 0: no limit */
static jmp_buf cut_off;

void model_stored(void)
{
	if (stores_left > 0 && --stores_left == 0)
		_longjmp(cut_off, 1);
}

/* With so many stores at most; whether it came to its end. */
static bool recover(const crash_t *crash, unsigned long stores)
{
	stores_left = stores;
	if (_setjmp(cut_off) != 0)
		return false;
	lower_init(&recovered, crash->frames, copy, LOWER_RECOVER);
	stores_left = 0;
	return true;
}

/* ------------------------------------------------------------------------ */
/* What must be                                                              */

static size_t covered_from(const record_t *call)
{
	return op_gets(&call->op) && call->over ? call->result.frame.value
						: call->op.frame;
}

/* How often a frame is in this call: 0 or 1. */
static int covers(const record_t *call, size_t frame)
{
	size_t first = covered_from(call);

	return frame >= first && frame - first < op_frames(&call->op);
}

/* Without effect: over and refused. */
static bool refused(const record_t *call)
{
	return call->over && !llfree_is_ok(call->result);
}

/* Recovery fills the bits of what is allocated as a whole. */
static uint64_t taken_word(size_t word)
{
	return recovered.fields[word / BITFIELD_ROWS]
		.rows[word % BITFIELD_ROWS];
}

static bool is_taken(size_t frame)
{
	return taken_word(frame / 64) >> (frame % 64) & 1;
}

/*
 * A frame counts one when taken at first, one more for each get and one less
 * for each put that is over. With the puts in flight it may be as much less as
 * they are many. False: it has to be taken and is not; `extra` counts those
 * that need not be taken and are.
 */
static bool frame_right(const crash_t *crash, size_t frame, size_t *extra)
{
	int count = crash->taken[frame / 64] >> (frame % 64) & 1, doubt = 0;

	for (size_t i = 0; i < crash->call_count; i++) {
		const record_t *call = crash->calls[i];

		if (refused(call))
			continue;
		if (op_puts(&call->op) && call->over)
			count -= covers(call, frame);
		else if (op_puts(&call->op))
			doubt += covers(call, frame);
		else if (op_gets(&call->op) && call->over)
			count += covers(call, frame);
	}
	*extra += count <= 0 && is_taken(frame);
	return count - doubt <= 0 || is_taken(frame);
}

/* Is a call about any of these 64 frames? */
static bool word_touched(const crash_t *crash, size_t word)
{
	for (size_t i = 0; i < crash->call_count; i++) {
		const record_t *call = crash->calls[i];
		size_t first = covered_from(call);

		if (!refused(call) && first < word * 64 + 64 &&
		    first + op_frames(&call->op) > word * 64)
			return true;
	}
	return false;
}

/* 64 frames at once where no call says otherwise. */
static bool word_right(const crash_t *crash, size_t word, size_t *extra)
{
	uint64_t taken = taken_word(word);
	bool right = true;

	if (!word_touched(crash, word)) {
		*extra += (size_t)__builtin_popcountll(taken &
						       ~crash->taken[word]);
		return (crash->taken[word] & ~taken) == 0;
	}
	for (size_t i = 0; i < 64; i++)
		right &= frame_right(crash, word * 64 + i, extra);
	return right;
}

static size_t gets_in_flight(const crash_t *crash)
{
	size_t frames = 0;

	for (size_t i = 0; i < crash->call_count; i++)
		if (!crash->calls[i]->over && op_gets(&crash->calls[i]->op))
			frames += op_frames(&crash->calls[i]->op);
	return frames;
}

/* The only call in flight, if it is one of whole huge frames in one step. */
static const record_t *whole_in_flight(const crash_t *crash)
{
	const record_t *only = NULL;
	size_t count = 0;

	for (size_t i = 0; i < crash->call_count; i++) {
		if (crash->calls[i]->over)
			continue;
		only = crash->calls[i];
		count++;
	}
	if (count != 1 || only->op.frames != 0 ||
	    only->op.order < LLFREE_HUGE_ORDER ||
	    only->op.order > LLFREE_HUGE_ORDER + 2)
		return NULL;
	return only;
}

/* Has another call since allocated from what this one frees? */
static bool reused(const crash_t *crash, const record_t *call)
{
	size_t frames = op_frames(&call->op);

	for (size_t i = 0; i < crash->call_count; i++) {
		const record_t *other = crash->calls[i];
		size_t first = covered_from(other);

		if (other != call && op_gets(&other->op) && !refused(other) &&
		    other->end > call->begin &&
		    first < call->op.frame + frames &&
		    first + op_frames(&other->op) > call->op.frame)
			return true;
	}
	return false;
}

static bool whole_right(const crash_t *crash, const record_t *call,
			size_t extra)
{
	size_t frames = op_frames(&call->op), taken = 0;

	if (op_gets(&call->op))
		return extra == 0 || extra == frames;
	if (!op_puts(&call->op) || reused(crash, call))
		return true;
	for (size_t i = 0; i < frames; i++)
		taken += is_taken(call->op.frame + i);
	return taken == 0 || taken == frames;
}

static const char *recovered_right(const crash_t *crash)
{
	const record_t *whole = whole_in_flight(crash);
	const char *broken = lower_broken(&recovered);
	size_t extra = 0;

	crash_count++;
	if (broken)
		return broken;
	for (size_t word = 0; word < crash->frames / 64; word++)
		if (!word_right(crash, word, &extra))
			return "after a crash an allocated frame is free";
	if (extra > gets_in_flight(crash))
		return "after a crash a free frame is allocated";
	if (whole && !whole_right(crash, whole, extra))
		return "after a crash a huge frame is there in part";
	return NULL;
}

/* ------------------------------------------------------------------------ */
/* Crashes                                                                   */

/* Recovery cut off after each of its stores comes to the same in the end. */
static const char *recovery_cut_off(const crash_t *crash)
{
	static uint8_t whole[BUFFER];
	unsigned long stores = 1;

	memcpy(whole, copy, crash->size);
	for (bool done = false; !done; stores++) {
		memcpy(copy, crash->lower, crash->size);
		done = recover(crash, stores);
		if (!done)
			(void)recover(crash, 0);
		crash_count++;
		if (memcmp(whole, copy, crash->size) != 0)
			return "recovery done twice comes to something else";
	}
	return NULL;
}

/* Some of the lines that differ from the medium have reached it. */
static void lose_lines(const crash_t *crash, uint64_t survive)
{
	unsigned line = 0;

	memcpy(copy, medium, crash->size);
	for (size_t at = 0; at < crash->size; at += LINE) {
		if (memcmp(medium + at, crash->lower + at, LINE) == 0)
			continue;
		if (survive >> (line++ % 64) & 1)
			memcpy(copy + at, crash->lower + at, LINE);
	}
}

static unsigned unpersisted_lines(const crash_t *crash)
{
	unsigned lines = 0;

	for (size_t at = 0; at < crash->size; at += LINE)
		lines += memcmp(medium + at, crash->lower + at, LINE) != 0;
	return lines;
}

/* Half of the lines, others for each crash. */
static uint64_t random_bits(uint64_t i)
{
	uint64_t bits = (crash_count + i) * UINT64_C(0x9e3779b97f4a7c15);

	return (bits ^ bits >> 31) * UINT64_C(0xbf58476d1ce4e5b9);
}

static const char *power_lost(const crash_t *crash)
{
	unsigned lines = unpersisted_lines(crash);
	uint64_t subsets =
		UINT64_C(1)
		<< (lines < MAX_SUBSET_LINES ? lines : MAX_SUBSET_LINES);
	const char *wrong = NULL;

	for (uint64_t i = 0; i + 1 < subsets && !wrong; i++) {
		lose_lines(crash,
			   lines > MAX_SUBSET_LINES ? random_bits(i) : i);
		(void)recover(crash, 0);
		wrong = recovered_right(crash);
	}
	return wrong;
}

const char *crash_check(const crash_t *crash)
{
	const char *wrong;

	memcpy(copy, crash->lower, crash->size);
	(void)recover(crash, 0);
	wrong = recovered_right(crash);
	if (!wrong && crash_count % CUT_OFF_EVERY == 0)
		wrong = recovery_cut_off(crash);
	if (!wrong)
		wrong = power_lost(crash);
	return wrong;
}
