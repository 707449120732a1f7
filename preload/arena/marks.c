/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena/marks.h"

#include "preload/sys/atomic.h"

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

/* Index of the word for the first mark of a set. */
static inline unsigned first_of(unsigned kinds)
{
	return (unsigned)__builtin_ctz(kinds);
}

static inline size_t count_bits(uint64_t bits)
{
	return bits ? (size_t)__builtin_popcountll(bits) : 0;
}

/* Frames of the group that have all marks of one set and none of the other. */
static inline uint64_t load_which(const struct marks *group, unsigned with,
				  unsigned without)
{
	uint64_t which = UINT64_MAX;

	for (; with; with &= with - 1)
		which &= atom_load_acquire(&group->words[first_of(with)]);
	for (; without && which; without &= without - 1)
		which &= ~atom_load_acquire(&group->words[first_of(without)]);
	return which;
}

void mark_set(struct marks *marks, unsigned kinds, struct span s)
{
	mark_set_which(marks, kinds, 0, 0, s);
}

void mark_set_which(struct marks *marks, unsigned kinds, unsigned with,
		    unsigned without, struct span s)
{
	while (s.count) {
		struct piece p = next_piece(&s);
		struct marks *group = &marks[p.group];
		uint64_t bits = p.mask & load_which(group, with, without);

		for (unsigned rest = kinds; rest; rest &= rest - 1) {
			uint64_t *word = &group->words[first_of(rest)];

			if (bits & ~atom_load_acquire(word))
				atom_or(word, bits);
		}
	}
}

size_t mark_clear(struct marks *marks, unsigned kinds, struct span s)
{
	size_t cleared = 0;

	while (s.count) {
		struct piece p = next_piece(&s);

		for (unsigned rest = kinds; rest; rest &= rest - 1) {
			uint64_t *word = &marks[p.group].words[first_of(rest)];

			if (atom_load_acquire(word) & p.mask)
				cleared += count_bits(p.mask &
						      atom_and(word, ~p.mask));
		}
	}
	return cleared;
}

size_t mark_count(const struct marks *marks, unsigned with, unsigned without,
		  struct span s)
{
	size_t count = 0;

	while (s.count) {
		struct piece p = next_piece(&s);

		count += count_bits(p.mask &
				    load_which(&marks[p.group], with, without));
	}
	return count;
}

bool mark_any(const struct marks *marks, unsigned with, unsigned without,
	      struct span s)
{
	uint64_t any = 0;

	while (s.count && !any) {
		struct piece p = next_piece(&s);

		any = p.mask & load_which(&marks[p.group], with, without);
	}
	return any;
}

struct mark_run mark_run(const struct marks *marks, unsigned with,
			 unsigned without, struct span s)
{
	struct mark_run run = { span(s.first, 0), false };
	bool first = true;

	while (s.count) {
		struct span rest = s;
		struct piece p = next_piece(&rest);
		uint64_t bits = load_which(&marks[p.group], with, without);
		uint64_t other;

		if (first)
			run.have = bits >> s.first % MARK_GROUP & 1;
		first = false;
		other = (run.have ? ~bits : bits) & p.mask;
		if (other) {
			size_t at = (size_t)__builtin_ctzll(other);

			run.span.count =
				p.group * MARK_GROUP + at - run.span.first;
			return run;
		}
		run.span.count = rest.first - run.span.first;
		s = rest;
	}
	return run;
}

struct take mark_take(struct marks *marks, struct span s)
{
	struct take take = { marks, s, 0, 0 };
	return take;
}

static uint64_t *live_word(const struct take *take)
{
	return &take->marks[take->group].words[first_of(MARK_LIVE)];
}

/* Take what is live in the next group; false at the end. */
static bool take_group(struct take *take)
{
	while (take->rest.count) {
		struct piece p = next_piece(&take->rest);

		take->group = p.group;
		if (!(atom_load_acquire(live_word(take)) & p.mask))
			continue;
		take->bits = p.mask & atom_and(live_word(take), ~p.mask);
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
		atom_or(live_word(take), take->bits);
	take->bits = 0;
}
