/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "lib/bitfield.h"

static bitfield_t bitfield_read(const bitfield_t *self)
{
	bitfield_t copy;

	for (size_t i = 0; i < BITFIELD_ROWS; i++)
		copy.rows[i] = atom_load_acquire(&self->rows[i]);
	return copy;
}

/* Return the first taken (or free) frame from `from` on, or the end. */
static size_t find_next(const bitfield_t *self, size_t from, bool taken)
{
	while (from < LLFREE_HUGE_SIZE) {
		row_t row = self->rows[from / ROW_FRAMES];
		row_t rest = (taken ? row : ~row) >> (from % ROW_FRAMES);

		if (rest != 0)
			return from + (size_t)__builtin_ctzll(rest);
		from += ROW_FRAMES - from % ROW_FRAMES;
	}
	return LLFREE_HUGE_SIZE;
}

static bool find_run(const bitfield_t *self, run_t run, size_t *first)
{
	size_t at = 0;

	while (at + run.frames <= LLFREE_HUGE_SIZE) {
		size_t end = find_next(self, at, true);

		if (end - at >= run.frames) {
			*first = at;
			return true;
		}
		at = align_up(find_next(self, end, false), run.align);
	}
	return false;
}

/* Store the frame number of each bit of the mask; return their count. */
static size_t name_bits(row_t mask, frame_id_t base, frame_id_t *frames)
{
	size_t count = 0;

	for (; mask != 0; mask &= mask - 1)
		frames[count++] =
			frame_plus(base, (size_t)__builtin_ctzll(mask));
	return count;
}

size_t bitfield_take_some(bitfield_t *self, size_t row, frame_id_t base,
			  frame_id_t *frames, size_t most)
{
	size_t got = 0;

	for (size_t i = 0; i < BITFIELD_ROWS && got < most; i++) {
		size_t at = (row + i) % BITFIELD_ROWS;
		row_t was, next, taken;

		if (!atom_update(&self->rows[at], was, next,
				 row_take_some(&next, most - got, &taken)))
			continue;
		llfree_persist(&self->rows[at], sizeof(row_t));
		got += name_bits(taken, frame_plus(base, at * ROW_FRAMES),
				 frames + got);
	}
	return got;
}

bool bitfield_has_run(const bitfield_t *self, run_t run)
{
	bitfield_t seen = bitfield_read(self);
	size_t first;

	return find_run(&seen, run, &first);
}

bool bitfield_take_run(bitfield_t *self, run_t run, size_t *first,
		       size_t *already_freed)
{
	bitfield_t seen = bitfield_read(self);

	while (find_run(&seen, run, first)) {
		if (bitfield_set(self, *first, run.frames, already_freed))
			return true;
		seen = bitfield_read(self);
	}
	return false;
}
