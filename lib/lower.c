/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "lib/lower.h"

/* A search in one tree. */
typedef struct {
	run_t run;
	frame_id_t at; /* where it begins; once it succeeded, what it found */
	size_t already_freed; /* frames of a claim that must not go back */
} tree_search_t;

/* ------------------------------------------------------------------------ */
/* Parts of one huge frame                                                   */

static bool part_get_at(const lower_t *self, frame_id_t first, size_t frames,
			tree_search_t *s)
{
	huge_id_t huge = huge_of_frame(first);
	child_t *child = lower_child(self, huge);
	child_t was, next;
	size_t freed_here = 0;

	if (!atom_update(child, was, next, child_claim(&next, frames)))
		return false;
	if (bitfield_set(lower_field(self, huge), frame_in_huge(first), frames,
			 &freed_here))
		return true;
	lower_unclaim(child, frames - freed_here);
	s->already_freed += freed_here;
	return false;
}

/* Split a huge frame that is allocated as one; return what the child is now. */
static child_t split(child_t *child)
{
	child_t was, next;

	if (!atom_update(child, was, next, child_split(&next)))
		return was;
	llfree_persist(child, sizeof(*child));
	return next;
}

static size_t part_put(const lower_t *self, frame_id_t first, size_t frames)
{
	child_t seen = split(lower_child(self, huge_of_frame(first)));

	if (child_is_busy(seen))
		return 0;
	return lower_put_seen(self, first, frames, seen);
}

/* ------------------------------------------------------------------------ */
/* Single frames in bulk                                                     */

static size_t part_get_some(const lower_t *self, huge_id_t huge, size_t row,
			    frame_id_t *frames, size_t most)
{
	child_t *child = lower_child(self, huge);
	size_t claimed = 0, got;
	child_t was, next;

	if (!atom_update(child, was, next,
			 child_claim_some(&next, most, &claimed)))
		return 0;
	got = bitfield_take_some(lower_field(self, huge), row,
				 frame_of_huge(huge), frames, claimed);
	if (got < claimed)
		lower_unclaim(child, claimed - got);
	return got;
}

/* The huge frame of `from` first, then partly used ones, then free ones. */
size_t lower_get_some(const lower_t *self, frame_id_t from, frame_id_t *frames,
		      size_t most)
{
	huge_id_t first = huge_of_frame(from);
	size_t start = first.value % LLFREE_TREE_CHILDREN;
	size_t count = lower_tree_huge(self, tree_of_huge(first));
	size_t got = part_get_some(
		self, first, frame_in_huge(from) / ROW_FRAMES, frames, most);

	for (int free = 0; free <= 1; free++) {
		for (size_t i = 0; i < count && got < most; i++) {
			huge_id_t huge = huge_id(first.value - start +
						 (start + i) % count);
			child_t child = atom_load(lower_child(self, huge));

			if (child_is_free(child) == free)
				got += part_get_some(self, huge, 0,
						     frames + got, most - got);
		}
	}
	return got;
}

row_put_t lower_put_row(const lower_t *self, frame_id_t first, row_t mask)
{
	huge_id_t huge = huge_of_frame(first);
	child_t *child = lower_child(self, huge);
	child_t seen = split(child), was, next;

	if (child_is_busy(seen) ||
	    !bitfield_clear_mask(lower_field(self, huge),
				 frame_in_huge(first) / ROW_FRAMES, mask))
		return ROW_KEPT;
	if (!atom_update(child, was, next,
			 child_give(&next, row_taken(mask), seen)))
		return ROW_PUT_TWICE;
	/* The thread that split it may have stopped before it persisted that. */
	llfree_persist(child, sizeof(*child));
	return ROW_PUT;
}

/* ------------------------------------------------------------------------ */
/* Spans: pieces that are either whole neighbours or a part                   */

typedef struct {
	size_t frames;
	unsigned lanes; /* 0: a part of one huge frame */
} piece_t;

