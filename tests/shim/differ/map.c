/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* Mapping, unmapping and moving. */
#include "tests/shim/differ/ops.h"

#include "tests/shim/differ/replay.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define RW (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)
#define DONTUNMAP 4
#define NOREPLACE 0x100000
#define HUGE ((size_t)2 << 20)

struct request {
	struct place at; /* variable -1 and offset 0: anywhere */
	size_t len;
	int prot, flags, fd;
	const char *fd_name;
	off_t offset;
};

static size_t pages_of(size_t len)
{
	return (len + PAGE - 1) / PAGE;
}

/* Mostly small, sometimes with a whole huge frame in it. */
static size_t draw_pages(struct world *w)
{
	if (chance(w, 8))
		return 500 + draw_below(w, 600);
	if (chance(w, 10))
		return (size_t)1 << draw_below(w, 10);
	return 1 + draw_below(w, chance(w, 50) ? 12 : 100);
}

/* Of so many pages, often not to the byte. */
static size_t draw_len(struct world *w, size_t pages)
{
	return pages * PAGE - (chance(w, 15) ? draw_below(w, PAGE) : 0);
}

static void choose_fd(struct world *w, struct request *q)
{
	const struct {
		int fd;
		const char *name;
	} fds[] = { { -1, "-1" },	  { file, "file" },
		    { file, "file" },	  { read_only, "read_only" },
		    { folder, "folder" }, { 999, "999" } };
	size_t i = draw_below(w, LENGTH(fds));

	q->fd = fds[i].fd;
	q->fd_name = fds[i].name;
}

/* Whether LLFREE_MAX may be the reason why it fails. */
static bool is_limited(const struct request *q)
{
	const int others = MAP_HUGETLB | MAP_LOCKED | MAP_FIXED;

	return q->prot == RW && (q->flags & PRIVATE) == PRIVATE &&
	       !(q->flags & others);
}

/* Leads to a mapping; false when it failed. Threads do not share the file, and
 * what is mapped privately is not written meanwhile (LEGIT_UNSPECIFIED). */
static bool map_call(struct world *w, struct request *q, void **at)
{
	struct place place = place_new(w, NULL);

	if (w->beside_others && q->fd == file)
		q->flags = (q->flags & ~MAP_TYPE) | MAP_PRIVATE;
	if (q->fd == file && (q->flags & MAP_TYPE) == MAP_PRIVATE) {
		q->fd = constant;
		q->fd_name = "constant";
	}
	say(w, "show(r[%d] = mmap(%s, %#zx, %#x, %#x, %s, %#lx));",
	    place.variable, name(q->at), q->len, (unsigned)q->prot,
	    (unsigned)q->flags, q->fd_name ? q->fd_name : "-1",
	    (unsigned long)q->offset);
	errno = UNTOUCHED;
	*at = world_was_refused(w) ? MAP_FAILED
				   : mmap(q->at.at, q->len, q->prot, q->flags,
					  q->fd, q->offset);
	return is_limited(q) ? came_memory(w, *at, q->len / PAGE + 1)
			     : came_pointer(w, *at);
}

/* What the last call led to. */
static struct place last_place(struct world *w, void *at)
{
	return (struct place){ at, w->next_variable - 1, 0 };
}

static bool unmap_call(struct world *w, struct place place, size_t len)
{
	int result;

	say(w, "show(munmap(%s, %#zx));", name(place), len);
	errno = UNTOUCHED;
	result = munmap(place.at, len);
	came_number(w, result);
	return result == 0;
}

/* What was mapped anywhere becomes a piece, if it is not too large. */
static struct piece *keep(struct world *w, struct place place, size_t len)
{
	struct piece *piece;

	if (pages_of(len) > MOST) {
		unmap_call(w, place, len);
		return NULL;
	}
	piece = piece_new(w);
	piece_set(w, piece, place, pages_of(len));
	piece->plain = false;
	return piece;
}

struct piece *map_new(struct world *w, size_t len, int prot, int flags)
{
	struct request q = {
		place_number(0), len, prot, PRIVATE | flags, -1, NULL, 0
	};
	struct piece *piece;
	void *at;

