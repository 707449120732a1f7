/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What a sequence of calls knows about itself: its random numbers, the memory
 * that it has, and its trace. One thread uses a world.
 *
 * Memory is a set of pieces, each mapped from end to end, so that calls on
 * parts of a piece mean the same wherever the piece lies. Places have names
 * that do not depend on addresses: "r[7] + 0x3000".
 *
 * A line of the trace is a C statement, a tab, and what came of it.
 */
#pragma once

#include "tests/shim/differ/legit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIECES 24
#define MOST 1200 /* pages of a piece */

struct place {
	char *at;
	int variable; /* -1: a plain number */
	size_t offset; /* bytes */
};

struct piece {
	struct place place;
	size_t pages; /* 0: none */
	bool plain; /* all of it was mapped private, anonymous, nothing over it */
	/* Equal for neighbours that surely are one mapping. */
	uint32_t mapping[MOST];
	bool not_in_child[MOST];
	bool altered[MOST];
};

struct world {
	uint64_t random;
	int next_variable;
	uint32_t next_mapping;
	bool beside_others; /* holes may be taken by someone else */
	bool may_nest; /* fork, threads */
	bool moves_many; /* mremap moves several mappings at once */
	struct piece pieces[PIECES];
	struct piece heap; /* what stays of it: its end, as of sbrk */
	bool heap_lost; /* parts of it are not in this child */
	char *trace;
	size_t trace_len, trace_cap;
	int trace_fd; /* -1: kept */
	size_t max; /* pages, LLFREE_MAX; 0: no limit */
	const char *followed; /* what is left of the library's trace, or NULL */
};

void world_start(struct world *w, uint64_t seed);
uint64_t draw(struct world *w);
size_t draw_below(struct world *w, size_t n);
bool chance(struct world *w, size_t percent);

/* The text of a statement; then what came of it, which ends the line. */
__attribute__((format(printf, 2, 3))) void say(struct world *w,
					       const char *format, ...);
__attribute__((format(printf, 2, 3))) void came(struct world *w,
						const char *format, ...);
/* Of a call: -1 and errno are told apart, other values are told as they are. */
void came_number(struct world *w, long result);
/* As a pointer: where it points is not told. True when it is one. */
bool came_pointer(struct world *w, const void *result);
void came_legit(struct world *w, enum legit why);
void world_flush(struct world *w);

/*
 * With LLFREE_MAX the library refuses what the kernel would grant. The library
 * goes first then, and where it refused, the kernel is not asked: true, and the
 * call has failed. came_memory is came_pointer for calls that may ask for so
 * many pages more; it tells if the library refused them for no reason.
 */
bool world_was_refused(const struct world *w);
bool came_memory(struct world *w, const void *result, size_t pages);

/* Its name, in one of a few buffers of this thread. */
const char *name(struct place place);
struct place place_at(struct place place, size_t offset);
struct place place_number(uintptr_t number);
struct place place_new(struct world *w, void *at);

/* Unmaps the largest pieces until an operation cannot run out of them. */
void world_make_room(struct world *w);
struct piece *piece_new(struct world *w);
void piece_set(struct world *w, struct piece *piece, struct place place,
	       size_t pages);
/* One with at least `pages` pages, NULL when there is none. */
struct piece *piece_choose(struct world *w, size_t pages);
/* Pages [from, from + count) are gone; what was behind becomes a piece. */
void piece_remove(struct world *w, struct piece *piece, size_t from,
		  size_t count);
/* The pages are mappings of their own, each part of one by itself. */
void piece_divide(struct world *w, struct piece *piece, size_t from,
		  size_t count);
/* They are one new mapping. */
void piece_replace(struct world *w, struct piece *piece, size_t from,
		   size_t count);
bool piece_is_altered(const struct piece *piece, size_t from, size_t count);
bool piece_is_one(const struct piece *piece, size_t from, size_t count);
void world_unmap_all(struct world *w);