/* Return the first piece of a span, as large as one step can take. */
static piece_t piece_of(frame_id_t first, size_t frames)
{
	size_t at = frame_in_huge(first);
	size_t huge = huge_of_frame(first).value;
	unsigned lanes = MAX_LANES;

	if (at != 0 || frames < LLFREE_HUGE_SIZE)
		return (piece_t){ size_min(LLFREE_HUGE_SIZE - at, frames), 0 };
	while (lanes > LLFREE_TREE_CHILDREN || huge % lanes != 0 ||
	       frames < (size_t)lanes * LLFREE_HUGE_SIZE)
		lanes /= 2;
	return (piece_t){ (size_t)lanes * LLFREE_HUGE_SIZE, lanes };
}

static bool piece_get(const lower_t *self, frame_id_t first, piece_t piece,
		      tree_search_t *s)
{
	if (piece.lanes > 0)
		return lower_whole_get(self, huge_of_frame(first), piece.lanes);
	return part_get_at(self, first, piece.frames, s);
}

/* Put huge frames that were not all allocated as wholes one by one. */
static size_t piece_put(const lower_t *self, frame_id_t first, piece_t piece)
{
	size_t freed = 0;

	if (piece.lanes == 0)
		return part_put(self, first, piece.frames);
	if (lower_whole_put(self, huge_of_frame(first), piece.lanes))
		return piece.frames;
	for (size_t i = 0; i < piece.frames; i += LLFREE_HUGE_SIZE) {
		frame_id_t at = frame_plus(first, i);

		if (lower_whole_put(self, huge_of_frame(at), 1))
			freed += LLFREE_HUGE_SIZE;
		else
			freed += part_put(self, at, LLFREE_HUGE_SIZE);
	}
	return freed;
}

static size_t span_put(const lower_t *self, frame_id_t first, size_t frames)
{
	size_t freed = 0;

	for (piece_t piece; frames > 0; frames -= piece.frames) {
		piece = piece_of(first, frames);
		freed += piece_put(self, first, piece);
		first = frame_plus(first, piece.frames);
	}
	return freed;
}

static bool span_get(const lower_t *self, frame_id_t first, tree_search_t *s)
{
	size_t done = 0, frames = s->run.frames;

	for (piece_t piece; done < frames; done += piece.frames) {
		frame_id_t at = frame_plus(first, done);

		piece = piece_of(at, frames - done);
		if (!piece_get(self, at, piece, s)) {
			s->already_freed += done - span_put(self, first, done);
			return false;
		}
	}
	s->at = first;
	return true;
}

found_t lower_get_at(const lower_t *self, frame_id_t first, size_t frames)
{
	tree_search_t s = { .run = { frames, 0 } };

	if (span_get(self, first, &s))
		return found(s.at);
	return not_found(s.already_freed);
}

bool lower_is_allocated(const lower_t *self, frame_id_t first, size_t frames)
{
	for (size_t length; frames > 0; frames -= length) {
		size_t at = frame_in_huge(first);
		child_t child = atom_load_acquire(
			lower_child(self, huge_of_frame(first)));

		length = size_min(LLFREE_HUGE_SIZE - at, frames);
		if (child_is_busy(child) ||
		    !bitfield_is_set(lower_field(self, huge_of_frame(first)),
				     at, length))
			return false;
		first = frame_plus(first, length);
	}
	return true;
}

size_t lower_put_span(const lower_t *self, frame_id_t first, size_t frames)
{
	if (frame_in_huge(first) % ROW_FRAMES + frames > ROW_FRAMES &&
	    !lower_is_allocated(self, first, frames))
		return 0;
	return span_put(self, first, frames);
}

/* ------------------------------------------------------------------------ */
/* Search within a tree                                                      */

