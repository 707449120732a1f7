/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What a crash after any step leaves, once it is recovered from the lower
 * buffer alone: every call that was over keeps its effect; of each call in
 * flight every frame is allocated or free; and whole huge frames, up to four
 * at once, are all of it.
 *
 * Three kinds of crash: with all stores on the medium; the same with recovery
 * itself cut off after each of its stores and done again; and power loss with
 * volatile caches, where of the lines written since they were last persisted
 * any may have reached the medium.
 */
#pragma once

#include "tests/model/calls.h"

typedef struct {
	size_t frames;
	const uint64_t *taken; /* before the calls: a bit a frame */
	record_t *const *calls;
	size_t call_count;
	const uint8_t *lower; /* as it is now */
	size_t size;
} crash_t;

/* A run begins: all of this memory is on the medium. */
void crash_begin(const uint8_t *lower, size_t size);

/* Null when all is well. */
const char *crash_check(const crash_t *crash);

/* How many crashes were recovered so far. */
extern uint64_t crash_count;
