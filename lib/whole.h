/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Whole huge frames, up to MAX_LANES neighbours in one step: their entries
 * from free to allocated and back, and their bitfields with them.
 *
 * `child` and `field` are those of the first; the children are aligned to
 * their number. Any number of threads may call this on the same ones.
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

/* All lanes from one state to another, or none; `now` is what they became. */
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

/* The owner's way out of the busy state: no one else changes it. */
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
 * Into the busy state and all bits to `row`; the lanes keep what `now` then
 * has. The child is on the medium as busy before its bits change, and the bits
 * are before it leaves that state: a crash finds it allocated or free, not in
 * between.
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

/* From free to allocated, all of them or none. */
HOT bool whole_get(child_t *child, bitfield_t *field, unsigned lanes)
{
	lanes_t now;

	if (!whole_occupy(child, field, lanes, CHILD_FREE, ROW_FULL, &now))
		return false;
	whole_publish(child, lanes, now | lanes_of(CHILD_WHOLE, lanes));
	return true;
}

/* From allocated to free, all of them or none: not when one is split. */
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