/* Return whether the alignment of a run permits it in this huge frame. */
static bool is_aligned_huge(huge_id_t huge, run_t run)
{
	return is_aligned(frame_of_huge(huge).value,
			  run.align > LLFREE_HUGE_ORDER ? run.align : 0);
}

static bool part_may_fit(const lower_t *self, huge_id_t huge, run_t run)
{
	return is_aligned_huge(huge, run) &&
	       child_count(atom_load_acquire(lower_child(self, huge))) >=
		       run.frames &&
	       bitfield_has_run(lower_field(self, huge), run);
}

/* Claim only when the bits show a run. */
static bool part_get(const lower_t *self, huge_id_t huge, tree_search_t *s)
{
	child_t *child = lower_child(self, huge);
	child_t was, next;
	size_t first, freed_here = 0;

	if (!part_may_fit(self, huge, s->run) ||
	    !atom_update(child, was, next, child_claim(&next, s->run.frames)))
		return false;
	if (bitfield_take_run(lower_field(self, huge), s->run, &first,
			      &freed_here)) {
		s->at = frame_plus(frame_of_huge(huge), first);
		return true;
	}
	lower_unclaim(child, s->run.frames - freed_here);
	s->already_freed += freed_here;
	return false;
}

/* Search partly used huge frames first, so that the free ones stay whole. */
static bool part_search(const lower_t *self, tree_search_t *s)
{
	tree_id_t tree = tree_of_frame(s->at);
	size_t base = huge_of_frame(frame_of_tree(tree)).value;
	size_t start = huge_of_frame(s->at).value - base;
	size_t count = lower_tree_huge(self, tree);

	for (int free = 0; free <= 1; free++) {
		for (size_t i = 0; i < count; i++) {
			huge_id_t huge = huge_id(base + (start + i) % count);
			child_t child = atom_load(lower_child(self, huge));

			if (child_is_free(child) == free &&
			    part_get(self, huge, s))
				return true;
		}
	}
	return false;
}

/*
 * Return how many frames of a span, from its start, are in free huge frames.
 * Of the last huge frame, only the part within the span must be free.
 */
static size_t whole_fitting(const lower_t *self, frame_id_t first,
			    size_t frames)
{
	for (size_t fit = 0; fit < frames; fit += LLFREE_HUGE_SIZE) {
		size_t need = size_min(frames - fit, LLFREE_HUGE_SIZE);
		huge_id_t huge = huge_of_frame(frame_plus(first, fit));

		if (child_count(atom_load_acquire(lower_child(self, huge))) <
			    need ||
		    !bitfield_is_clear(lower_field(self, huge), 0, need))
			return fit;
	}
	return frames;
}

static bool whole_may_fit(const lower_t *self, frame_id_t first, size_t frames)
{
	return whole_fitting(self, first, frames) == frames;
}

bool lower_find_whole(const lower_t *self, frame_id_t *first, run_t run)
{
	uint64_t at = align_up(first->value, run.align);

	while (at + run.frames <= self->frames) {
		size_t fit = whole_fitting(self, frame_id(at), run.frames);

		*first = frame_id(at);
		if (fit == run.frames)
			return true;
		at = align_up(at + fit + LLFREE_HUGE_SIZE, run.align);
	}
	return false;
}

/* Return in how many places of a tree a run of whole huge frames can begin. */
static size_t whole_places(const lower_t *self, tree_id_t tree, run_t run)
{
	size_t managed = lower_tree_frames(self, tree);

	if (managed < run.frames)
		return 0;
	return ((managed - run.frames) >> run.align) + 1;
}

static bool whole_search(const lower_t *self, tree_search_t *s)
{
	run_t run = s->run;
	tree_id_t tree = tree_of_frame(s->at);
	frame_id_t base = frame_of_tree(tree);
	size_t places = whole_places(self, tree, run);
	size_t start = (s->at.value - base.value) >> run.align;

	for (size_t i = 0; i < places; i++) {
		size_t place = (start + i) % places;
		frame_id_t at = frame_plus(base, place << run.align);

		if (whole_may_fit(self, at, run.frames) &&
		    span_get(self, at, s))
			return true;
	}
	return false;
}

