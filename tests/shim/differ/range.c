/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* Calls that take a range of pages and leave it mapped. */
#include "tests/shim/differ/ops.h"

#include "tests/shim/differ/replay.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Some C libraries do not have them. */
#define ADVICE_COLLAPSE 25
#define ADVICE_GUARD_INSTALL 102
#define ADVICE_GUARD_REMOVE 103
#define GROWS (PROT_GROWSDOWN | PROT_GROWSUP)

struct range range_of(struct piece *piece, size_t from, size_t count)
{
	return (struct range){ .place = place_at(piece->place, from * PAGE),
			       .len = count * PAGE,
			       .piece = piece,
			       .from = from,
			       .count = count };
}

struct range range_in(struct world *w, struct piece *piece)
{
	size_t from, count;

	if (chance(w, 30))
		return range_of(piece, 0, piece->pages);
	from = draw_below(w, piece->pages);
	count = 1 + draw_below(w, piece->pages - from);
	return range_of(piece, from, count);
}

struct range range_choose(struct world *w)
{
	struct piece *piece = piece_choose(w, 1);

	return piece ? range_in(w, piece) : (struct range){ .piece = NULL };
}

void range_fill(struct world *w, const struct range *range)
{
	unsigned value = (unsigned)draw_below(w, 251);

	say(w, "fill(%s, %#zx, %u);", name(range->place), range->len, value);
	fill(range->place.at, range->len, value);
	came(w, "filled");
}

void range_look(struct world *w, const struct range *range)
{
	size_t n;

	if (w->trace_cap - w->trace_len < 16384)
		return;
	say(w, "look(%s, %#zx);\t", name(range->place), range->len);
	n = look_text(w->trace + w->trace_len, 8192, range->place.at,
		      range->len);
	w->trace_len += n;
	say(w, "\n");
	world_flush(w);
}

/* ------------------------------------------------------------------------ */

static void divide(struct world *w, const struct range *range)
{
	if (range->piece)
		piece_divide(w, range->piece, range->from, range->count);
}

void range_protect(struct world *w, const struct range *range, int prot,
		   bool with_key)
{
	long result;

	if (with_key)
		say(w, "show(pkey_mprotect(%s, %#zx, %#x, -1));",
		    name(range->place), range->len, (unsigned)prot);
	else
		say(w, "show(mprotect(%s, %#zx, %#x));", name(range->place),
		    range->len, (unsigned)prot);
	errno = UNTOUCHED;
	result = with_key ? pkey_mprotect(range->place.at, range->len, prot, -1)
			  : mprotect(range->place.at, range->len, prot);
	if (result && range->hole_count && prot & GROWS)
		came_legit(w, LEGIT_GROWS);
	else
		came_number(w, result);
	divide(w, range);
}

static void call_protect(struct world *w, const struct range *range)
{
	static const int prots[] = {
		3, 3, 3, 3,	1,	    1,		0,    0,	 5,
		7, 2, 4, 8 | 3, 0x01000003, 0x02000003, 0x10, 0x40000003
	};
	int prot = prots[draw_below(w, LENGTH(prots))];

	range_protect(w, range, prot, chance(w, 10));
}

static void mark_child(const struct range *range, int advice, bool good)
{
	if (!range->piece || (advice == MADV_DOFORK && !good) ||
	    (advice != MADV_DOFORK && advice != MADV_DONTFORK))
		return;
	for (size_t i = range->from; i < range->from + range->count; i++)
		range->piece->not_in_child[i] = advice == MADV_DONTFORK;
}

/* Not what is in the hole. */
static void fill_around(struct world *w, const struct range *range)
{
	size_t end = range->hole + range->hole_count;
	struct range part = *range;

	if (range->hole_count) {
		part = range_of(range->piece, range->from,
				range->hole - range->from);
		range_fill(w, &part);
		part = range_of(range->piece, end,
				range->from + range->count - end);
	}
	range_fill(w, &part);
}

/* All but those that make real memory fail (100 and 101). */
static int draw_advice(struct world *w)
{
	static const int odd[] = {
		-1, 99, 104, 1000, ADVICE_GUARD_INSTALL, ADVICE_GUARD_REMOVE
	};

	if (chance(w, 30))
		return MADV_DONTNEED;
	if (chance(w, 10))
		return odd[draw_below(w, LENGTH(odd))];
	return (int)draw_below(w, 28);
}

