/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "tests/shim/differ/ops.h"

#include "tests/shim/differ/replay.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define THREADS 3
#define THREAD_TRACE ((size_t)1 << 18)

static void look_at_piece(struct world *w, struct piece *piece)
{
	struct range all = range_of(piece, 0, piece->pages);

	if (piece->pages)
		range_look(w, &all);
}

void look_at_all(struct world *w)
{
	for (size_t i = 0; i < PIECES; i++)
		look_at_piece(w, &w->pieces[i]);
	look_at_piece(w, &w->heap);
}

/* ------------------------------------------------------------------------ */
/* On a range                                                                */

static void op_range(struct world *w)
{
	struct range range = range_choose(w);

	if (range.piece)
		range_call(w, &range);
}

static void op_fill(struct world *w)
{
	struct range range = range_choose(w);

	if (range.piece)
		range_fill(w, &range);
}

static void op_look(struct world *w)
{
	struct range range = range_choose(w);

	if (range.piece)
		range_look(w, &range);
}

/* ------------------------------------------------------------------------ */
/* The heap                                                                  */

/* What is added to it, or taken away; where it ended, or NULL. */
static char *heap_call(struct world *w, intptr_t change)
{
	void *before = (void *)-1;

	say(w, "show(sbrk(%#lx) != (void *)-1);", (unsigned long)change);
	errno = UNTOUCHED;
	if (!world_was_refused(w))
		before = sbrk(change);
	return came_memory(w, before, change > 0 ? (size_t)change / PAGE : 0)
		       ? before
		       : NULL;
}

/* The same as an address. */
static void break_call(struct world *w, struct place end)
{
	say(w, "show(brk(%s));", name(end));
	errno = UNTOUCHED;
	came_number(w, brk(end.at));
}

/* As any other memory; but none of it is unmapped, which the kernel takes for
 * the end of the heap when it shrinks. */
static void use_heap(struct world *w, struct place start, size_t pages)
{
	struct piece *piece = piece_new(w);

	piece_set(w, piece, start, pages);
	piece->plain = false;
	for (size_t n = 1 + draw_below(w, 6); n > 0; n--) {
		struct range part = range_in(w, piece);

		if (chance(w, 30))
			range_fill(w, &part);
		range_call(w, &part);
		range_look(w, &part);
	}
	piece->pages = 0;
}

/* To somewhere within, which need not be the end of a page, and to places where
 * it cannot be. */
static void move_break(struct world *w, const struct range *heap)
{
	heap_call(w, INTPTR_MAX / 2);
	break_call(w, place_at(heap->place, 1 + draw_below(w, heap->len)));
	break_call(w, place_number(PAGE));
	break_call(w, heap->place);
}

/* Its end, or the page behind it. */
static struct place heap_end(struct world *w, size_t *gap)
{
	char *end = sbrk(0);
	struct place place;

	*gap = -(uintptr_t)end & (PAGE - 1);
	place = place_new(w, end + *gap);
	say(w, "r[%d] = (char *)sbrk(0) + %zu;", place.variable, *gap);
	came(w, "%s", "heap");
	return place;
}

/* It is as it was afterwards. */
static void op_heap(struct world *w)
{
	size_t pages = 1 + draw_below(w, 100), less = draw_below(w, pages + 1);
	struct range range = { .len = pages * PAGE }, end;
	char *heap = sbrk(0);
	size_t gap;

	if (w->heap_lost)
		return;
	range.place = heap_end(w, &gap);
	end = range;
	end.place = place_at(range.place, range.len - less * PAGE);
	end.len = less * PAGE;
	if (heap_call(w, (intptr_t)(gap + range.len)) != heap)
		return;
	range_look(w, &range);
	range_fill(w, &range);
	if (chance(w, 50))
		use_heap(w, range.place, pages);
	heap_call(w, -(intptr_t)end.len);
	if (heap_call(w, (intptr_t)end.len))
		range_look(w, &end);
	move_break(w, &range);
	heap_call(w, -(intptr_t)gap);
	came(w, "back: %d", sbrk(0) == (void *)heap);
}

