/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* What differ does with a world, one random operation at a time. */
#pragma once

#include "tests/shim/differ/world.h"

/* Any one. */
void operate(struct world *w);
/* What is in all of the memory. */
void look_at_all(struct world *w);

/* differ/range.c: calls on a range of pages, with random arguments of their
 * own; `piece` is NULL for places that belong to none. */
struct range {
	struct place place;
	size_t len;
	struct piece *piece;
	size_t from, count;
	size_t hole, hole_count; /* pages that are not there now, of `piece` */
};

/* A part of a piece; an empty one when there is no piece. */
struct range range_choose(struct world *w);
/* A part of this one. */
struct range range_in(struct world *w, struct piece *piece);
struct range range_of(struct piece *piece, size_t from, size_t count);
/* Calls with arguments that are refused, mostly. */
void op_range_odd(struct world *w);
void range_fill(struct world *w, const struct range *range);
void range_look(struct world *w, const struct range *range);
void range_protect(struct world *w, const struct range *range, int prot,
		   bool with_key);
void range_advise(struct world *w, const struct range *range, int advice);
/* One call; its effect on the pages of `piece` is known afterwards. */
void range_call(struct world *w, const struct range *range);

/* differ/map.c: mapping, unmapping, moving. */
/* Private and anonymous, anywhere; NULL when it was refused or too large. */
struct piece *map_new(struct world *w, size_t len, int prot, int flags);
/* The same over a range. */
void range_map_over(struct world *w, const struct range *range, int prot,
		    int flags);
void range_unmap(struct world *w, const struct range *range);
void op_map(struct world *w);
void op_map_odd(struct world *w);
void op_map_over(struct world *w);
void op_map_over_odd(struct world *w);
void op_unmap(struct world *w);
void op_unmap_odd(struct world *w);
void op_resize(struct world *w);
void op_move(struct world *w);
void op_move_many(struct world *w);
void op_move_odd(struct world *w);
void op_twin(struct world *w);
void op_hole(struct world *w);
/* Fills a hole again. */
void range_plug(struct world *w, const struct range *hole);

/* differ/real.c: what programs are seen to do often. */
void op_trim(struct world *w);
void op_reserve(struct world *w);
void op_stack(struct world *w);

/* differ/rare.c: what few programs do. */
void op_attach(struct world *w);
void op_splice(struct world *w);
/* One call, as range_call. */
void range_rare(struct world *w, const struct range *range);
