/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena/frames.h"

#include "preload/arena/page.h"
#include "preload/arena/usage.h"
#include "preload/arena/vma.h"
#include "preload/arena/zone.h"

#define ANY_REMAP (MARK_REMAP_BEFORE_USE | MARK_REMAP_ON_FREE)

static void count_usage(int64_t live, int64_t dirty)
{
	usage_add(arena.os->cpu(), live, dirty);
}

/* These frames, which are free, have become clean. */
static size_t cleaned(struct span s)
{
	size_t count = mark_clear(arena.marks, MARK_DIRTY, s);

	if (count)
		count_usage(0, -(int64_t)count);
	return count;
}

/* ------------------------------------------------------------------------ */
/* Fresh mappings                                                            */

/*
 * The marks go first, so that a mark that comes with a later mapping of the
 * program over these frames is not lost. Without access, frames count as
 * altered.
 */
static long map_afresh(struct span s, int prot)
{
	bool altered = mark_any(arena.marks, MARK_REMAP_BEFORE_USE, 0, s);
	long failed;

	mark_clear(arena.marks, ANY_REMAP, s);
	failed = page_map(s, prot);
	if (failed) {
		altered = altered || !page_is_mapped(s);
		mark_set(arena.marks,
			 altered ? MARK_REMAP_BEFORE_USE : MARK_REMAP_ON_FREE,
			 s);
		return failed;
	}
	if (prot == READ_WRITE)
		vma_mapped(s);
	else
		mark_set(arena.marks, MARK_REMAP_BEFORE_USE, s);
	stats_count(STAT_REMAPS, 1);
	return 0;
}

long frames_remap(struct span s)
{
	long failed = map_afresh(s, READ_WRITE);

	if (!failed)
		stats_count(STAT_FRAMES_RETURNED, cleaned(s));
	return failed;
}

long frames_renew(struct span s)
{
	return map_afresh(s, READ_WRITE);
}

/* Unlocked before as well: what is mapped while all is locked counts as locked
 * at once. */
static long close_access(struct span s)
{
	long failed;

	if (is_locked())
		arena.os->munlock(address_of(s.first), bytes_of(s));
	failed = map_afresh(s, PROT_NONE);
	if (!failed && is_locked())
		arena.os->munlock(address_of(s.first), bytes_of(s));
	return failed;
}

long frames_close(struct span s)
{
	long failed = close_access(s);

	if (!failed)
		stats_count(STAT_FRAMES_RETURNED, cleaned(s));
	return failed;
}

/* ------------------------------------------------------------------------ */
/* Free to live                                                              */

static bool remap_altered(struct span s)
{
	for_each_run(run, arena.marks, MARK_REMAP_BEFORE_USE, 0, s)
		if (run.have && frames_remap(run.span))
			return false;
	return true;
}

static void fill_dirty(struct span s, enum fill fill)
{
	for_each_run(run, arena.marks, MARK_DIRTY, 0, s)
		if (run.have && (fill == FILL_ZERO || !page_empty(run.span)))
			page_zero(run.span);
}

static size_t count_dirty(struct span s)
{
	return mark_count(arena.marks, MARK_DIRTY, 0, s);
}

static void become_live(struct span s, size_t dirty)
{
	mark_set(arena.marks, MARK_LIVE, s);
	count_usage((int64_t)s.count, -(int64_t)dirty);
	stats_count(STAT_FRAMES_SERVED, s.count);
}

bool frames_serve(struct span s, size_t head, enum fill fill)
{
	size_t dirty;

	/* Mapped afresh they are locked as all that comes now. */
	if (is_locked())
		mark_set(arena.marks, MARK_REMAP_BEFORE_USE, s);
	if (!remap_altered(s)) {
		zone_put(s);
		return false;
	}
	dirty = count_dirty(s);
	if (dirty && fill != FILL_ANY)
		fill_dirty(span_before(s, s.first + head), fill);
	if (dirty)
		fill_dirty(span_from(s, s.first + head),
			   atom_load(&arena.serve_absent) ? FILL_CLEAN
							  : FILL_ZERO);
	become_live(s, dirty);
	return true;
}

static bool is_all_online(struct span s)
{
	for_each_tree(t, s)
		if (!tree_is_online(t))
			return false;
	return true;
}

/* A tree may have left before its frames were had; now none can. */
bool frames_detach(struct span s)
{
	if (!zone_get_at(s))
		return false;
	if (!is_all_online(s)) {
		zone_put(s);
		return false;
	}
	usage_force(s.count);
	become_live(s, count_dirty(s));
	return true;
}