/* Return a number that changes when a child of the tree does. */
static uint64_t children_stamp(const lower_t *self, tree_id_t tree)
{
	const child_t *child =
		lower_child(self, huge_of_frame(frame_of_tree(tree)));
	uint64_t stamp = 0;

	for (size_t i = 0; i < LLFREE_TREE_CHILDREN; i++)
		stamp = stamp * UINT64_C(0x9e3779b97f4a7c15) +
			atom_load_acquire(&child[i]) + 1;
	return stamp;
}

/* Other searches claim frames for a moment and give them back. Such frames may
 * have been hidden from this search, so it repeats when a child has changed. */
found_t lower_search(const lower_t *self, frame_id_t from, run_t run)
{
	tree_id_t tree = tree_of_frame(from);
	tree_search_t s = { .run = run, .at = from };
	uint64_t stamp;

	for (unsigned i = 0; i < TREE_PASSES; i++) {
		stamp = children_stamp(self, tree);
		if (run.frames < LLFREE_HUGE_SIZE ? part_search(self, &s)
						  : whole_search(self, &s))
			return found(s.at);
		if (stamp == children_stamp(self, tree))
			break;
	}
	return not_found(s.already_freed);
}

bool lower_may_fit(const lower_t *self, tree_id_t tree, run_t run)
{
	frame_id_t base = frame_of_tree(tree);

	if (run.frames >= LLFREE_HUGE_SIZE) {
		size_t places = whole_places(self, tree, run);

		for (size_t i = 0; i < places; i++)
			if (whole_may_fit(self,
					  frame_plus(base, i << run.align),
					  run.frames))
				return true;
		return false;
	}
	for (size_t i = 0; i < lower_tree_huge(self, tree); i++)
		if (part_may_fit(self, huge_id(huge_of_frame(base).value + i),
				 run))
			return true;
	return false;
}

/* ------------------------------------------------------------------------ */
/* Figures and checks                                                        */

size_t lower_free_in_huge(const lower_t *self, huge_id_t huge)
{
	child_t child = atom_load(lower_child(self, huge));

	if (child & CHILD_WHOLE)
		return 0;
	return bitfield_free(lower_field(self, huge));
}

size_t lower_free_in_tree(const lower_t *self, tree_id_t tree)
{
	huge_id_t huge = huge_of_frame(frame_of_tree(tree));
	size_t free = 0;

	for (size_t i = 0; i < lower_tree_huge(self, tree); i++)
		free += lower_free_in_huge(self, huge_id(huge.value + i));
	return free;
}

size_t lower_count_in_tree(const lower_t *self, tree_id_t tree)
{
	huge_id_t huge = huge_of_frame(frame_of_tree(tree));
	size_t free = 0;

	for (size_t i = 0; i < lower_tree_huge(self, tree); i++)
		free += child_count(
			atom_load(lower_child(self, huge_id(huge.value + i))));
	return free;
}

bool lower_is_free(const lower_t *self, frame_id_t frame)
{
	huge_id_t huge = huge_of_frame(frame);

	return (atom_load(lower_child(self, huge)) & CHILD_WHOLE) == 0 &&
	       !bitfield_is_set(lower_field(self, huge), frame_in_huge(frame),
				1);
}

static const char *child_broken(const lower_t *self, huge_id_t huge)
{
	child_t child = atom_load(lower_child(self, huge));
	size_t managed = size_min(LLFREE_HUGE_SIZE,
				  self->frames - frame_of_huge(huge).value);
	size_t zero = bitfield_free(lower_field(self, huge));

	if (child_is_busy(child))
		return "a huge frame is busy at rest";
	if (child_is_whole(child) && zero != 0)
		return "a bit of a whole huge frame is clear";
	if (child_count(child) != (child_is_whole(child) ? 0 : zero))
		return "a child's count is not the number of its clear bits";
	if (managed < LLFREE_HUGE_SIZE &&
	    !bitfield_is_set(lower_field(self, huge), managed,
			     LLFREE_HUGE_SIZE - managed))
		return "a frame past the end is free";
	return NULL;
}