static void grow_kept(struct world *w, size_t pages)
{
	struct piece *heap = &w->heap;
	size_t before = heap->pages;
	struct range more;

	if (before + pages > MOST || !heap_call(w, (intptr_t)(pages * PAGE)))
		return;
	heap->pages += pages;
	piece_replace(w, heap, before, pages);
	more = range_of(heap, before, pages);
	range_look(w, &more);
	range_fill(w, &more);
}

static void use_kept(struct world *w)
{
	struct range part = range_in(w, &w->heap);

	if (chance(w, 30))
		range_fill(w, &part);
	range_call(w, &part);
	range_look(w, &part);
}

/* A part that stays: malloc's. */
static void op_heap_kept(struct world *w)
{
	struct piece *heap = &w->heap;
	size_t gap, less;

	if (w->heap_lost)
		return;
	if (!heap->pages) {
		heap->place = heap_end(w, &gap);
		if (gap && !heap_call(w, (intptr_t)gap))
			return;
		grow_kept(w, 33);
	} else if (chance(w, 40)) {
		grow_kept(w, 1 + draw_below(w, 100));
	} else if (chance(w, 40)) {
		less = 1 + draw_below(w, heap->pages);
		if (heap_call(w, -(intptr_t)(less * PAGE)))
			heap->pages -= less;
	} else {
		use_kept(w);
	}
}

/* ------------------------------------------------------------------------ */
/* Signals                                                                   */

static void some(struct world *w, size_t most)
{
	for (size_t n = 1 + draw_below(w, most); n > 0; n--)
		operate(w);
}

static void op_storm(struct world *w)
{
	bool good;

	say(w, "storm(true);");
	came(w, "%d", storm(true));
	w->beside_others = true;
	some(w, 12);
	w->beside_others = false;
	good = storm(false);
	say(w, "show(storm(false));");
	came(w, "%d", good);
}

/* ------------------------------------------------------------------------ */
/* Locks on everything                                                       */

static void op_lock_all(struct world *w)
{
	int flags = 1 + (int)draw_below(w, 7);

	/* Others may lock little. */
	if (geteuid() != 0)
		return;
	say(w, "show(mlockall(%d));", flags);
	errno = UNTOUCHED;
	came_number(w, mlockall(flags));
	/* For the library all of it is altered. */
	for (size_t i = 0; i < PIECES; i++)
		piece_divide(w, &w->pieces[i], 0, w->pieces[i].pages);
	w->beside_others = true;
	some(w, 12);
	w->beside_others = false;
	if (chance(w, 50))
		op_heap(w);
	say(w, "show(munlockall());");
	errno = UNTOUCHED;
	came_number(w, munlockall());
}

/* ------------------------------------------------------------------------ */
/* Processes                                                                 */

static bool any_not_in_child(const struct piece *piece)
{
	for (size_t i = 0; i < piece->pages; i++)
		if (piece->not_in_child[i])
			return true;
	return false;
}

/* What is not there is known from a look; then it is no one's. */
static void child(struct world *w)
{
	w->may_nest = false;
	look_at_all(w);
	for (size_t i = 0; i < PIECES; i++)
		if (any_not_in_child(&w->pieces[i]))
			w->pieces[i].pages = 0;
	w->heap_lost = any_not_in_child(&w->heap);
	if (w->heap_lost)
		w->heap.pages = 0;
	some(w, 12);
	look_at_all(w);
	say(w, "_exit(33); }");
	came(w, "ends");
	_exit(33);
}

static void op_fork(struct world *w)
{
	int status = 0;
	pid_t pid;

	say(w, "if (!fork()) {");
	came(w, "fork");
	pid = fork();
	if (pid == 0)
		child(w);
	say(w, "{ int status; wait(&status); show(status); }");
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		status = -1;
	came(w, "%d", status);
	look_at_all(w);
}