	if (!map_call(w, &q, &at))
		return NULL;
	piece = keep(w, last_place(w, at), len);
	if (piece)
		piece->plain = prot == RW;
	return piece;
}

void op_map(struct world *w)
{
	static const int extra[] = { 0,		0,	     0, MAP_NORESERVE,
				     MAP_STACK, MAP_POPULATE };
	size_t len = draw_len(w, draw_pages(w));
	struct piece *piece =
		map_new(w, len, RW, extra[draw_below(w, LENGTH(extra))]);
	struct range all;

	if (!piece)
		return;
	all = range_of(piece, 0, piece->pages);
	if (chance(w, 50))
		range_look(w, &all);
	if (chance(w, 70))
		range_fill(w, &all);
}

/* ------------------------------------------------------------------------ */
/* With any flags                                                            */

static int draw_flags(struct world *w)
{
	static const int rare[] = { MAP_LOCKED,
				    MAP_GROWSDOWN,
				    MAP_HUGETLB,
				    MAP_NONBLOCK,
				    MAP_POPULATE,
				    MAP_NORESERVE,
				    MAP_STACK,
				    MAP_DENYWRITE,
				    MAP_EXECUTABLE,
				    0x80000 /* MAP_SYNC */,
				    0x4000000,
				    0x200000,
				    0x40 /* MAP_32BIT on x86 */ };
	int flags = chance(w, 70) ? MAP_PRIVATE : (int)draw_below(w, 16);

	if (chance(w, 75))
		flags |= MAP_ANONYMOUS;
	while (chance(w, 40))
		flags |= rare[draw_below(w, LENGTH(rare))];
	return flags;
}

static size_t draw_odd_len(struct world *w)
{
	const size_t odd[] = { 0,
			       1,
			       PAGE - 1,
			       SIZE_MAX,
			       SIZE_MAX - PAGE + 1,
			       SIZE_MAX - PAGE + 2,
			       (size_t)1 << 63,
			       (size_t)1 << 62,
			       ((size_t)1 << 47) + PAGE };

	if (chance(w, 60))
		return draw_len(w, 1 + draw_below(w, 40));
	return odd[draw_below(w, LENGTH(odd))];
}

static off_t draw_offset(struct world *w)
{
	const off_t odd[] = {
		1,  (off_t)PAGE, (off_t)(3 * PAGE), (off_t)(PAGE / 2),
		-1, -(off_t)PAGE
	};

	return chance(w, 70) ? 0 : odd[draw_below(w, LENGTH(odd))];
}

void op_map_odd(struct world *w)
{
	struct request q = { place_number(0),
			     draw_odd_len(w),
			     chance(w, 60) ? RW : (int)draw_below(w, 8),
			     draw_flags(w),
			     -1,
			     "-1",
			     0 };
	void *at;

	if (chance(w, 5))
		q.prot |= 0x10;
	choose_fd(w, &q);
	q.offset = draw_offset(w);
	/* No more than any user may lock. */
	if (q.len > 16 * PAGE && q.len < PTRDIFF_MAX)
		q.flags &= ~MAP_LOCKED;
	if (!map_call(w, &q, &at))
		return;
	/* Pages of another size, or one that grows by itself when what lies
	 * below it is touched, would be in the way of everything else. */
	if (q.flags & MAP_HUGETLB)
		unmap_call(w, last_place(w, at), (q.len | (HUGE - 1)) + 1);
	else if (q.flags & MAP_GROWSDOWN)
		unmap_call(w, last_place(w, at), q.len);
	else
		keep(w, last_place(w, at), q.len);
}

/* ------------------------------------------------------------------------ */
/* At fixed addresses                                                        */

static void over_part(struct world *w, const struct range *range,
		      struct request *q)
{
	void *at;

	if (map_call(w, q, &at) && q->flags & MAP_FIXED) {
		piece_replace(w, range->piece, range->from, range->count);
		range->piece->plain = false;
		if (at != range->place.at)
			came(w, "not where it was asked for");
	}
}

void range_map_over(struct world *w, const struct range *range, int prot,
		    int flags)
{
	struct request q = {
		range->place, range->len, prot, PRIVATE | MAP_FIXED | flags,
		-1,	      NULL,	  0
	};

	over_part(w, range, &q);
}