const char *lower_broken(const lower_t *self)
{
	size_t huge = div_ceil(self->frames, LLFREE_HUGE_SIZE);
	size_t trees = div_ceil(self->frames, LLFREE_TREE_SIZE);
	const char *broken = NULL;

	for (size_t i = 0; i < huge && !broken; i++)
		broken = child_broken(self, huge_id(i));
	for (size_t i = huge; i < trees * LLFREE_TREE_CHILDREN && !broken; i++)
		if (atom_load(lower_child(self, huge_id(i))) != CHILD_WHOLE)
			broken = "a huge frame past the end is not allocated";
	return broken;
}

/* ------------------------------------------------------------------------ */
/* Start                                                                     */

size_t lower_size(size_t frames)
{
	size_t fields = div_ceil(frames, LLFREE_HUGE_SIZE);
	size_t trees = div_ceil(frames, LLFREE_TREE_SIZE);

	return fields * sizeof(bitfield_t) +
	       trees * CHILD_STRIDE * sizeof(child_t);
}

/* Set all frames free or allocated. Those past the end become allocated. */
static void huge_init(const lower_t *self, huge_id_t huge, lower_init_t init)
{
	size_t managed = size_min(LLFREE_HUGE_SIZE,
				  self->frames - frame_of_huge(huge).value);
	bitfield_t *field = lower_field(self, huge);
	child_t child = child_with_count(managed);

	if (init == LOWER_ALLOC) {
		bitfield_fill(field, ROW_FULL);
		child = managed == LLFREE_HUGE_SIZE ? CHILD_WHOLE : 0;
	} else if (managed < LLFREE_HUGE_SIZE) {
		bitfield_fill(field, ROW_FULL);
		(void)bitfield_clear(field, 0, managed);
	} else if (init == LOWER_FREE) {
		bitfield_fill(field, 0);
	}
	atom_store(lower_child(self, huge), child);
}

/*
 * Set the count from the bits. A huge frame with the flag `whole` was allocated
 * as one, or a call was just allocating or freeing it as one: it becomes
 * allocated. Recovery may be interrupted and repeated; the result is the same.
 */
static void huge_recover(const lower_t *self, huge_id_t huge)
{
	child_t *child = lower_child(self, huge);
	bitfield_t *field = lower_field(self, huge);

	if (!(atom_load(child) & CHILD_WHOLE)) {
		atom_store(child, child_with_count(bitfield_free(field)));
		return;
	}
	if (bitfield_free(field) != 0)
		bitfield_fill(field, ROW_FULL);
	atom_store(child, CHILD_WHOLE);
}

void lower_init(lower_t *self, size_t frames, uint8_t *buffer,
		lower_init_t init)
{
	size_t huge = div_ceil(frames, LLFREE_HUGE_SIZE);
	size_t trees = div_ceil(frames, LLFREE_TREE_SIZE);

	self->fields = (bitfield_t *)buffer;
	self->children = (child_t *)(self->fields + huge);
	self->frames = frames;
	if (init == LOWER_KEEP)
		return;
	for (size_t i = 0; i < huge; i++) {
		if (init == LOWER_RECOVER)
			huge_recover(self, huge_id(i));
		else
			huge_init(self, huge_id(i), init);
	}
	for (size_t i = huge; i < trees * LLFREE_TREE_CHILDREN; i++)
		atom_store(lower_child(self, huge_id(i)), CHILD_WHOLE);
	llfree_persist(buffer, lower_size(frames));
}
