/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* What programs are seen to do often, as sequences. */
#include "tests/shim/differ/ops.h"

#include "tests/shim/differ/replay.h"

#define RW (PROT_READ | PROT_WRITE)

static struct range all_of(struct piece *piece)
{
	return range_of(piece, 0, piece->pages);
}

/* More than is needed is mapped, and what is not aligned is unmapped: ruby's
 * heap, and jemalloc's. */
static void trim_one(struct world *w, size_t pages)
{
	size_t front = draw_below(w, pages + 1);
	struct piece *piece = map_new(w, 2 * pages * PAGE, RW, 0);
	struct range range;

	if (!piece)
		return;
	if (front < pages) {
		range = range_of(piece, pages + front, pages - front);
		range_unmap(w, &range);
	}
	if (front) {
		range = range_of(piece, 0, front);
		range_unmap(w, &range);
	}
	range = all_of(piece);
	range_look(w, &range);
	range_fill(w, &range);
}

void op_trim(struct world *w)
{
	size_t pages = (size_t)1 << draw_below(w, chance(w, 90) ? 6 : 10);

	for (size_t n = 1 + draw_below(w, 4); n > 0; n--)
		trim_one(w, pages);
}

/* A part of what is only reserved is made usable, or reserved only again. */
static void commit(struct world *w, const struct range *part)
{
	if (chance(w, 50))
		range_protect(w, part, RW, false);
	else
		range_map_over(w, part, RW, chance(w, 50) ? MAP_NORESERVE : 0);
	range_look(w, part);
	range_fill(w, part);
}

static void uncommit(struct world *w, const struct range *part)
{
	if (chance(w, 50)) {
		range_map_over(w, part, PROT_NONE, MAP_NORESERVE);
	} else {
		range_advise(w, part, MADV_DONTNEED);
		range_protect(w, part, PROT_NONE, false);
	}
	range_look(w, part);
}

/* V8, the JVM, and the arenas of malloc. */
void op_reserve(struct world *w)
{
	size_t pages = 1 + draw_below(w, chance(w, 80) ? 100 : 1100);
	struct piece *piece = map_new(w, pages * PAGE, PROT_NONE,
				      chance(w, 70) ? MAP_NORESERVE : 0);

	if (!piece)
		return;
	for (size_t n = 1 + draw_below(w, 6); n > 0; n--) {
		struct range part = range_in(w, piece);

		if (chance(w, 70))
			commit(w, &part);
		else
			uncommit(w, &part);
	}
}

/* With a guard at its end, and what was used of it given back when the thread
 * has ended; or the part above the guard is all that was accessible. */
void op_stack(struct world *w)
{
	size_t pages = 2 + draw_below(w, 64);
	bool closed = chance(w, 50);
	struct piece *piece = map_new(w, pages * PAGE, closed ? PROT_NONE : RW,
				      MAP_STACK | MAP_NORESERVE);
	struct range guard, stack, used;

	if (!piece)
		return;
	guard = range_of(piece, 0, 1);
	stack = range_of(piece, 1, pages - 1);
	range_protect(w, closed ? &stack : &guard, closed ? RW : PROT_NONE,
		      false);
	used = range_of(piece, pages / 2, pages - pages / 2);
	range_fill(w, &used);
	range_advise(w, &stack, MADV_DONTNEED);
	used = all_of(piece);
	range_look(w, &used);
	if (chance(w, 60))
		range_unmap(w, &used);
}
