/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Which base frames of one huge frame are allocated: 512 bits, one cache line.
 * A set bit means allocated. Positions and lengths are in frames.
 *
 * A row is one word: what one atomic step covers. An operation over several
 * rows claims them in ascending order and undoes its claims when it fails. So
 * when two operations overlap, the one that has reached the higher row goes on.
 *
 * Any number of threads may call these functions at once, except
 * bitfield_fill: it is for the thread that owns the whole huge frame.
 */
#pragma once

#include "lib/atom.h"
#include "lib/ids.h"

typedef uint64_t row_t;

#define ROW_FRAMES LLFREE_ATOMIC_SIZE
#define BITFIELD_ROWS (LLFREE_HUGE_SIZE / ROW_FRAMES)
#define ROW_FULL (~(row_t)0)

typedef struct {
	_Alignas(LLFREE_CACHE_SIZE) row_t rows[BITFIELD_ROWS];
} bitfield_t;
_Static_assert(sizeof(bitfield_t) == LLFREE_CACHE_SIZE, "persistent layout");

/* ------------------------------------------------------------------------ */
/* Pure steps on a row                                                       */

/* Return the number of set bits. It adds neighbouring fields of 1, 2, 4 and 8
 * bits, since not every processor has an instruction for this. */
static inline size_t row_taken(row_t row)
{
	row -= row >> 1 & 0x5555555555555555;
	row = (row & 0x3333333333333333) + (row >> 2 & 0x3333333333333333);
	row = (row + (row >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return row * 0x0101010101010101 >> 56;
}

static inline row_t row_mask(size_t first, size_t frames)
{
	return (ROW_FULL >> (ROW_FRAMES - frames)) << first;
}

/* Take all frames of the mask, or none. */
static inline bool row_set(row_t *row, row_t mask)
{
	if (*row & mask)
		return false;
	*row |= mask;
	return true;
}

/* Free all frames of the mask, or none. */
static inline bool row_clear(row_t *row, row_t mask)
{
	if ((*row & mask) != mask)
		return false;
	*row &= ~mask;
	return true;
}

/* Free the taken frames of the mask; false when there are none. */
static inline bool row_clear_some(row_t *row, row_t mask)
{
	if ((*row & mask) == 0)
		return false;
	*row &= ~mask;
	return true;
}

/*
 * Return the bits at which an aligned run of 2^order free frames starts. A bit
 * survives the folding when it and the next 2^order - 1 bits are clear.
 */
static inline row_t row_runs(row_t row, unsigned order)
{
	static const row_t aligned[LLFREE_ATOMIC_ORDER + 1] = {
		0xffffffffffffffff, 0x5555555555555555, 0x1111111111111111,
		0x0101010101010101, 0x0001000100010001, 0x0000000100000001,
		0x0000000000000001,
	};
	row_t runs = ~row;

	for (unsigned step = 0; step < order; step++)
		runs &= runs >> (1u << step);
	return runs & aligned[order];
}

/* Take the lowest aligned run of 2^order frames; `first` is its first bit. */
static inline bool row_take(row_t *row, unsigned order, size_t *first)
{
	row_t runs = row_runs(*row, order);

	if (runs == 0)
		return false;
	*first = (size_t)__builtin_ctzll(runs);
	*row |= row_mask(*first, (size_t)1 << order);
	return true;
}

/* Take the lowest free frames, at most `most`; `taken` is their mask. */
static inline bool row_take_some(row_t *row, size_t most, row_t *taken)
{
	row_t left = ~*row;

	for (size_t i = 0; i < most && left != 0; i++)
		left &= left - 1;
	*taken = ~*row & ~left;
	*row |= *taken;
	return *taken != 0;
}

/* ------------------------------------------------------------------------ */
/* A span of frames, row by row                                              */

typedef struct {
	size_t row;
	size_t frames;
	row_t mask;
} span_part_t;

/* Return the part of [first, first + frames) in the row of `first`. */
static inline span_part_t span_part(size_t first, size_t frames)
{
	size_t bit = first % ROW_FRAMES;
	size_t length = size_min(ROW_FRAMES - bit, frames);

	return (span_part_t){ first / ROW_FRAMES, length,
			      row_mask(bit, length) };
}

/* Free these frames of a row in one step, or none if one is free already. */
static inline bool bitfield_clear_mask(bitfield_t *self, size_t row, row_t mask)
{
	row_t was, next;

	if (!atom_update(&self->rows[row], was, next, row_clear(&next, mask)))
		return false;
	llfree_persist(&self->rows[row], sizeof(row_t));
	return true;
}

/* The same for a span within one row. */
static inline bool bitfield_clear_row(bitfield_t *self, size_t first,
				      size_t frames)
{
	span_part_t part = span_part(first, frames);

	return bitfield_clear_mask(self, part.row, part.mask);
}

/* Free the taken frames of the span; return how many there were. */
static inline size_t bitfield_clear(bitfield_t *self, size_t first,
				    size_t frames)
{
	size_t cleared = 0;

	for (span_part_t part; frames > 0; frames -= part.frames) {
		row_t was, next;

		part = span_part(first, frames);
		first += part.frames;
		if (!atom_update(&self->rows[part.row], was, next,
				 row_clear_some(&next, part.mask)))
			continue;
		llfree_persist(&self->rows[part.row], sizeof(row_t));
		cleared += row_taken(was & part.mask);
	}
	return cleared;
}

/*
 * Take the whole span or nothing: on failure, free the rows taken so far. A
 * wrong put of another thread may have freed some of their frames before, and
 * counted them; add the number of these to `already_freed`.
 */
static inline bool bitfield_set(bitfield_t *self, size_t first, size_t frames,
				size_t *already_freed)
{
	size_t done = 0;

	for (span_part_t part; done < frames; done += part.frames) {
		row_t was, next;

		part = span_part(first + done, frames - done);
		if (!atom_update(&self->rows[part.row], was, next,
				 row_set(&next, part.mask))) {
			*already_freed +=
				done - bitfield_clear(self, first, done);
			return false;
		}
		llfree_persist(&self->rows[part.row], sizeof(row_t));
	}
	return true;
}

static inline bool bitfield_is_clear(const bitfield_t *self, size_t first,
				     size_t frames)
{
	for (span_part_t part; frames > 0;
	     frames -= part.frames, first += part.frames) {
		part = span_part(first, frames);
		if (atom_load_acquire(&self->rows[part.row]) & part.mask)
			return false;
	}
	return true;
}

static inline bool bitfield_is_set(const bitfield_t *self, size_t first,
				   size_t frames)
{
	for (span_part_t part; frames > 0;
	     frames -= part.frames, first += part.frames) {
		part = span_part(first, frames);
		if ((atom_load(&self->rows[part.row]) & part.mask) != part.mask)
			return false;
	}
	return true;
}

static inline size_t bitfield_free(const bitfield_t *self)
{
	size_t set = 0;

	for (size_t i = 0; i < BITFIELD_ROWS; i++)
		set += row_taken(atom_load(&self->rows[i]));
	return LLFREE_HUGE_SIZE - set;
}

/* Plain stores: only for the thread that owns the whole huge frame. */
static inline void bitfield_fill(bitfield_t *self, row_t value)
{
#pragma GCC unroll 8
	for (size_t i = 0; i < BITFIELD_ROWS; i++)
		atom_store(&self->rows[i], value);
	llfree_persist(self, sizeof(*self));
}

/* ------------------------------------------------------------------------ */
/* Search                                                                    */

/* Take an aligned run within a row, from `row` on: the common case. */
HOT bool bitfield_take_order(bitfield_t *self, size_t row, unsigned order,
			     size_t *first)
{
	for (size_t i = 0; i < BITFIELD_ROWS; i++) {
		size_t at = (row + i) % BITFIELD_ROWS;
		row_t was, next;

		if (atom_update(&self->rows[at], was, next,
				row_take(&next, order, first))) {
			llfree_persist(&self->rows[at], sizeof(row_t));
			*first += at * ROW_FRAMES;
			return true;
		}
	}
	return false;
}

/*
 * Take up to `most` single frames from `row` on, the frames of a row in one
 * step. Store their numbers, counted from `base`, in `frames`; return how many.
 */
size_t bitfield_take_some(bitfield_t *self, size_t row, frame_id_t base,
			  frame_id_t *frames, size_t most);

/* Return whether there is a run at this moment. */
bool bitfield_has_run(const bitfield_t *self, run_t run);

/*
 * Take any run that fits, also across rows. When another thread took the run
 * first, search again. A run that is freed behind the search may be missed.
 */
bool bitfield_take_run(bitfield_t *self, run_t run, size_t *first,
		       size_t *already_freed);
