/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Get and put whole huge frames, up to MAX_LANES neighbours in one step. Their
 * children change from free to allocated and back, and their bitfields with
 * them.
 *
 * `child` and `field` belong to the first huge frame; the address of `child` is
 * aligned to the lanes. Any number of threads may call these functions on the
 * same huge frames.
 */
#pragma once

#include "lib/bitfield.h"
#include "lib/child.h"

typedef uint16_t __attribute__((may_alias)) lanes1_t;
typedef uint32_t __attribute__((may_alias)) lanes2_t;
typedef uint64_t __attribute__((may_alias)) lanes4_t;

#define WHOLE_CHANGE_AS(type, p, from, to, lanes, now)                 \
	({                                                             \
		type was_, next_;                                      \
		bool changed_ = atom_update(                           \
			(type *)(p), was_, next_,                      \
			(*(now) = next_,                               \
			 lanes_change((now), (from), (to), (lanes)) && \
				 (next_ = (type) * (now), true)));     \
		changed_;                                              \
	})

/* Change all lanes from one state to another, or none; `now` is the result. */
HOT bool whole_change(child_t *child, unsigned lanes, child_t from, child_t to,
		      lanes_t *now)
{
	switch (lanes) {
	case 1:
		return WHOLE_CHANGE_AS(lanes1_t, child, from, to, lanes, now);
	case 2:
		return WHOLE_CHANGE_AS(lanes2_t, child, from, to, lanes, now);
	default:
		return WHOLE_CHANGE_AS(lanes4_t, child, from, to, lanes, now);
	}
}

/* Leave the busy state. Only the owner changes a busy child. */
HOT void whole_publish(child_t *child, unsigned lanes, lanes_t value)
{
	switch (lanes) {
	case 1:
		atom_store_release((lanes1_t *)child, (lanes1_t)value);
		break;
	case 2:
		atom_store_release((lanes2_t *)child, (lanes2_t)value);
		break;
	default:
		atom_store_release((lanes4_t *)child, value);
	}
	llfree_persist(child, lanes * sizeof(child_t));
}

/*
 * Enter the busy state and set all rows to `row`. Return the generations in
 * `now`. The busy child reaches the medium before its bits change, and the bits
 * before the child leaves this state. So recovery after a crash finds each huge
 * frame either allocated or free.
 */
HOT bool whole_occupy(child_t *child, bitfield_t *field, unsigned lanes,
		      child_t from, row_t row, lanes_t *now)
{
	if (!whole_change(child, lanes, from, CHILD_BUSY, now))
		return false;
	llfree_persist(child, lanes * sizeof(child_t));
	for (unsigned i = 0; i < lanes; i++)
		bitfield_fill(&field[i], row);
	*now &= lanes_of(CHILD_GENERATION, lanes);
	return true;
}

/* Get all of them, or none. */
HOT bool whole_get(child_t *child, bitfield_t *field, unsigned lanes)
{
	lanes_t now;

	if (!whole_occupy(child, field, lanes, CHILD_FREE, ROW_FULL, &now))
		return false;
	whole_publish(child, lanes, now | lanes_of(CHILD_WHOLE, lanes));
	return true;
}

/* Put all of them, or none when one is not allocated as a whole. */
HOT bool whole_put(child_t *child, bitfield_t *field, unsigned lanes)
{
	lanes_t now;

	if (!whole_occupy(child, field, lanes, CHILD_WHOLE, 0, &now))
		return false;
	whole_publish(child, lanes,
		      lanes_next_generation(now, lanes) |
			      lanes_of(CHILD_FREE, lanes));
	return true;
}