/* Refused, and what is there stays; but the library takes it for altered. */
void op_map_over_odd(struct world *w)
{
	struct range range = range_choose(w);
	size_t len = range.len;
	const struct request all[] = {
		{ range.place, 0, RW, PRIVATE, -1, NULL, 0 },
		{ range.place, SIZE_MAX, RW, PRIVATE, -1, NULL, 0 },
		{ range.place, (size_t)1 << 62, RW, PRIVATE, -1, NULL, 0 },
		{ range.place, len, RW, PRIVATE, -1, NULL, 1 },
		{ range.place, len, RW, MAP_ANONYMOUS, -1, NULL, 0 },
		{ range.place, len, RW, MAP_PRIVATE, -1, NULL, 0 },
		{ range.place, len, RW, MAP_PRIVATE, 999, "999", 0 },
		{ range.place, len, RW, MAP_SHARED, folder, "folder", 0 },
		{ range.place, len, RW, MAP_SHARED, read_only, "read_only", 0 },
		{ range.place, len, RW, MAP_SHARED, file, "file",
		  -(off_t)PAGE },
		{ place_at(range.place, 1), len, RW, PRIVATE, -1, NULL, 0 },
	};
	struct request q = all[draw_below(w, LENGTH(all))];
	void *at;

	if (!range.piece)
		return;
	q.flags |= MAP_FIXED;
	if (map_call(w, &q, &at))
		_exit(95);
	range_look(w, &range);
	piece_divide(w, range.piece, range.from, range.count);
}

void op_map_over(struct world *w)
{
	static const int kinds[] = { PRIVATE,
				     PRIVATE,
				     PRIVATE,
				     MAP_SHARED | MAP_ANONYMOUS,
				     PRIVATE | MAP_NORESERVE,
				     PRIVATE | MAP_POPULATE,
				     MAP_PRIVATE,
				     MAP_SHARED };
	struct range range = range_choose(w);
	struct request q = { .prot = RW, .fd = -1 };

	if (!range.piece)
		return;
	q.at = range.place;
	q.len = range.len;
	q.flags = kinds[draw_below(w, LENGTH(kinds))];
	if (chance(w, 30))
		q.prot = (int)draw_below(w, 8);
	if (!(q.flags & MAP_ANONYMOUS)) {
		q.fd = file;
		q.fd_name = "file";
	}
	if (chance(w, 15)) {
		/* Refused: there is something. */
		q.flags |= NOREPLACE;
	} else {
		q.flags |= MAP_FIXED;
		if (chance(w, 10))
			q.at = place_at(q.at, 1 + draw_below(w, PAGE - 1));
	}
	over_part(w, &range, &q);
}

/* ------------------------------------------------------------------------ */
/* Unmapping                                                                 */

/* In the library's default mode nothing is known about what is gone. */
static void look_after_unmap(struct world *w, const struct range *range)
{
	const char *strict = getenv("LLFREE_STRICT");

	if (w->beside_others)
		return;
	if (strict && *strict == '1')
		range_look(w, range);
	else
		came_legit(w, LEGIT_AFTER_UNMAP);
}

void range_unmap(struct world *w, const struct range *range)
{
	if (unmap_call(w, range->place, range->len))
		piece_remove(w, range->piece, range->from, range->count);
}

void op_unmap(struct world *w)
{
	struct range range = range_choose(w);
	size_t len;

	if (!range.piece)
		return;
	len = draw_len(w, range.count);
	if (!unmap_call(w, range.place, len))
		return;
	if (chance(w, 20))
		look_after_unmap(w, &range);
	piece_remove(w, range.piece, range.from, range.count);
}

void op_unmap_odd(struct world *w)
{
	const size_t lens[] = { 0, SIZE_MAX, SIZE_MAX - PAGE + 1,
				(size_t)1 << 63, (size_t)1 << 62 };
	struct range range = range_choose(w);

	if (!range.piece)
		return;
	if (chance(w, 50))
		unmap_call(w,
			   place_at(range.place, 1 + draw_below(w, PAGE - 1)),
			   range.len);
	else if (chance(w, 20))
		unmap_call(w, place_number(0x10000), PAGE);
	else
		unmap_call(w, range.place, lens[draw_below(w, LENGTH(lens))]);
}

