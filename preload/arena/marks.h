/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Marks: a few bits for each frame of the arena, in memory that starts as
 * zero. Pure, apart from the words that it changes.
 *
 * All functions may run beside each other on any threads, in signal handlers,
 * with threads stopped for ever: each word changes by one atomic step, which
 * orders everything before and after it, and a frame's marks are its own. Marks
 * for remapping and age change beside other threads; LIVE and DIRTY are changed
 * by the thread only that has the frame to itself.
 *
 * Units: frames, counted from the start of the arena.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Marks are combined to sets by |. */
enum mark {
	/* The frame belongs to the program. */
	MARK_LIVE = 1 << 0,
	/* The frame may hold something other than zeros. Says nothing while
	 * the frame is live. */
	MARK_DIRTY = 1 << 1,
	/* Protection, flags, advice or mapping are not the arena's: the frame
	 * needs a fresh mapping before it serves again. */
	MARK_REMAP_BEFORE_USE = 1 << 2,
	/* As good as new for the program, but the kernel keeps the frame apart
	 * from its neighbours, or a pipe holds its page: it needs a fresh
	 * mapping when it is freed. */
	MARK_REMAP_ON_FREE = 1 << 3,
	/* Dirty for a whole round of the clock hand. An estimate. Says nothing
	 * while the frame is live or not dirty. */
	MARK_AGED = 1 << 4,
	/* A mapping of the kernel may begin here. Stays while the frame is
	 * freed and served. */
	MARK_VMA_START = 1 << 5,
};
#define MARKS 6u

/* The marks of 64 frames, in a cache line of their own: a request for one
 * frame looks at one line. */
#define MARK_GROUP 64u
struct marks {
	uint64_t words[MARKS];
} __attribute__((aligned(64)));

/* Consecutive frames; none when count is 0. */
struct span {
	size_t first;
	size_t count;
};

static inline struct span span(size_t first, size_t count)
{
	struct span made = { first, count };
	return made;
}

static inline size_t span_end(struct span s)
{
	return s.first + s.count;
}

/* What of `s` is below / from `at` on. */
struct span span_before(struct span s, size_t at);
struct span span_from(struct span s, size_t at);

/* The number of groups for `frames` frames. */
static inline size_t mark_groups(size_t frames)
{
	return (frames + MARK_GROUP - 1) / MARK_GROUP;
}

/* Set or clear the marks of a set on all of `s`; a word that is already so is
 * not written. mark_clear returns how many bits it changed. */
void mark_set(struct marks *marks, unsigned kinds, struct span s);
size_t mark_clear(struct marks *marks, unsigned kinds, struct span s);

/* Functions below look for frames that have all marks of the set `with` and
 * none of the set `without`, at some moment of the call. */

/* Set the marks on these frames only. */
void mark_set_which(struct marks *marks, unsigned kinds, unsigned with,
		    unsigned without, struct span s);

/* How many of the frames in `s` these are, and whether any is. */
size_t mark_count(const struct marks *marks, unsigned with, unsigned without,
		  struct span s);
bool mark_any(const struct marks *marks, unsigned with, unsigned without,
	      struct span s);

/* The first frames of `s`, of which all (have) or none (!have) are such ones.
 * Empty when `s` is. */
struct mark_run {
	struct span span;
	bool have;
};
struct mark_run mark_run(const struct marks *marks, unsigned with,
			 unsigned without, struct span s);

/* Each run of `s`, looked for when its turn comes. */
#define for_each_run(run, marks, with, without, s)                    \
	for (struct mark_run run = mark_run(marks, with, without, s); \
	     (run).span.count;                                        \
	     run = mark_run(marks, with, without,                     \
			    span_from(s, span_end((run).span))))

/*
 * Take LIVE away, from each frame exactly once: of several threads that race
 * for a frame, one gets it.
 *
 *	struct take take = mark_take(marks, s);
 *	while ((run = mark_take_next(&take)).count)
 *		... the frames of run are the caller's now ...
 *
 * mark_take_undo gives the frames back that no call has returned yet.
 */
struct take {
	struct marks *marks;
	struct span rest; /* not looked at */
	uint64_t bits; /* taken, but not returned; all in one group */
	size_t group; /* of bits */
};

struct take mark_take(struct marks *marks, struct span s);
struct span mark_take_next(struct take *take);
void mark_take_undo(struct take *take);
