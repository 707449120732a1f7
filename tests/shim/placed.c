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
	char *want = __atomic_load_n(&known[i % (THREADS * HELD)],
				     __ATOMIC_RELAXED);
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
		must(pthread_create(&threads[i], NULL, holder, (void *)i) ==
		     0);
	for (size_t i = 0; i < PROBES; i++)
		probe(i);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ok(bad == 0, "MAP_FIXED_NOREPLACE never takes what a thread has");
}

int main(void)
{
	page = page_size();
	len = 4 * page;
	hints();
	never_replaces();
	return done();
}