/* ------------------------------------------------------------------------ */
/* Moving                                                                    */

struct remap {
	struct place old;
	size_t old_len, new_len;
	int flags;
	struct place to; /* when the flags ask for it */
};

static char *remap_call(struct world *w, const struct remap *m)
{
	struct place place = place_new(w, NULL);

	say(w, "show(r[%d] = mremap(%s, %#zx, %#zx, %#x, %s));", place.variable,
	    name(m->old), m->old_len, m->new_len, (unsigned)m->flags,
	    name(m->to));
	errno = UNTOUCHED;
	if (world_was_refused(w))
		return MAP_FAILED;
	return mremap(m->old.at, m->old_len, m->new_len, m->flags, m->to.at);
}

/* How many more pages are asked for. */
static size_t more_pages(const struct remap *m)
{
	size_t old = m->old_len / PAGE, new = m->new_len / PAGE + 1;

	return new > old ? new - old : 0;
}

static bool came_remapped(struct world *w, const struct remap *m, void *at)
{
	return came_memory(w, at, more_pages(m));
}

static bool is_altered(const struct range *range)
{
	return piece_is_altered(range->piece, range->from, range->count);
}

/* What it grew by is fresh memory, and is undone. */
static void check_grown(struct world *w, const struct range *range, size_t more,
			bool by_unmap)
{
	struct place tail = place_at(range->place, range->len);
	size_t len = more * PAGE;
	char found[1024] = "", zero[32], none[32];

	snprintf(zero, sizeof(zero), "00*%zu ", more);
	snprintf(none, sizeof(none), "SEGV*%zu ", more);
	look_text(found, sizeof(found), tail.at, len);
	if (strcmp(found, zero) != 0 && strcmp(found, none) != 0)
		came(w, "grown by %s", found);
	fill(tail.at, len, 1);
	if (by_unmap ? munmap(tail.at, len) != 0
		     : mremap(range->place.at, range->len + len, range->len,
			      0) != range->place.at)
		came(w, "grown by what cannot be unmapped");
}

/* Grown without leave to move: only if there is room, which no one knows, so
 * that nothing that follows may depend on it (LEGIT_BEHIND). */
static void grow_in_place(struct world *w, const struct range *range)
{
	size_t more = 1 + draw_below(w, 20);
	bool by_unmap = chance(w, 50);
	struct remap m = { range->place, range->len, range->len + more * PAGE,
			   0, place_number(0) };
	char *at = remap_call(w, &m);
	int error = errno;

	came_legit(w, LEGIT_BEHIND);
	if (at == range->place.at)
		check_grown(w, range, more, by_unmap);
	else if (at != MAP_FAILED)
		came(w, "grown elsewhere");
	else if (error != ENOMEM)
		came(w, "%s", strerrorname_np(error));
}

/* All of it surely one mapping. */
static struct range choose_one(struct world *w)
{
	struct range range = range_choose(w);

	if (range.piece && !piece_is_one(range.piece, range.from, range.count))
		range.piece = NULL;
	return range;
}

/* The pages of `range` have become `new_len` bytes at `at`. */
static void moved(struct world *w, const struct range *range, char *at,
		  size_t new_len)
{
	bool not_in_child = range->piece->not_in_child[range->from];
	bool plain = range->piece->plain;
	struct range all;
	struct piece *piece;

	piece_remove(w, range->piece, range->from, range->count);
	piece = keep(w, last_place(w, at), new_len);
	if (!piece)
		return;
	piece->plain = plain;
	memset(piece->not_in_child, not_in_child, piece->pages);
	all = range_of(piece, 0, piece->pages);
	range_look(w, &all);
}

