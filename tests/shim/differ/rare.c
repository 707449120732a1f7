/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* Calls that few programs make. */
#include "tests/shim/differ/ops.h"

#include "tests/shim/differ/replay.h"

#include <sys/shm.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define ADVICE_COLLAPSE 25

/* ------------------------------------------------------------------------ */
/* Memory of System V                                                        */

static bool attach_call(struct world *w, const struct range *range, int flags)
{
	struct place place = place_new(w, NULL);
	char *at;

	say(w, "show(r[%d] = attach(%s, %#zx, %#x));", place.variable,
	    name(range->place), range->len, (unsigned)flags);
	errno = UNTOUCHED;
	at = attach(range->place.at, range->len, flags);
	return came_pointer(w, at);
}

static void detach_call(struct world *w, struct place place)
{
	say(w, "show(shmdt(%s));", name(place));
	errno = UNTOUCHED;
	came_number(w, shmdt(place.at));
}

static void use(struct world *w, const struct range *range)
{
	for (size_t n = draw_below(w, 4); n > 0; n--) {
		struct range part = range_in(w, range->piece);

		range_call(w, &part);
	}
	range_look(w, range);
	range_fill(w, range);
}

/* In the place of other memory, or where some was unmapped. What is detached
 * leaves a hole. */
void op_attach(struct world *w)
{
	struct range range = range_choose(w);
	bool hole = chance(w, 40);

	if (!range.piece)
		return;
	if (chance(w, 20))
		attach_call(w, &range, 0);
	if (hole) {
		say(w, "show(munmap(%s, %#zx));", name(range.place), range.len);
		errno = UNTOUCHED;
		came_number(w, munmap(range.place.at, range.len));
	}
	if (attach_call(w, &range, hole ? 0 : SHM_REMAP)) {
		piece_replace(w, range.piece, range.from, range.count);
		range.piece->plain = false;
		use(w, &range);
		detach_call(w, range.place);
		range_plug(w, &range);
	} else if (hole)
		range_plug(w, &range);
}

/* ------------------------------------------------------------------------ */
/* Pages in a pipe                                                           */

/* Which leave the memory at once: what is written to a page that is in a pipe
 * as well can be seen there, or not. Readable ones: of others the kernel takes
 * those that happen to be there. */
void op_splice(struct world *w)
{
	struct range range = range_choose(w);
	bool stays = chance(w, 30);
	struct piece *piece;

	if (!range.piece || range.count > 12 || !range.piece->plain ||
	    piece_is_altered(range.piece, range.from, range.count))
		return;
	say(w, "show(splice_in(%s, %#zx));", name(range.place), range.len);
	errno = UNTOUCHED;
	came_number(w, splice_in(range.place.at, range.len));
	if (stays)
		range_map_over(w, &range, PROT_READ | PROT_WRITE, 0);
	else
		range_unmap(w, &range);
	for (size_t n = 1 + draw_below(w, 3); n > 0; n--) {
		piece = map_new(w, (1 + draw_below(w, 20)) * PAGE,
				PROT_READ | PROT_WRITE, 0);
		if (piece)
			range = range_of(piece, 0, piece->pages);
		if (piece)
			range_fill(w, &range);
	}
	say(w, "show(splice_out());");
	errno = UNTOUCHED;
	came_number(w, splice_out());
	range = (struct range){ .place = place_number((uintptr_t)drained),
				.len = DRAINED };
	say(w, "look(drained, DRAINED);\t");
	w->trace_len +=
		look_text(w->trace + w->trace_len, 8192, drained, DRAINED);
	say(w, "\n");
	world_flush(w);
}

/* ------------------------------------------------------------------------ */
/* On a range                                                                */

static void divide(struct world *w, const struct range *range)
{
	if (range->piece)
		piece_divide(w, range->piece, range->from, range->count);
}

static void call_bind(struct world *w, const struct range *range)
{
	static const int modes[] = { 0, 1, 2, 3, 4, 5, 2, 99 };
	int mode = modes[draw_below(w, LENGTH(modes))];
	unsigned long nodes = draw_below(w, 2);
	/* Not MPOL_MF_STRICT, which looks at what is resident. */
	unsigned flags = chance(w, 30) ? 2 : 0;

	say(w, "show(bind_to(%s, %#zx, %d, %lu, %u));", name(range->place),
	    range->len, mode, nodes, flags);
	errno = UNTOUCHED;
	came_number(w,
		    bind_to(range->place.at, range->len, mode, nodes, flags));
	divide(w, range);
}

static void call_key(struct world *w, const struct range *range)
{
	static const int keys[] = { 0, 0, 1, 15, -2, 99 };
	int key = keys[draw_below(w, LENGTH(keys))];
	int prot = (int)draw_below(w, 4);

	say(w, "show(pkey_mprotect(%s, %#zx, %d, %d));", name(range->place),
	    range->len, prot, key);
	errno = UNTOUCHED;
	came_number(w, pkey_mprotect(range->place.at, range->len, prot, key));
	divide(w, range);
}

/* Not across a hole: there the part before it counts as done. */
static void call_advise_self(struct world *w, const struct range *range)
{
	static const int advices[] = { MADV_NORMAL,	MADV_DONTNEED,
				       MADV_DONTNEED,	MADV_WILLNEED,
				       MADV_DOFORK,	MADV_NOHUGEPAGE,
				       MADV_HUGEPAGE,	MADV_DONTDUMP,
				       MADV_COLD,	MADV_PAGEOUT,
				       MADV_WIPEONFORK, MADV_POPULATE_WRITE };
	int advice = advices[draw_below(w, LENGTH(advices))];
	long result;

	if (!range->piece || range->hole_count)
		return;
	say(w, "show(advise_self(%s, %#zx, %d));", name(range->place),
	    range->len, advice);
	result = advise_self(range->place.at, range->len, advice);
	came_number(w, result);
	divide(w, range);
}

/* Another part of the file, for what is shared. */
static void call_remap(struct world *w, const struct range *range)
{
	size_t page = draw_below(w, 8);
	int prot = chance(w, 90) ? 0 : PROT_READ, result;

	say(w, "show(remap_file_pages(%s, %#zx, %d, %zu, 0));",
	    name(range->place), range->len, prot, page);
	errno = UNTOUCHED;
	result = remap_file_pages(range->place.at, range->len, prot, page, 0);
	came_number(w, result);
	if (result)
		divide(w, range);
	else if (range->piece)
		piece_replace(w, range->piece, range->from, range->count);
}

void range_rare(struct world *w, const struct range *range)
{
	static void (*const calls[])(struct world *, const struct range *) = {
		call_bind, call_key, call_advise_self, call_remap
	};

	calls[draw_below(w, LENGTH(calls))](w, range);
}
