/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Forks again and again while three threads map, unmap, move regions, and grow
 * and trim the heap: at any moment of theirs. Each child finds what they held
 * as it was, and what it maps itself is fresh and no one else's.
 *
 * For life.sh, which looks at the children's reports.
 */
#include "tests/shim/shim.h"

#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/time.h>

#define THREADS 3
#define HELD 16
#define BLOCKS 64
#define PAGES 600 /* life.sh knows this */

/* A region while its contents are its owner's mark; NULL while they change. */
struct held {
	char *at;
	size_t len;
};

static size_t page;
static struct held held[THREADS][HELD];
static bool stop, bad;

static char mark_of(size_t thread, size_t i)
{
	return (char)(thread * HELD + i + 1);
}

static bool is_whole(const struct held *h, char mark)
{
	for (size_t at = 0; at < h->len; at += page)
		if (h->at[at] != mark || h->at[at + page - 1] != mark)
			return false;
	return true;
}

static void fill(char *at, size_t len, char mark)
{
	for (; len; len -= page, at += page)
		at[0] = at[page - 1] = mark;
}

static void publish(struct held *h, char *at)
{
	__atomic_store_n(&h->at, at, __ATOMIC_RELEASE);
}

static size_t draw_length(struct random *r)
{
	return (1 + draw_below(r, draw(r) & 1 ? 8 : PAGES)) * page;
}

static void change(struct held *h, char mark, struct random *r)
{
	char *at = h->at;
	size_t len = draw_length(r), old = h->len;

	publish(h, NULL);
	if (at && draw(r) & 1) {
		must(munmap(at, old) == 0);
		return;
	}
	at = at ? mremap(at, old, len, MREMAP_MAYMOVE) : map(len);
	must(at != MAP_FAILED);
	fill(at, len, mark);
	h->len = len;
	publish(h, at);
}

static void *keep_changing(void *arg)
{
	size_t me = (size_t)(uintptr_t)arg;
	struct random r = { (me + 1) * 7919 };
	char *blocks[BLOCKS] = { NULL };

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		size_t i = draw_below(&r, HELD), b = draw_below(&r, BLOCKS);

		change(&held[me][i], mark_of(me, i), &r);
		free(blocks[b]);
		blocks[b] = draw(&r) & 1 ? malloc(draw_below(&r, 60000)) : NULL;
		if (draw_below(&r, 100) == 0)
			malloc_trim(0);
	}
	return NULL;
}

/* What a child holds. */
#define OWN 10
static bool own_are_fresh(struct held *own)
{
	struct random r = { (uint64_t)getpid() };
	bool good = true;

	for (size_t i = 0; i < OWN; i++) {
		own[i].len = draw_length(&r);
		own[i].at = map(own[i].len);
		good = good && is_whole(&own[i], 0);
		fill(own[i].at, own[i].len, 'c');
	}
	return good;
}

static bool all_are_whole(const struct held *own)
{
	bool good = true;

	for (size_t i = 0; i < OWN; i++)
		good = good && is_whole(&own[i], 'c');
	for (size_t t = 0; t < THREADS; t++)
		for (size_t i = 0; i < HELD; i++)
			good = good && (!held[t][i].at ||
					is_whole(&held[t][i], mark_of(t, i)));
	return good;
}

static bool works(void)
{
	static struct held own[OWN];
	bool good = own_are_fresh(own) && all_are_whole(own);

	for (size_t i = 0; i < OWN; i += 2)
		good = good && munmap(own[i].at, own[i].len) == 0;
	return good;
}

/* The break is where some thread left it, perhaps half-way: it moves, or not. */
static bool heap_ends(void)
{
	char *before = sbrk((intptr_t)page);

	return before == (char *)-1 || (char *)sbrk(0) >= before;
}

static bool malloc_works(void)
{
	char *p = malloc(50000), *q = calloc(100, 1000);
	bool good = p && q && all_bytes(q, 100000, 0);

	free(q);
	free(p);
	return good;
}

/* By libc, which holds malloc's locks meanwhile; or without its knowledge. */
static pid_t fork_somehow(bool by_libc)
{
	return by_libc ? fork()
		       : (pid_t)syscall(SYS_clone, SIGCHLD, 0L, 0L, 0L, 0L);
}

static void child(bool by_libc)
{
	_exit(works() && (by_libc ? malloc_works() : heap_ends()) ? 0 : 1);
}

static bool one_child(bool by_libc)
{
	pid_t pid = fork_somehow(by_libc);
	int status;

	if (pid == 0)
		child(by_libc);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* One that returns from the handler, into the call that was interrupted. It
 * ends without a report: some of what the call does was counted before. */
static bool goes_on;

static bool child_goes_on(void)
{
	pid_t pid = fork_somehow(false);
	int status;

	goes_on = pid == 0;
	return goes_on || (pid > 0 && waitpid(pid, &status, 0) == pid &&
			   WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void end_if_gone_on(void)
{
	if (!goes_on)
		return;
	if (works())
		raise(SIGKILL);
	_exit(1);
}

/* From the middle of a call of this very thread. */
static volatile sig_atomic_t interruptions;

static void child_of_handler(int number)
{
	static bool next;
	int saved = errno;

	(void)number;
	interruptions++;
	next = !next;
	if (!(next ? child_goes_on() : one_child(false)))
		bad = true;
	errno = saved;
}

static void interrupted(struct random *r)
{
	struct held h = { NULL, 0 };
	int before = interruptions;

	signal_after(1 + (long)draw_below(r, 300));
	while (interruptions == before || h.at)
		change(&h, 'i', r);
	end_if_gone_on();
}

int main(void)
{
	size_t rounds = sized(20, 400);
	struct random r = { 23 };
	pthread_t threads[THREADS];

	page = page_size();
	/* All threads' blocks in the main heap. */
	mallopt(M_ARENA_MAX, 1);
	/* While one thread maps a part of the arena the others do without. */
	setenv("SHIM_TEST_UNSERVED", "1", 1);
	signal(SIGALRM, child_of_handler);
	for (size_t i = 0; i < THREADS; i++)
		must(pthread_create(&threads[i], NULL, keep_changing,
				    (void *)i) == 0);
	for (size_t i = 0; i < rounds && !bad; i++) {
		bad = bad || !one_child(true) || !one_child(false);
		interrupted(&r);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ok(!bad, "children find all as it was, and what they map is theirs");
	return done();
}