/* Moves, or not, pages that were altered, and unmaps them. */
static void move_altered(struct world *w, const struct range *range,
			 const struct remap *m)
{
	char before[8192], after[8192];
	size_t len = m->new_len < range->len ? m->new_len : range->len;
	const char *result;
	char *at;

	look_text(before, sizeof(before), range->place.at, len);
	at = remap_call(w, m);
	result = at == MAP_FAILED ? strerrorname_np(errno) : "moved";
	if (w->max && (at != MAP_FAILED || errno == ENOMEM))
		came_legit(w, LEGIT_SPLIT);
	else
		came(w, "%s", result);
	if (at != MAP_FAILED) {
		look_text(after, sizeof(after), at, len);
		if (strcmp(before, after) != 0)
			came(w, "%s became %s", before, after);
		munmap(at, pages_of(m->new_len) * PAGE);
	}
	if (at == MAP_FAILED)
		munmap(range->place.at, range->len);
}

static void remove_range(struct world *w, const struct range *range)
{
	piece_remove(w, range->piece, range->from, range->count);
}

/* Without leave to move. */
static void resize_in_place(struct world *w, const struct range *range)
{
	bool last = range->from + range->count == range->piece->pages;
	size_t pages = 1 + draw_below(w, 2 * range->count);
	struct remap m = { range->place, range->len, pages * PAGE, 0,
			   place_number(0) };
	char *at;

	if (last && pages > range->count) {
		if (range->piece->plain && !w->beside_others)
			for (size_t n = 1 + draw_below(w, 4); n > 0; n--)
				grow_in_place(w, range);
		return;
	}
	/* Something is behind, so that it cannot grow. */
	at = remap_call(w, &m);
	if (came_pointer(w, at))
		moved(w, range, at, m.new_len);
}

void op_resize(struct world *w)
{
	struct range range = choose_one(w);
	struct remap m;
	char *at;
	size_t pages;

	if (!range.piece)
		return;
	if (chance(w, 25)) {
		resize_in_place(w, &range);
		return;
	}
	pages = chance(w, 50) ? 1 + draw_below(w, 2 * range.count)
			      : draw_pages(w);
	m = (struct remap){ range.place, draw_len(w, range.count),
			    draw_len(w, pages), MREMAP_MAYMOVE,
			    place_number(0) };
	if (pages > range.count && is_altered(&range)) {
		move_altered(w, &range, &m);
		remove_range(w, &range);
		return;
	}
	at = remap_call(w, &m);
	if (came_remapped(w, &m, at))
		moved(w, &range, at, m.new_len);
}

/* ------------------------------------------------------------------------ */
/* To a given place                                                          */

static bool overlap(const struct range *a, const struct range *b)
{
	return a->piece == b->piece && a->from < b->from + b->count &&
	       b->from < a->from + a->count;
}

/* `from` has moved to where `to` was, all of its length. */
static void moved_over(struct world *w, const struct range *from,
		       const struct range *to, bool stays)
{
	bool not_in_child = from->piece->not_in_child[from->from];

	piece_replace(w, to->piece, to->from, to->count);
	memset(to->piece->not_in_child + to->from, not_in_child, to->count);
	to->piece->plain = to->piece->plain && from->piece->plain;
	range_look(w, to);
	if (stays) {
		range_look(w, from);
		piece_divide(w, from->piece, from->from, from->count);
	} else
		piece_remove(w, from->piece, from->from, from->count);
}

static void move_over(struct world *w, const struct range *from,
		      const struct range *to, bool stays)
{
	struct remap m = { from->place, from->len, to->len,
			   MREMAP_MAYMOVE | MREMAP_FIXED |
				   (stays ? DONTUNMAP : 0),
			   to->place };
	char *at;

	if (is_altered(from)) {
		move_altered(w, from, &m);
		munmap(to->place.at, to->len);
		/* What is behind first: the other one may be in front of it. */
		remove_range(w, from->from > to->from ? from : to);
		remove_range(w, from->from > to->from ? to : from);
		return;
	}
	at = remap_call(w, &m);
	if (came_remapped(w, &m, at))
		moved_over(w, from, to, stays);
}

