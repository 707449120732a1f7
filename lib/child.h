/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The entry of a huge frame, 16 bits, and its pure transitions.
 *
 *   bits 0-9    free frames, 0 to 512. A get lowers the count before it
 *               searches for bits; a put raises it after it cleared bits. So
 *               the count is never above the number of clear bits.
 *   bits 10-14  generation: how often it was freed as a whole, modulo 32
 *   bit  15     whole: allocated as one huge frame, count 0, all bits set
 *
 * `whole` with a count of 512 is *busy*: the owner of the whole huge frame is
 * filling or emptying its bitfield. For other threads a busy huge frame has
 * nothing free and is not allocated, so no get and no put succeeds in it. All
 * bits are set before the first part of a huge frame can be freed. Splitting is
 * therefore one compare-and-swap; no thread waits for another one to split.
 *
 * The generation protects against frames that are put twice. A wrong put may
 * have cleared its bit and not yet counted it when another thread puts the
 * whole huge frame. The changed generation tells the wrong put that its frame
 * is counted already. Two races remain, both of wrong programs: the generation
 * wraps when the wrong put stops there for 32 whole puts; and a wrong put that
 * clears a bit while another thread gets the whole huge frame takes this frame
 * from it, as the same put a moment later would.
 *
 * Up to four neighbours in one word change together (*lanes*). So a get or put
 * of up to 8 MiB of whole huge frames is one step.
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

/* Claim frames, before searching for bits. */
static inline bool child_claim(child_t *child, size_t frames)
{
	if (child_count(*child) < frames)
		return false;
	*child -= (child_t)frames;
	return true;
}

/* Claim as many frames as there are, at most `most`; false for none. */
static inline bool child_claim_some(child_t *child, size_t most,
				    size_t *claimed)
{
	*claimed = size_min(child_count(*child), most);
	*child -= (child_t)*claimed;
	return *claimed > 0;
}

/*
 * Count frames whose bits this thread has cleared. `seen` is the child as it
 * was before. Return false when the frames were put twice: a whole put has
 * counted them, is about to, or the count would be too high.
 */
static inline bool child_give(child_t *child, size_t frames, child_t seen)
{
	if ((*child ^ seen) & CHILD_GENERATION || child_is_busy(*child) ||
	    child_count(*child) + frames > LLFREE_HUGE_SIZE)
		return false;
	*child = (child_t)((*child & (child_t)~CHILD_WHOLE) + frames);
	return true;
}

/* Change from allocated as one to allocated in parts: the first partial put. */
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

/* Return a word with the same child value in each lane. */
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

/* Change all lanes from one state to another, or none. */
static inline bool lanes_change(lanes_t *word, child_t from, child_t to,
				unsigned lanes)
{
	if (!lanes_are(*word, from, lanes))
		return false;
	*word = (*word & lanes_of(CHILD_GENERATION, lanes)) |
		lanes_of(to, lanes);
	return true;
}

/* Raise each generation; the mask drops the carry into `whole`. */
static inline lanes_t lanes_next_generation(lanes_t word, unsigned lanes)
{
	const child_t one = CHILD_COUNT + 1;
	lanes_t generation = lanes_of(CHILD_GENERATION, lanes);

	return (word & ~generation) |
	       (((word & generation) + lanes_of(one, lanes)) & generation);
}
