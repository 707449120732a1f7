/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The entry of a huge frame, 16 bits, and its pure transitions.
 *
 *   bits 0-9    free frames, 0 to 512; claimed before bits are looked for and
 *               raised after bits are cleared, so never above the zero bits
 *   bits 10-14  generation: how often it was freed as a whole, modulo 32
 *   bit  15     whole: allocated as one huge frame, count 0, all bits set
 *
 * `whole` with a count of 512 is *busy*: the owner of the whole huge frame is
 * filling or emptying its bitfield, and everyone else stays away: to get, it
 * has nothing; to put, it is not allocated. Its bits are thus all set before
 * any part of a huge frame can be freed, and splitting it is one
 * compare-and-swap that nobody has to wait for or to finish for another.
 *
 * The generation is for put calls that free a frame twice and are caught
 * between clearing bits and counting: they must not count frames that a whole
 * put has counted meanwhile. (A wrong put that stands still there while the
 * huge frame is allocated and freed as a whole 32 times would; one that clears
 * a bit just as someone gets the whole takes the frame from him, as one that
 * comes a little later does, and its count is lost.)
 *
 * Up to four neighbours in one word change together (`lanes`), which makes
 * whole gets and puts of up to 8 MiB one step.
 */
#pragma once

#include "lib/ids.h"

typedef uint16_t child_t;

#define CHILD_COUNT ((child_t)0x03ff)
#define CHILD_GENERATION ((child_t)0x7c00)
#define CHILD_WHOLE ((child_t)0x8000)
#define CHILD_STATE ((child_t)(CHILD_COUNT | CHILD_WHOLE))
#define CHILD_FREE ((child_t)LLFREE_HUGE_SIZE)
#define CHILD_BUSY ((child_t)(CHILD_WHOLE | LLFREE_HUGE_SIZE))

_Static_assert(LLFREE_HUGE_SIZE < CHILD_COUNT, "the count must fit");

/* Allocated as one huge frame. */
static inline bool child_is_whole(child_t child)
{
	return (child & CHILD_STATE) == CHILD_WHOLE;
}

static inline bool child_is_busy(child_t child)
{
	return (child & CHILD_STATE) == CHILD_BUSY;
}

/* Entirely free. */
static inline bool child_is_free(child_t child)
{
	return (child & CHILD_STATE) == CHILD_FREE;
}

static inline size_t child_count(child_t child)
{
	return child & CHILD_WHOLE ? 0 : child & CHILD_COUNT;
}

static inline child_t child_with_count(size_t frames)
{
	return (child_t)frames;
}

/* Claims frames, before bits are looked for. */
static inline bool child_claim(child_t *child, size_t frames)
{
	if (child_count(*child) < frames)
		return false;
	*child -= (child_t)frames;
	return true;
}

/* Claims as many as there are, `most` at most; no when there are none. */
static inline bool child_claim_some(child_t *child, size_t most,
				    size_t *claimed)
{
	*claimed = size_min(child_count(*child), most);
	*child -= (child_t)*claimed;
	return *claimed > 0;
}

/*
 * Counts frames whose bits were cleared, in the generation `seen` when their
 * bits were still set. No, after a frame was put twice: they were counted with
 * the whole huge frame, are just being so, or would be too many.
 */
static inline bool child_give(child_t *child, size_t frames, child_t seen)
{
	if ((*child ^ seen) & CHILD_GENERATION || child_is_busy(*child) ||
	    child_count(*child) + frames > LLFREE_HUGE_SIZE)
		return false;
	*child = (child_t)((*child & (child_t)~CHILD_WHOLE) + frames);
	return true;
}

/* From allocated as one to allocated in parts: the first partial put. */
static inline bool child_split(child_t *child)
{
	if (!child_is_whole(*child))
		return false;
	*child &= (child_t)~CHILD_WHOLE;
	return true;
}

/* ------------------------------------------------------------------------ */
/* Neighbours in one word: 1, 2 or 4                                         */

typedef uint64_t lanes_t;

#define CHILD_BITS 16u
#define MAX_LANES 4u

/* The same child value in each lane. */
static inline lanes_t lanes_of(child_t child, unsigned lanes)
{
	lanes_t each = UINT64_C(0x0001000100010001) >>
		       (CHILD_BITS * (MAX_LANES - lanes));

	return each * child;
}

static inline bool lanes_are(lanes_t word, child_t state, unsigned lanes)
{
	return (word & lanes_of(CHILD_STATE, lanes)) == lanes_of(state, lanes);
}

/* All of them from one state to another. */
static inline bool lanes_change(lanes_t *word, child_t from, child_t to,
				unsigned lanes)
{
	if (!lanes_are(*word, from, lanes))
		return false;
	*word = (*word & lanes_of(CHILD_GENERATION, lanes)) |
		lanes_of(to, lanes);
	return true;
}

/* The carry of the last generation falls into `whole`, and is cut there. */
static inline lanes_t lanes_next_generation(lanes_t word, unsigned lanes)
{
	const child_t one = CHILD_COUNT + 1;
	lanes_t generation = lanes_of(CHILD_GENERATION, lanes);

	return (word & ~generation) |
	       (((word & generation) + lanes_of(one, lanes)) & generation);
}