/* The old place stays, without contents. */
static void move_and_stay(struct world *w, const struct range *range)
{
	struct remap m = { range->place, range->len, range->len,
			   MREMAP_MAYMOVE | DONTUNMAP, place_number(0) };
	struct piece *piece;
	struct range all;
	char *at;

	at = remap_call(w, &m);
	if (!came_memory(w, at, range->count))
		return;
	range_look(w, range);
	piece_divide(w, range->piece, range->from, range->count);
	piece = keep(w, last_place(w, at), range->len);
	if (!piece)
		return;
	piece->plain = range->piece->plain;
	memset(piece->not_in_child, range->piece->not_in_child[range->from],
	       piece->pages);
	all = range_of(piece, 0, piece->pages);
	range_look(w, &all);
}

void op_move(struct world *w)
{
	struct range from = choose_one(w), to = range_choose(w);
	bool stays = chance(w, 30);

	if (!from.piece || !to.piece)
		return;
	/* LEGIT_UNLOCKED */
	stays = stays && !is_altered(&from);
	if (chance(w, 25) && !is_altered(&from)) {
		move_and_stay(w, &from);
		return;
	}
	if (stays || chance(w, 50)) {
		size_t count = from.count < to.count ? from.count : to.count;

		from = range_of(from.piece, from.from, count);
		to = range_of(to.piece, to.from, count);
	}
	/* What was altered is unmapped afterwards, wherever it is then. */
	if (w->beside_others && is_altered(&from))
		return;
	if (!overlap(&from, &to))
		move_over(w, &from, &to, stays);
}

/* What it knows of the pages comes along; they are others than those before. */
static void bring_along(struct world *w, const struct range *from,
			const struct range *to)
{
	struct piece *a = from->piece, *b = to->piece;
	size_t i = from->from, j = to->from, n = from->count;

	memmove(b->mapping + j, a->mapping + i, n * sizeof(a->mapping[0]));
	memmove(b->not_in_child + j, a->not_in_child + i,
		n * sizeof(a->not_in_child[0]));
	piece_divide(w, b, j, n);
	b->plain = b->plain && a->plain;
}

/* Whatever it consists of, if it is as long afterwards. */
void op_move_many(struct world *w)
{
	struct range from = range_choose(w), to = range_choose(w);
	struct remap m;
	size_t count;

	if (!w->moves_many || !from.piece || !to.piece)
		return;
	count = from.count < to.count ? from.count : to.count;
	from = range_of(from.piece, from.from, count);
	to = range_of(to.piece, to.from, count);
	if (overlap(&from, &to))
		return;
	m = (struct remap){ from.place, from.len, to.len,
			    MREMAP_MAYMOVE | MREMAP_FIXED, to.place };
	if (!came_pointer(w, remap_call(w, &m)))
		return;
	bring_along(w, &from, &to);
	range_look(w, &to);
	remove_range(w, &from);
}

/* Refused, whatever is there. */
void op_move_odd(struct world *w)
{
	struct range range = choose_one(w);
	size_t len = range.len;
	struct place at = range.place, odd = place_at(at, 1), low, none;

	low = place_number(0x10000);
	none = place_number(0);
	const struct remap all[] = {
		{ at, len, 0, MREMAP_MAYMOVE, none },
		{ at, len, len, 8 | MREMAP_MAYMOVE, none },
		{ at, len, len, MREMAP_FIXED, at },
		{ at, len, len, MREMAP_FIXED | MREMAP_MAYMOVE, at },
		{ at, len, len, MREMAP_FIXED | MREMAP_MAYMOVE, odd },
		{ at, len, len, DONTUNMAP, none },
		{ at, len, len + PAGE, DONTUNMAP | MREMAP_MAYMOVE, none },
		{ odd, len, len, MREMAP_MAYMOVE, none },
		{ at, len, (size_t)1 << 60, MREMAP_MAYMOVE, none },
		{ at, (size_t)1 << 60, len, MREMAP_MAYMOVE, none },
		{ low, PAGE, 2 * PAGE, MREMAP_MAYMOVE, none },
		{ low, PAGE, PAGE, 0, none },
		{ at, len, SIZE_MAX, 0, none },
	};
	char *result;

	if (!range.piece)
		return;
	result = remap_call(w, &all[draw_below(w, LENGTH(all))]);
	/* What is not refused would need to be told of. */
	if (came_memory(w, result, SIZE_MAX / 2) && result != at.at)
		_exit(95);
}

