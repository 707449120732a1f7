/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Marks: a few bits for each frame of the arena, in memory that starts as
 * zero. Pure, apart from the words that it changes.
 *
 * All functions may run beside each other on any threads, in signal handlers,
 * with threads stopped for ever: each word changes by one atomic step, and a
 * frame's marks are its own. Steps that change LIVE order everything before
 * and after them; the others ride on that, and on the allocator: who sets a
 * frame's other marks is the one to whom it belongs at that moment.
 *
 * Units: frames, counted from the start of the arena.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mark {
	MARK_LIVE, /* belongs to the program */
	MARK_DIRTY, /* may hold something other than zeros; says nothing while
		     * the frame is live */
	MARK_REMAP_BEFORE_USE, /* protection, flags, advice or mapping are not ours:
		       * needs a fresh mapping before it serves again */
	MARK_REMAP_ON_FREE, /* as good as new for the program, but the kernel keeps it
		     * apart from its neighbours, or its pages belong to
		     * someone else as well: fresh mapping when freed */
	MARK_AGED, /* dirty for some time already; says nothing while the frame
		   * is live or not dirty, and no one relies on it */
	MARK_VMA_START, /* a mapping of the kernel's may begin here: stays while
		    * the frame changes hands */
	MARK_KINDS
};

#define MARK_BIT(kind) (1u << (kind))

/* The marks of 64 frames, in a cache line of their own: a request for one
 * frame looks at one line. */
#define MARK_GROUP 64u
struct marks {
	uint64_t words[MARK_KINDS];
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

/* Sets or clears one kind on all of `s`; a word that is already so is not
 * written. */
void mark_set(struct marks *marks, enum mark kind, struct span s);
void mark_clear(struct marks *marks, enum mark kind, struct span s);

/* Sets it on those frames of `s` that have all of `with` and none of `without`
 * (sets of MARK_BIT) at some moment of the call. */
void mark_set_which(struct marks *marks, enum mark kind, unsigned with,
		    unsigned without, struct span s);

/* How many frames of `s` have this mark. */
size_t mark_count(const struct marks *marks, enum mark kind, struct span s);

/* How many frames of `s` have all of `with` and none of `without`, which are
 * sets of MARK_BIT. */
size_t mark_count_which(const struct marks *marks, unsigned with,
			unsigned without, struct span s);

/* Whether any has. */
bool mark_any_which(const struct marks *marks, unsigned with, unsigned without,
		    struct span s);

/*
 * The first run of frames in `s` that begins with its first frame and of which
 * all, or none, have a mark of the set `kinds`; *have says which. Empty when
 * `s` is.
 */
struct span mark_run(const struct marks *marks, unsigned kinds, struct span s,
		     bool *have);

/* The same for frames that have all of `with` and none of `without`. */
struct span mark_run_which(const struct marks *marks, unsigned with,
			   unsigned without, struct span s, bool *have);

/*
 * Takes LIVE away, each frame exactly once: of several takers that race for
 * a frame, one gets it.
 *
 *	struct take take = mark_take(marks, s);
 *	while ((run = mark_take_next(&take)).count)
 *		... the frames of run are the caller's now ...
 *
 * mark_take_undo gives those taken back that no call has returned yet.
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
