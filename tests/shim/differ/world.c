/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "tests/shim/differ/world.h"

#include "tests/shim/differ/replay.h"

#include <stdarg.h>

#define ROOM 8 /* free entries that an operation may need */
#define SPARE 256 /* pages that the heap and the test itself may have */

/* ------------------------------------------------------------------------ */
/* Random numbers                                                            */

/* Mixed, so that neighbouring seeds have nothing in common. */
void world_start(struct world *w, uint64_t seed)
{
	seed += 0x9e3779b97f4a7c15;
	seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9;
	seed = (seed ^ seed >> 27) * 0x94d049bb133111eb;
	w->random = (seed ^ seed >> 31) | 1;
}

uint64_t draw(struct world *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

size_t draw_below(struct world *w, size_t n)
{
	return (size_t)(draw(w) >> 11) % n;
}

bool chance(struct world *w, size_t percent)
{
	return draw_below(w, 100) < percent;
}

/* ------------------------------------------------------------------------ */
/* The trace                                                                 */

/* As many lines of the other trace are done with. */
static void follow(struct world *w)
{
	for (size_t i = 0; w->followed && i < w->trace_len; i++) {
		const char *end =
			w->trace[i] == '\n' ? strchr(w->followed, '\n') : NULL;

		w->followed = end ? end + 1 : w->followed;
	}
}

void world_flush(struct world *w)
{
	size_t at = 0;

	follow(w);

	while (w->trace_fd >= 0 && at < w->trace_len) {
		ssize_t n =
			write(w->trace_fd, w->trace + at, w->trace_len - at);

		if (n <= 0)
			_exit(98);
		at += (size_t)n;
	}
	if (w->trace_fd >= 0)
		w->trace_len = 0;
}

__attribute__((format(printf, 2, 0))) static void
append(struct world *w, const char *format, va_list args)
{
	size_t room = w->trace_cap - w->trace_len;
	int n = vsnprintf(w->trace + w->trace_len, room, format, args);

	if (n < 0 || (size_t)n >= room)
		_exit(97);
	w->trace_len += (size_t)n;
}

void say(struct world *w, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append(w, format, args);
	va_end(args);
}

void came(struct world *w, const char *format, ...)
{
	va_list args;

	say(w, "\t");
	va_start(args, format);
	append(w, format, args);
	va_end(args);
	say(w, "\n");
	world_flush(w);
}

static void came_with(struct world *w, const char *what, int error)
{
	if (error == UNTOUCHED)
		came(w, "%s", what);
	else
		came(w, "%s, errno %s", what, strerrorname_np(error));
}

void came_number(struct world *w, long result)
{
	int error = errno;
	char text[24];

	snprintf(text, sizeof(text), "%ld", result);
	came_with(w, text, error);
}

bool came_pointer(struct world *w, const void *result)
{
	bool good = result != MAP_FAILED;

	came_with(w, good ? legit_table[LEGIT_ADDRESS].name : "-1", errno);
	return good;
}

void came_legit(struct world *w, enum legit why)
{
	came(w, "~%s", legit_table[why].name);
}

static size_t pages_in_use(const struct world *w)
{
	size_t pages = w->heap.pages;

	for (size_t i = 0; i < PIECES; i++)
		pages += w->pieces[i].pages;
	return pages;
}

bool world_was_refused(const struct world *w)
{
	const char *line = w->followed, *result;
	char refused[24];

	if (!line)
		return false;
	snprintf(refused, sizeof(refused), "\t~%s\n",
		 legit_table[LEGIT_MAX].name);
	result = line + strcspn(line, "\t\n");
	if (strncmp(result, refused, strlen(refused)) != 0)
		return false;
	errno = ENOMEM;
	return true;
}

bool came_memory(struct world *w, const void *result, size_t pages)
{
	if (!w->max || result != MAP_FAILED || errno != ENOMEM)
		return came_pointer(w, result);
	came_legit(w, LEGIT_MAX);
	if (!w->followed && pages_in_use(w) + pages + SPARE <= w->max)
		came(w, "refused, although there are fewer in use");
	return false;
}

/* ------------------------------------------------------------------------ */
/* Places                                                                    */

const char *name(struct place place)
{
	static __thread char texts[4][48];
	static __thread unsigned turn;
	char *text = texts[turn++ % 4];

	if (place.variable < 0)
		snprintf(text, sizeof(texts[0]), "(char *)%#zx", place.offset);
	else
		snprintf(text, sizeof(texts[0]), "r[%d] + %#zx", place.variable,
			 place.offset);
	return text;
}

struct place place_at(struct place place, size_t offset)
{
	place.at += offset;
	place.offset += offset;
	return place;
}

struct place place_number(uintptr_t number)
{
	return (struct place){ (char *)number, -1, number };
}

struct place place_new(struct world *w, void *at)
{
	return (struct place){ at, w->next_variable++, 0 };
}

/* ------------------------------------------------------------------------ */
/* Pieces                                                                    */

static void unmap(struct world *w, struct piece *piece)
{
	size_t len = piece->pages * PAGE;

	say(w, "show(munmap(%s, %#zx));", name(piece->place), len);
	errno = UNTOUCHED;
	came_number(w, munmap(piece->place.at, len));
	piece->pages = 0;
}

struct piece *piece_new(struct world *w)
{
	for (size_t i = 0; i < PIECES; i++)
		if (!w->pieces[i].pages)
			return &w->pieces[i];
	_exit(96);
}

static struct piece *largest(struct world *w, size_t *free)
{
	struct piece *largest = w->pieces;

	*free = 0;
	for (size_t i = 0; i < PIECES; i++) {
		*free += !w->pieces[i].pages;
		if (w->pieces[i].pages > largest->pages)
			largest = &w->pieces[i];
	}
	return largest;
}

void world_make_room(struct world *w)
{
	size_t free;
	struct piece *piece;

	while (piece = largest(w, &free), free < ROOM)
		unmap(w, piece);
}

void piece_set(struct world *w, struct piece *piece, struct place place,
	       size_t pages)
{
	piece->place = place;
	piece->pages = pages;
	piece_replace(w, piece, 0, pages);
}

struct piece *piece_choose(struct world *w, size_t pages)
{
	size_t first = draw_below(w, PIECES);

	for (size_t i = 0; i < PIECES; i++) {
		struct piece *piece = &w->pieces[(first + i) % PIECES];

		if (piece->pages >= pages)
			return piece;
	}
	return NULL;
}

void piece_remove(struct world *w, struct piece *piece, size_t from,
		  size_t count)
{
	size_t end = from + count;
	size_t rest = piece->pages - end;
	struct place place = place_at(piece->place, end * PAGE);
	struct piece *behind;

	piece->pages = from;
	if (!rest)
		return;
	behind = from ? piece_new(w) : piece;
	memmove(behind->mapping, piece->mapping + end,
		rest * sizeof(piece->mapping[0]));
	memmove(behind->not_in_child, piece->not_in_child + end,
		rest * sizeof(piece->not_in_child[0]));
	memmove(behind->altered, piece->altered + end,
		rest * sizeof(piece->altered[0]));
	behind->place = place;
	behind->pages = rest;
	behind->plain = piece->plain;
}

void piece_divide(struct world *w, struct piece *piece, size_t from,
		  size_t count)
{
	uint32_t last = 0;

	for (size_t i = from; i < from + count; i++) {
		if (i == from || piece->mapping[i] != last)
			w->next_mapping++;
		last = piece->mapping[i];
		piece->mapping[i] = w->next_mapping;
		piece->altered[i] = true;
	}
}

void piece_replace(struct world *w, struct piece *piece, size_t from,
		   size_t count)
{
	w->next_mapping++;
	for (size_t i = from; i < from + count; i++) {
		piece->mapping[i] = w->next_mapping;
		piece->not_in_child[i] = false;
		piece->altered[i] = false;
	}
}

bool piece_is_altered(const struct piece *piece, size_t from, size_t count)
{
	return memchr(piece->altered + from, true, count) != NULL;
}

bool piece_is_one(const struct piece *piece, size_t from, size_t count)
{
	for (size_t i = from; i < from + count; i++)
		if (piece->mapping[i] != piece->mapping[from])
			return false;
	return true;
}

void world_unmap_all(struct world *w)
{
	for (size_t i = 0; i < PIECES; i++)
		if (w->pieces[i].pages)
			unmap(w, &w->pieces[i]);
}