void range_advise(struct world *w, const struct range *range, int advice)
{
	long result;

	say(w, "show(madvise(%s, %#zx, %d));", name(range->place), range->len,
	    advice);
	errno = UNTOUCHED;
	result = madvise(range->place.at, range->len, advice);
	if (advice == ADVICE_COLLAPSE)
		came_legit(w, LEGIT_COLLAPSE);
	else
		came_number(w, result);
	mark_child(range, advice, result == 0);
	if (advice != MADV_DONTNEED && advice != MADV_FREE)
		divide(w, range);
	if (advice == MADV_FREE && range->piece)
		fill_around(w, range);
}

static void call_advise(struct world *w, const struct range *range)
{
	range_advise(w, range, draw_advice(w));
}

static void call_posix_advise(struct world *w, const struct range *range)
{
	int advice = (int)draw_below(w, 7);

	say(w, "show(posix_madvise(%s, %#zx, %d));", name(range->place),
	    range->len, advice);
	errno = UNTOUCHED;
	came_number(w, posix_madvise(range->place.at, range->len, advice));
	divide(w, range);
}

static void call_lock(struct world *w, const struct range *range)
{
	unsigned flags = (unsigned)draw_below(w, 4);

	/* As much as a user may lock. */
	if (range->piece && range->count > 16)
		return;
	if (flags) {
		say(w, "show(mlock2(%s, %#zx, %u));", name(range->place),
		    range->len, flags);
		errno = UNTOUCHED;
		came_number(w, mlock2(range->place.at, range->len, flags));
	} else {
		say(w, "show(mlock(%s, %#zx));", name(range->place),
		    range->len);
		errno = UNTOUCHED;
		came_number(w, mlock(range->place.at, range->len));
	}
	divide(w, range);
}

static void call_unlock(struct world *w, const struct range *range)
{
	say(w, "show(munlock(%s, %#zx));", name(range->place), range->len);
	errno = UNTOUCHED;
	came_number(w, munlock(range->place.at, range->len));
	divide(w, range);
}

static void call_sync(struct world *w, const struct range *range)
{
	int flags = (int)draw_below(w, 9);

	say(w, "show(msync(%s, %#zx, %d));", name(range->place), range->len,
	    flags);
	errno = UNTOUCHED;
	came_number(w, msync(range->place.at, range->len, flags));
}

static void call_core(struct world *w, const struct range *range)
{
	bool bad = chance(w, 10);

	say(w, "show(mincore(%s, %#zx, %s));", name(range->place), range->len,
	    bad ? "(void *)8" : "residency");
	errno = UNTOUCHED;
	came_number(w, mincore(range->place.at, range->len,
			       bad ? (void *)8 : residency));
}

/* The kernel itself reads from, or writes to, the pages. */
static void call_transfer(struct world *w, const struct range *range)
{
	size_t len = range->len < FILE_PAGES * PAGE ? range->len
						    : FILE_PAGES * PAGE;
	bool out = chance(w, 50) && !w->beside_others;

	if (!range->piece || range->hole_count)
		return;
	say(w, "show(%s(file, %s, %#zx, 0));", out ? "pwrite" : "pread",
	    name(range->place), len);
	errno = UNTOUCHED;
	came_number(w, out ? pwrite(file, range->place.at, len, 0)
			   : pread(file, range->place.at, len, 0));
}

void range_call(struct world *w, const struct range *range)
{
	static void (*const calls[])(struct world *, const struct range *) = {
		call_protect,	   call_protect, call_advise, call_advise,
		call_advise,	   call_advise,	 call_core,   call_lock,
		call_posix_advise, call_sync,	 call_unlock, call_transfer,
		range_rare,
	};

	calls[draw_below(w, LENGTH(calls))](w, range);
}

void op_range_odd(struct world *w)
{
	const size_t lens[] = { 0, 0, SIZE_MAX, SIZE_MAX - PAGE + 1,
				SIZE_MAX - 2 * PAGE + 1 };
	struct range range = range_choose(w), odd = range;

	if (!range.piece)
		return;
	odd.piece = NULL;
	if (chance(w, 30) && range.count > 1 && range.count <= 16) {
		odd.place = place_at(range.place, 1 + draw_below(w, PAGE - 1));
		odd.len = range.len - PAGE;
	} else if (chance(w, 30)) {
		odd.place = place_number(0x10000);
		odd.len = PAGE;
	} else {
		odd.len = lens[draw_below(w, LENGTH(lens))];
	}
	range_call(w, &odd);
	/* Some of them only round. */
	divide(w, &range);
}
