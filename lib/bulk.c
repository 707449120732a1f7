/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The bulk calls: many single frames. Those that lie in the same tree, child
 * or row need one atomic step there.
 */
#include "lib/upper.h"

static llfree_bulk_t done(size_t count, uint8_t error)
{
	return (llfree_bulk_t){ count, error };
}

/* Find the slot of a request for single frames; false for a wrong request. */
static bool find_slot(const llfree_t *self, const frame_id_t *frames,
		      size_t count, llfree_request_t request, local_t **local)
{
	return request.order == 0 && (frames || count == 0) &&
	       upper_find_local(self, request.class,
				llfree_plain_local(request.local), local);
}

/* ------------------------------------------------------------------------ */
/* Get                                                                       */

/* Return whether a class may use this tree without taking it over. */
static bool usable(const llfree_t *self, uint8_t class, tree_t tree)
{
	uint8_t type =
		self->upper.policy(class, tree_class(tree), tree_free(tree))
			.type;

	return type == LLFREE_POLICY_MATCH || type == LLFREE_POLICY_STEAL;
}

/* Get as many frames of this tree as possible. Give the rest of the claim
 * back. */
static size_t get_some(const llfree_t *self, tree_id_t id, uint8_t class,
		       frame_id_t *frames, size_t most)
{
	tree_t was, next;
	size_t claimed = 0, got;

	if (!atom_update(upper_tree(self, id), was, next,
			 usable(self, class, next) &&
				 tree_claim_some(&next, most, &claimed)))
		return 0;
	got = lower_get_some(&self->lower, upper_hint(id, was), frames,
			     claimed);
	if (got < claimed)
		upper_unclaim(self, id, claimed - got);
	if (got > 0 && upper_moved(upper_hint(id, was), frames[got - 1], 1))
		(void)atom_update(upper_tree(self, id), was, next,
				  tree_move(&next, frames[got - 1]));
	return got;
}

/* Get frames of the tree that the slot has, if it is of the class. */
static size_t get_own(const llfree_t *self, const local_t *local, uint8_t class,
		      frame_id_t *frames, size_t most)
{
	slot_t slot = local ? atom_load_acquire(&local->slot) : 0;

	if (most == 0 || !slot_is_present(slot) ||
	    tree_class(atom_load(upper_tree(self, slot_tree(slot)))) != class)
		return 0;
	return get_some(self, slot_tree(slot), class, frames, most);
}

/* When the own tree has no more, the search for one frame finds the next. */
llfree_bulk_t llfree_get_bulk(llfree_t *self, frame_id_t *frames, size_t count,
			      llfree_request_t request)
{
	local_t *local;
	size_t got;

	if (!find_slot(self, frames, count, request, &local))
		return done(0, LLFREE_ERR_ARGUMENT);
	got = get_own(self, local, request.class, frames, count);
	while (got < count) {
		llfree_result_t one =
			upper_get(self, (run_t){ 1, 0 }, request.class, local);

		if (!llfree_is_ok(one))
			return done(got, one.error);
		frames[got++] = one.frame;
		if (got < count)
			got += get_some(self, tree_of_frame(one.frame),
					request.class, frames + got,
					count - got);
	}
	return done(got, LLFREE_ERR_OK);
}

/* ------------------------------------------------------------------------ */
/* Put                                                                       */

static bool all_managed(const llfree_t *self, const frame_id_t *frames,
			size_t count)
{
	uint64_t last = 0;

	for (size_t i = 0; i < count; i++)
		last = frames[i].value > last ? frames[i].value : last;
	return last < self->lower.frames;
}

static row_t bit_of(frame_id_t frame)
{
	return (row_t)1 << frame.value % ROW_FRAMES;
}

/* Count the first entries that are different frames of one row. */
static size_t same_row(const frame_id_t *frames, size_t count, row_t *mask)
{
	uint64_t row = frames[0].value / ROW_FRAMES;
	size_t i = 0;

	for (*mask = 0; i < count && frames[i].value / ROW_FRAMES == row &&
			!(*mask & bit_of(frames[i]));
	     i++)
		*mask |= bit_of(frames[i]);
	return i;
}

static row_put_t put_row(const llfree_t *self, const local_t *local,
			 frame_id_t frame, row_t mask)
{
	frame_id_t first = frame_id(frame.value - frame.value % ROW_FRAMES);
	row_put_t put = lower_put_row(&self->lower, first, mask);

	if (put == ROW_PUT)
		upper_freed(self, local, first, row_taken(mask));
	return put;
}

/* Put frames of one row up to the first failure; return how many. */
static size_t put_some(const llfree_t *self, const local_t *local,
		       const frame_id_t *frames, size_t count, row_t mask)
{
	row_put_t put = put_row(self, local, frames[0], mask);
	size_t i = 0;

	if (put != ROW_KEPT || count == 1)
		return put == ROW_PUT ? count : 0;
	while (i < count &&
	       put_row(self, local, frames[i], bit_of(frames[i])) == ROW_PUT)
		i++;
	return i;
}

llfree_bulk_t llfree_put_bulk(llfree_t *self, const frame_id_t *frames,
			      size_t count, llfree_request_t request)
{
	local_t *local;

	if (!find_slot(self, frames, count, request, &local) ||
	    !all_managed(self, frames, count))
		return done(0, LLFREE_ERR_ARGUMENT);
	for (size_t i = 0, part, put; i < count; i += part) {
		row_t mask;

		part = same_row(frames + i, count - i, &mask);
		put = put_some(self, local, frames + i, part, mask);
		if (put < part)
			return done(i + put, LLFREE_ERR_MEMORY);
	}
	return done(count, LLFREE_ERR_OK);
}