/* A second mapping of what is shared; refused for what is private. */
void op_twin(struct world *w)
{
	struct range range = choose_one(w);
	struct remap m = { range.place, 0, range.len, MREMAP_MAYMOVE,
			   place_number(0) };
	struct piece *piece;
	char *at;

	if (!range.piece)
		return;
	at = remap_call(w, &m);
	if (!came_memory(w, at, range.count))
		return;
	piece = keep(w, last_place(w, at), m.new_len);
	if (piece)
		memset(piece->not_in_child,
		       range.piece->not_in_child[range.from], piece->pages);
}

/* ------------------------------------------------------------------------ */
/* Holes, and what calls across them do                                      */

/* True when the request was granted at its address. */
static bool plug_with(struct world *w, const struct range *hole, int flags)
{
	struct request q = { hole->place, hole->len, RW, flags, -1, NULL, 0 };
	struct place place;
	void *at;

	if (!map_call(w, &q, &at))
		return false;
	if (at == hole->place.at)
		return true;
	place = last_place(w, at);
	munmap(place.at, hole->len);
	return false;
}

void range_plug(struct world *w, const struct range *hole)
{
	static const int flags[] = { PRIVATE | MAP_FIXED, PRIVATE | NOREPLACE,
				     PRIVATE | NOREPLACE,
				     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
				     MAP_SHARED | MAP_ANONYMOUS | NOREPLACE };
	size_t i = draw_below(w, LENGTH(flags));
	bool good;

	/* Whether it was followed is not told. */
	if (chance(w, 15)) {
		if (plug_with(w, hole, PRIVATE))
			munmap(hole->place.at, hole->len);
		came_legit(w, LEGIT_HINT);
	}
	good = plug_with(w, hole, flags[i]);
	if (!good) {
		piece_remove(w, hole->piece, hole->from, hole->count);
		return;
	}
	piece_replace(w, hole->piece, hole->from, hole->count);
	hole->piece->plain = hole->piece->plain && !(flags[i] & MAP_SHARED);
	range_look(w, hole);
}

static void move_with_hole(struct world *w, const struct range *range)
{
	struct remap m = { range->place, range->len, range->len + PAGE,
			   MREMAP_MAYMOVE, place_number(0) };

	if (came_memory(w, remap_call(w, &m), 1))
		_exit(95);
}

/* To what is in front of the hole, or less; what is behind goes as well. */
static void shrink_with_hole(struct world *w, struct range *range)
{
	size_t pages = 1 + draw_below(w, range->hole - range->from);
	struct range to = range_choose(w);
	struct remap m = { range->place, range->len, pages * PAGE,
			   chance(w, 50) ? MREMAP_MAYMOVE : 0,
			   place_number(0) };
	struct range from = range_of(range->piece, range->from, pages);
	bool moves = to.piece != range->piece && to.count >= pages &&
		     piece_is_one(from.piece, from.from, pages) &&
		     !is_altered(&from) && chance(w, 60);

	if (moves) {
		to = range_of(to.piece, to.from, pages);
		m.flags = MREMAP_MAYMOVE | MREMAP_FIXED;
		m.to = to.place;
	}
	if (!came_pointer(w, remap_call(w, &m)))
		_exit(95);
	if (moves) {
		bring_along(w, &from, &to);
		range_look(w, &to);
		remove_range(w, range);
	} else {
		range_look(w, &from);
		piece_remove(w, range->piece, range->from + pages,
			     range->count - pages);
	}
}

void op_hole(struct world *w)
{
	struct range range = range_choose(w), hole;
	size_t from;

	if (!range.piece || range.count < 2)
		return;
	from = draw_below(w, range.count);
	hole = range_of(range.piece, range.from + from,
			1 + draw_below(w, range.count - from));
	range.hole = hole.from;
	range.hole_count = hole.count;
	if (!unmap_call(w, hole.place, hole.len))
		return;
	do
		if (chance(w, 15))
			move_with_hole(w, &range);
		else
			range_call(w, &range);
	while (chance(w, 60));
	if (from && chance(w, 15)) {
		shrink_with_hole(w, &range);
		return;
	}
	if (chance(w, 20))
		unmap_call(w, hole.place, hole.len);
	range_plug(w, &hole);
}
