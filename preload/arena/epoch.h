/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The epoch in which the background thread may have borrowed frames. The
 * thread borrows free frames while it empties them, those of one huge frame in
 * an epoch. A thread that needs exactly these frames, or a state in which none
 * is borrowed, waits for the end of the epoch; and since epochs end by
 * themselves, no thread holds a lock.
 *
 *	background thread			other threads
 *	epoch becomes odd			quiescers become one more
 *	no quiescer? borrow, give back		epoch is even? none is borrowed
 *	epoch becomes even
 *
 * The first two lines of either side are in one order for all threads: so one
 * of the two sees the other. arena_quiesce and arena_resume are the other
 * threads' side (arena.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The background thread alone, around what it borrows. False, with no epoch
 * begun, while a thread quiesces the arena. `now` is in milliseconds. */
bool epoch_begin(uint64_t now);
void epoch_end(void);

/* Other threads: call epoch_now before an attempt to get certain frames. When
 * the attempt failed, epoch_passed waits for the end of an epoch, and returns
 * whether that may have been in the way, so that it is worth another attempt.
 * `tries` starts at 0. */
uint32_t epoch_now(void);
bool epoch_passed(uint32_t seen, unsigned *tries);

/* Forget the background thread: in a child of fork. */
void epoch_reset(void);