/* ------------------------------------------------------------------------ */
/* Live to free                                                              */

/* The contents of frames that are being freed: kept for reuse, or given back. */
static void retire_contents(struct span s, enum leave leave)
{
	bool keep = arena.options->decay && usage_retains(s.count);

	if (leave == LEAVE_CLEAN || (!keep && page_empty(s))) {
		mark_clear(arena.marks, MARK_DIRTY, s);
		return;
	}
	mark_clear(arena.marks, MARK_AGED, s);
	mark_set(arena.marks, MARK_DIRTY, s);
	count_usage(0, (int64_t)s.count);
}

/* Frames that are being freed have no page any more. */
static void retire_empty(struct span s)
{
	mark_clear(arena.marks, MARK_DIRTY, s);
	stats_count(STAT_FRAMES_RETURNED, s.count);
}

/* Map altered frames afresh. Where the kernel has no room for one more mapping
 * they have none until they serve again. */
static long retire_altered(struct span s)
{
	long failed = map_afresh(s, READ_WRITE) ? page_unmap(s) : 0;

	if (!failed)
		retire_empty(s);
	return failed;
}

/* A refusal does no harm here: the mapping can stay, but not its pages, which a
 * pipe may have. */
static void retire_moved(struct span s, enum leave leave)
{
	if (!map_afresh(s, READ_WRITE))
		retire_empty(s);
	else
		retire_contents(s, page_empty(s) ? LEAVE_CLEAN : leave);
}

static long retire_closed(struct span s)
{
	long failed = close_access(s);

	if (!failed)
		retire_empty(s);
	return failed;
}

/* How the first frames of `s`, which are alike, are made fit to serve again. */
static long retire_first(struct span *s, enum leave leave)
{
	struct mark_run plain = mark_run(arena.marks, 0, ANY_REMAP, *s);
	struct mark_run altered;

	*s = plain.span;
	if (arena.options->strict || is_locked())
		return retire_closed(*s);
	if (plain.have) {
		retire_contents(*s, leave);
		return 0;
	}
	altered = mark_run(arena.marks, MARK_REMAP_BEFORE_USE, 0, *s);
	*s = altered.span;
	if (altered.have)
		return retire_altered(*s);
	retire_moved(*s, leave);
	return 0;
}

/* The first frames of `s`, which the program has lost, become free. -errno when
 * the kernel refuses, and they are as they were. */
static long free_first(struct span *s, enum leave leave)
{
	long failed = retire_first(s, leave);

	if (failed)
		return failed;
	count_usage(-(int64_t)s->count, 0);
	usage_release(s->count);
	stats_count(STAT_FRAMES_GIVEN_BACK, s->count);
	zone_put(*s);
	return 0;
}

long frames_free(struct span s, enum leave leave, size_t *freed)
{
	struct take take = mark_take(arena.marks, s);
	struct span run;

	while ((run = mark_take_next(&take)).count)
		while (run.count) {
			struct span first = run;
			long failed = free_first(&first, leave);

			if (failed) {
				mark_set(arena.marks, MARK_LIVE, run);
				mark_take_undo(&take);
				return failed;
			}
			*freed += first.count;
			run = span_from(run, span_end(first));
		}
	return 0;
}

/* ------------------------------------------------------------------------ */
/* Dirty to clean                                                            */

static size_t clean_all(struct span s)
{
	return page_empty(s) ? cleaned(s) : 0;
}

/* The last groups first: what was used last is more likely at the beginning. */
static size_t clean_some(struct span s, unsigned marks, size_t wanted)
{
	size_t count = 0;

	for (size_t end = span_end(s); end > s.first && count < wanted;) {
		size_t at = (end - 1) / MARK_GROUP * MARK_GROUP;
		struct span group = span_from(span_before(s, end), at);

		end = group.first;
		for_each_run(run, arena.marks, marks, 0, group)
			if (run.have)
				count += clean_all(run.span);
	}
	return count;
}

size_t frames_clean(struct span s, unsigned marks, size_t wanted)
{
	size_t dirty = count_dirty(s), count = 0;

	if (dirty <= wanted && dirty == mark_count(arena.marks, marks, 0, s))
		count = clean_all(s);
	return count ? count : clean_some(s, marks, wanted);
}

/* ------------------------------------------------------------------------ */
/* Free to absent                                                            */

void frames_forget(size_t tree)
{
	struct span s = span_of_tree(tree);

	cleaned(s);
	mark_clear(arena.marks, ANY_REMAP, s);
	vma_forget(tree);
}
