/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Memory at addresses that the program had before: hints are followed where
 * nothing is, and MAP_FIXED_NOREPLACE never takes what another thread has.
 */
#include "tests/shim/shim.h"

#include <pthread.h>

#define RW (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)
#define NOREPLACE 0x100000
#define THREADS 2
#define HELD 8
#define PROBES 60000

static size_t page, len;
static char *known[THREADS * HELD]; /* addresses once had */
static bool stop;
static unsigned bad;

static void hints(void)
{
	char *p = map(32 * page), *q;

	must(munmap(p, 32 * page) == 0);
	q = mmap(p + 16 * page, 16 * page, RW, PRIVATE, -1, 0);
	ok(q == p + 16 * page && all_bytes(q, 16 * page, 0),
	   "a hint is followed where nothing is");
	q = mmap(p, 20 * page, RW, PRIVATE, -1, 0);
	ok(q != MAP_FAILED && q != p, "and not where something is");
	must(munmap(q, 20 * page) == 0);
	must(munmap(p + 16 * page, 16 * page) == 0);
}

static void expect(const char *p, char value)
{
	if (!all_bytes(p, len, value))
		__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
}

static void *holder(void *arg)
{
	size_t me = (size_t)(uintptr_t)arg;
	char *held[HELD];

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		for (size_t i = 0; i < HELD; i++) {
			held[i] = map(len);
			expect(held[i], 0);
			memset(held[i], (int)me + 1, len);
			__atomic_store_n(&known[me * HELD + i], held[i],
					 __ATOMIC_RELAXED);
		}
		for (size_t i = 0; i < HELD; i++) {
			expect(held[i], (char)(me + 1));
			must(munmap(held[i], len) == 0);
		}
	}
	return NULL;
}

/* Another kind of memory now and then, which the kernel maps. */
static void probe(size_t i)
{
	int prot = i % 5 ? RW : RW | PROT_EXEC;
	char *want =
		__atomic_load_n(&known[i % (THREADS * HELD)], __ATOMIC_RELAXED);
	char *p;

	if (!want)
		return;
	p = mmap(want, len, prot, PRIVATE | NOREPLACE, -1, 0);
	if (p == MAP_FAILED) {
		must(errno == EEXIST);
		return;
	}
	must(p == want);
	expect(p, 0);
	memset(p, 'p', len);
	expect(p, 'p');
	must(munmap(p, len) == 0);
}

static void never_replaces(void)
{
	pthread_t threads[THREADS];

	setenv("SHIM_TEST_UNSERVED", "1", 1);
	for (size_t i = 0; i < THREADS; i++)
		must(pthread_create(&threads[i], NULL, holder, (void *)i) == 0);
	for (size_t i = 0; i < PROBES; i++)
		probe(i);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ok(bad == 0, "MAP_FIXED_NOREPLACE never takes what a thread has");
}

/* The kernel takes both flags together for the one that does not replace. */
static void both_flags(void)
{
	char *p = map(len);

	memset(p, 'b', len);
	ok(fails_with(mmap(p, len, RW, PRIVATE | MAP_FIXED | NOREPLACE, -1, 0),
		      EEXIST) &&
		   all_bytes(p, len, 'b'),
	   "with MAP_FIXED as well it replaces nothing");
	must(munmap(p, len) == 0);
}

static char *fixed(char *at, size_t bytes)
{
	return mmap(at, bytes, RW, PRIVATE | MAP_FIXED, -1, 0);
}

/* A region of *bytes that ends where what can be served at once may end, with a
 * page behind it that is the kernel's. */
static char *map_to_border(size_t *bytes)
{
	size_t tree = (size_t)16 << 20;

	*bytes = 4 * tree;
	for (size_t i = 0; i < 16; i++) {
		char *p = map(*bytes), *end = p + *bytes;
		size_t over = (uintptr_t)end % tree;

		if (!over &&
		    mmap(end, page, RW, PRIVATE | NOREPLACE, -1, 0) == end)
			return p;
		must(munmap(p, *bytes) == 0);
		*bytes = 4 * tree + (tree - over + i * tree) % (4 * tree);
	}
	/* Elsewhere there is no such border. */
	return map(*bytes + page);
}

/* From memory of ours into the kernel's. */
static void across(void)
{
	size_t bytes = 0;
	char *p = map_to_border(&bytes), *last = p + bytes - page;

	memset(last, 'o', 2 * page);
	ok(fixed(last, 2 * page) == last && all_bytes(last, 2 * page, 0),
	   "MAP_FIXED across what is served and what is not");
	must(munmap(p, bytes + page) == 0);
}

/* Too much from anywhere on. With page tables of five levels there are addresses
 * for those who ask for them. */
static size_t all_addresses(void)
{
	uintptr_t high = (uintptr_t)1 << 50;
	char *p = mmap((void *)high, page, PROT_NONE, PRIVATE, -1, 0);

	must(p != MAP_FAILED && munmap(p, page) == 0);
	return (size_t)1 << ((uintptr_t)p == high
				     ? 57
				     : 64 - __builtin_clzl(
						    getauxval(AT_RANDOM)));
}

/* Refused; what was there stays, and so does what is free there. */
static void too_long(void)
{
	size_t most = (size_t)1 << 62;
	char *p = map(4 * page), *q = map(4 * page);

	memset(p, 's', 4 * page);
	ok(fails_with(fixed(p, most), ENOMEM) &&
		   fails_with(mmap(p, most, RW | PROT_EXEC, PRIVATE | MAP_FIXED,
				   -1, 0),
			      ENOMEM) &&
		   all_bytes(p, 4 * page, 's'),
	   "MAP_FIXED of more than there can be is refused");
	ok(fails_with(mremap(q, 4 * page, all_addresses(),
			     MREMAP_MAYMOVE | MREMAP_FIXED, p),
		      EINVAL) &&
		   all_bytes(p, 4 * page, 's'),
	   "and moving there");
	must(munmap(p, 4 * page) == 0);
	must(munmap(q, 4 * page) == 0);
	p = map((size_t)256 << 20);
	ok(sbrk(32 << 20) != (void *)-1, "then there is memory as before");
	must(munmap(p, (size_t)256 << 20) == 0);
}

int main(void)
{
	page = page_size();
	len = 4 * page;
	hints();
	across();
	too_long();
	never_replaces();
	both_flags();
	return done();
}