/* ------------------------------------------------------------------------ */
/* Threads                                                                   */

static struct world worlds[THREADS];
static char traces[THREADS][THREAD_TRACE];

static void *thread(void *arg)
{
	struct world *w = arg;

	for (int i = 0; i < 16; i++)
		operate(w);
	look_at_all(w);
	world_unmap_all(w);
	return NULL;
}

static void thread_start(struct world *w, struct world *t, pthread_t *id)
{
	size_t i = (size_t)(t - worlds);

	*t = (struct world){ .next_variable = 2000 * (int)(1 + i),
			     .beside_others = true,
			     .moves_many = w->moves_many,
			     .trace = traces[i],
			     .trace_cap = THREAD_TRACE,
			     .trace_fd = -1 };
	world_start(t, draw(w));
	if (pthread_create(id, NULL, thread, t))
		_exit(94);
}

/* The program that is printed starts them as functions within main. */
static void thread_end(struct world *w, struct world *t, pthread_t id)
{
	int number = w->next_variable++;

	if (pthread_join(id, NULL))
		_exit(93);
	say(w, "void *thread%d(void *none) {", number);
	came(w, "thread");
	for (char *line = t->trace, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		say(w, "%.*s\n", (int)(end - line), line);
		world_flush(w);
	}
	say(w,
	    "return none; } pthread_t id%d; "
	    "pthread_create(&id%d, NULL, thread%d, NULL);",
	    number, number, number);
	came(w, "runs");
}

static void op_threads(struct world *w)
{
	pthread_t ids[THREADS];

	for (int i = 0; i < THREADS; i++)
		thread_start(w, &worlds[i], &ids[i]);
	for (int i = 0; i < THREADS; i++) {
		int number = w->next_variable;

		thread_end(w, &worlds[i], ids[i]);
		if (i < THREADS - 1)
			continue;
		for (int n = number - THREADS + 1; n <= number; n++) {
			say(w, "pthread_join(id%d, NULL);", n);
			came(w, "joined");
		}
	}
}

/* ------------------------------------------------------------------------ */

static const struct {
	void (*run)(struct world *w);
	unsigned weight;
	bool alone; /* leaves holes, or needs the whole process */
	bool nests;
} operations[] = {
	{ op_map, 16, false, false },	   { op_map_odd, 6, false, false },
	{ op_map_over, 8, false, false },  { op_map_over_odd, 2, false, false },
	{ op_unmap, 12, false, false },	   { op_unmap_odd, 2, false, false },
	{ op_range, 20, false, false },	   { op_range_odd, 4, false, false },
	{ op_resize, 10, false, false },   { op_move, 6, false, false },
	{ op_move_many, 3, false, false }, { op_move_odd, 3, false, false },
	{ op_twin, 1, false, false },	   { op_trim, 3, false, false },
	{ op_reserve, 3, false, false },   { op_stack, 3, false, false },
	{ op_fill, 14, false, false },	   { op_look, 14, false, false },
	{ op_hole, 8, true, false },	   { op_attach, 2, true, false },
	{ op_splice, 2, true, false },	   { op_heap, 2, true, false },
	{ op_heap_kept, 4, true, false },  { op_storm, 1, true, true },
	{ op_lock_all, 1, true, true },	   { op_fork, 1, true, true },
	{ op_threads, 1, true, true },
};

static size_t choose(struct world *w)
{
	size_t all = 0, at;

	for (size_t i = 0; i < LENGTH(operations); i++)
		all += operations[i].weight;
	at = draw_below(w, all);
	for (size_t i = 0;; i++) {
		if (at < operations[i].weight)
			return i;
		at -= operations[i].weight;
	}
}

void operate(struct world *w)
{
	size_t i = choose(w);

	world_make_room(w);
	if (operations[i].alone && w->beside_others)
		return;
	if (operations[i].nests && !w->may_nest)
		return;
	operations[i].run(w);
}
