/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena/marks.h"

_Static_assert(__atomic_always_lock_free(sizeof(uint64_t), 0),
	       "marks must not hide a lock");

struct span span_before(struct span s, size_t at)
{
	if (at <= s.first)
		return span(s.first, 0);
	return at < span_end(s) ? span(s.first, at - s.first) : s;
}

struct span span_from(struct span s, size_t at)
{
	if (at <= s.first)
		return s;
	return at < span_end(s) ? span(at, span_end(s) - at) : span(at, 0);
}

/* The part of a span that lies in one group. */
struct piece {
	size_t group;
	uint64_t mask;
};

static uint64_t low_bits(size_t count)
{
	return count >= MARK_GROUP ? UINT64_MAX : (1ull << count) - 1;
}

/* The first piece of `s`, which must not be empty; `s` becomes the rest. */
static inline struct piece next_piece(struct span *s)
{
	size_t bit = s->first % MARK_GROUP;
	size_t count = MARK_GROUP - bit;
	struct piece piece = { s->first / MARK_GROUP, 0 };

	if (count > s->count)
		count = s->count;
	piece.mask = low_bits(count) << bit;
	*s = span(s->first + count, s->count - count);
	return piece;
}

static inline uint64_t load(const struct marks *group, enum mark kind)
{
	return __atomic_load_n(&group->words[kind], __ATOMIC_ACQUIRE);
}

/* Frames of the group that have a mark of the set. */
static inline uint64_t load_any(const struct marks *group, unsigned kinds)
{
	uint64_t any = 0;

	for (unsigned kind = 0; kind < MARK_KINDS; kind++)
		if (kinds & MARK_BIT(kind))
			any |= load(group, (enum mark)kind);
	return any;
}

/* Frames of the group that have all of one set and none of the other. */
static inline uint64_t load_which(const struct marks *group, unsigned with,
				  unsigned without)
{
	uint64_t which = UINT64_MAX;

	for (unsigned kind = 0; kind < MARK_KINDS; kind++)
		if (with & MARK_BIT(kind))
			which &= load(group, (enum mark)kind);
	return which ? which & ~load_any(group, without) : 0;
}

void mark_set(struct marks *marks, enum mark kind, struct span s)
{
	while (s.count) {
		struct piece p = next_piece(&s);
		struct marks *group = &marks[p.group];

		if ((load(group, kind) & p.mask) != p.mask)
			__atomic_fetch_or(&group->words[kind], p.mask,
					  __ATOMIC_ACQ_REL);
	}
}

void mark_clear(struct marks *marks, enum mark kind, struct span s)
{
	while (s.count) {
		struct piece p = next_piece(&s);
		struct marks *group = &marks[p.group];

		if (load(group, kind) & p.mask)
			__atomic_fetch_and(&group->words[kind], ~p.mask,
					   __ATOMIC_ACQ_REL);
	}
}

void mark_set_which(struct marks *marks, enum mark kind, unsigned with,
		    unsigned without, struct span s)
{
	while (s.count) {
		struct piece p = next_piece(&s);
		struct marks *group = &marks[p.group];
		uint64_t bits = p.mask & load_which(group, with, without);

		if (bits & ~load(group, kind))
			__atomic_fetch_or(&group->words[kind], bits,
					  __ATOMIC_ACQ_REL);
	}
}

size_t mark_count(const struct marks *marks, enum mark kind, struct span s)
{
	return mark_count_which(marks, MARK_BIT(kind), 0, s);
}

size_t mark_count_which(const struct marks *marks, unsigned with,
			unsigned without, struct span s)
{
	size_t count = 0;

	while (s.count) {
		struct piece p = next_piece(&s);

		count += (size_t)__builtin_popcountll(
			p.mask & load_which(&marks[p.group], with, without));
	}
	return count;
}

bool mark_any_which(const struct marks *marks, unsigned with, unsigned without,
		    struct span s)
{
	uint64_t any = 0;

	while (s.count && !any) {
		struct piece p = next_piece(&s);

		any = p.mask & load_which(&marks[p.group], with, without);
	}
	return any;
}

struct span mark_run_which(const struct marks *marks, unsigned with,
			   unsigned without, struct span s, bool *have)
{
	struct span run = span(s.first, 0);
	bool first = true;

	*have = false;
	while (s.count) {
		struct span rest = s;
		struct piece p = next_piece(&rest);
		uint64_t bits = load_which(&marks[p.group], with, without);
		uint64_t other;

		if (first)
			*have = bits >> s.first % MARK_GROUP & 1;
		first = false;
		other = (*have ? ~bits : bits) & p.mask;
		if (other) {
			size_t at = (size_t)__builtin_ctzll(other);

			run.count = p.group * MARK_GROUP + at - run.first;
			return run;
		}
		run.count = rest.first - run.first;
		s = rest;
	}
	return run;
}

struct span mark_run(const struct marks *marks, unsigned kinds, struct span s,
		     bool *have)
{
	struct span run = mark_run_which(marks, 0, kinds, s, have);

	*have = run.count && !*have;
	return run;
}

struct take mark_take(struct marks *marks, struct span s)
{
	struct take take = { marks, s, 0, 0 };
	return take;
}

/* Takes what is live in the next group; false at the end. */
static bool take_group(struct take *take)
{
	while (take->rest.count) {
		struct piece p = next_piece(&take->rest);
		struct marks *group = &take->marks[p.group];

		take->group = p.group;
		if (!(load(group, MARK_LIVE) & p.mask))
			continue;
		take->bits = p.mask &
			     __atomic_fetch_and(&group->words[MARK_LIVE],
						~p.mask, __ATOMIC_ACQ_REL);
		if (take->bits)
			return true;
	}
	return false;
}

struct span mark_take_next(struct take *take)
{
	struct span run = span(0, 0);

	while (take->bits || take_group(take)) {
		size_t bit = (size_t)__builtin_ctzll(take->bits);
		uint64_t above = ~(take->bits >> bit);
		size_t count = above ? (size_t)__builtin_ctzll(above)
				     : MARK_GROUP;
		size_t first = take->group * MARK_GROUP + bit;

		if (count > MARK_GROUP - bit)
			count = MARK_GROUP - bit;
		if (run.count && span_end(run) != first)
			break;
		if (!run.count)
			run.first = first;
		run.count += count;
		take->bits &= ~(low_bits(count) << bit);
		if (bit + count < MARK_GROUP)
			break;
	}
	return run;
}

void mark_take_undo(struct take *take)
{
	if (take->bits)
		__atomic_fetch_or(&take->marks[take->group].words[MARK_LIVE],
				  take->bits, __ATOMIC_ACQ_REL);
	take->bits = 0;
}
