/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A file mapped by MAP_FIXED where other threads are just mapping and
 * unmapping, as a program must not do: it may hit what they have, but what is
 * mapped after all is over must be fresh memory, and never the file.
 */
#include "tests/shim/shim.h"

#include <pthread.h>

#define RW (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)
#define THREADS 2
#define HELD 8
#define ROUNDS 20000
#define REGIONS 4000

static size_t page, len;
static char *known[THREADS * HELD]; /* addresses once had */
static bool stop;
static int file;

/* Never touches what it maps: someone else's mapping may lie there. */
static void *keep_mapping(void *arg)
{
	size_t me = (size_t)(uintptr_t)arg;
	char *held[HELD];

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		for (size_t i = 0; i < HELD; i++) {
			held[i] = map(len);
			__atomic_store_n(&known[me * HELD + i], held[i],
					 __ATOMIC_RELAXED);
		}
		for (size_t i = 0; i < HELD; i++)
			must(munmap(held[i], len) == 0);
	}
	return NULL;
}

static void map_file(size_t i)
{
	char *want =
		__atomic_load_n(&known[i % (THREADS * HELD)], __ATOMIC_RELAXED);

	must(mmap(want, len, RW, MAP_SHARED | MAP_FIXED, file, 0) == want);
	must(munmap(want, len) == 0);
}

static bool all_known(void)
{
	for (size_t i = 0; i < THREADS * HELD; i++)
		if (!__atomic_load_n(&known[i], __ATOMIC_RELAXED))
			return false;
	return true;
}

static void collide(void)
{
	pthread_t threads[THREADS];

	setenv("SHIM_TEST_UNSERVED", "1", 1);
	for (size_t i = 0; i < THREADS; i++)
		must(pthread_create(&threads[i], NULL, keep_mapping,
				    (void *)i) == 0);
	while (!all_known())
		usleep(100);
	for (size_t i = 0; i < ROUNDS; i++)
		map_file(i);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	unsetenv("SHIM_TEST_UNSERVED");
}

static bool file_is_untouched(void)
{
	char *p = mmap(NULL, len, PROT_READ, MAP_SHARED, file, 0);
	bool good;

	must(p != MAP_FAILED);
	good = all_bytes(p, len, 0);
	must(munmap(p, len) == 0);
	return good;
}

static bool fresh_memory(void)
{
	static char *p[REGIONS];
	bool good = true;

	for (size_t i = 0; i < REGIONS; i++) {
		p[i] = map(len);
		good = good && all_bytes(p[i], len, 0);
		memset(p[i], 'f', len);
	}
	for (size_t i = 0; i < REGIONS; i++) {
		good = good && all_bytes(p[i], len, 'f');
		must(munmap(p[i], len) == 0);
	}
	return good;
}

int main(void)
{
	page = page_size();
	len = 4 * page;
	file = memfd_create("races", 0);
	must(file >= 0 && ftruncate(file, (off_t)len) == 0);
	collide();
	ok(fresh_memory(), "what is mapped afterwards is fresh memory");
	ok(file_is_untouched(), "and not the file");
	return done();
}
