/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What fails in one thread, beside another: the kernel refuses mappings while
 * the heap grows, and a region in pieces cannot grow while others' pages come
 * and go. Neither notices the other.
 */
#include "tests/shim/shim.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#define MIB ((size_t)1 << 20)
#define HEAP_ROUNDS 20000
#define GROWTHS 8000
#define KEPT 256u

static volatile bool stop;
static size_t page;

/* ------------------------------------------------------------------------ */

/* More than there can be; and regions, so that there is something to tidy up. */
static void *be_refused(void *unused)
{
	for (size_t i = 0; !stop; i++) {
		size_t len = (1 + i % 64) * 16 * page;
		char *p = map(len);

		memset(p, 'r', len);
		must(mmap(NULL, (size_t)1 << 47, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			  0) == MAP_FAILED);
		must(munmap(p, len) == 0);
	}
	return unused;
}

static bool heap_grows(void)
{
	intptr_t len = 17 * MIB;
	char *p = sbrk(len);

	if (p == (char *)-1)
		return false;
	p[len - 1] = 1;
	return sbrk(-len) == p + len;
}

static void heap_beside_refusals(void)
{
	pthread_t thread;
	bool good = true;

	/* Ends a background thread: from here on there are two threads. */
	must(unshare(0) == 0);
	must(pthread_create(&thread, NULL, be_refused, NULL) == 0);
	for (int i = 0; i < HEAP_ROUNDS && good; i++)
		good = heap_grows();
	stop = true;
	must(pthread_join(thread, NULL) == 0);
	stop = false;
	ok(good, "the heap grows while the kernel refuses others");
}

/* ------------------------------------------------------------------------ */

static bool has_own(char **p, char **const *kept)
{
	for (size_t i = 0; i < KEPT; i++)
		if (kept[i] == p)
			return false;
	return !*p;
}

/* Single pages, each with its own address in it. */
static void *keep_pages(void *good)
{
	static char **kept[KEPT];

	for (size_t i = 0; !stop; i = (i + 1) % KEPT) {
		char **old = kept[i];

		kept[i] = NULL;
		if (old && (*old != (char *)old || munmap(old, page)))
			*(bool *)good = false;
		old = (char **)(void *)map(page);
		if (!has_own(old, kept))
			*(bool *)good = false;
		*old = (char *)old;
		kept[i] = old;
	}
	return good;
}

/* Grown elsewhere, and again to a piece of its own behind; locked, as far as
 * the limit goes. */
static char *in_pieces(size_t len)
{
	struct rlimit limit = { len, len };
	char *p = map(len / 2), *behind = map(len / 2);

	memset(p, 'p', len / 2);
	behind[0] = 'b';
	p = mremap(p, len / 2, len, MREMAP_MAYMOVE);
	must(p != MAP_FAILED);
	memset(p, 'p', len);
	if (mlock(p, len) || setrlimit(RLIMIT_MEMLOCK, &limit) ||
	    (!getuid() && setresuid(65534, 65534, 65534)))
		return NULL;
	return p;
}

static void growth_that_fails(void)
{
	bool others = true, mine = true;
	size_t len = MIB / 2;
	char *p = in_pieces(len);
	pthread_t thread;

	if (!p) {
		skip("growth that fails midway", "nothing can be locked here");
		return;
	}
	must(pthread_create(&thread, NULL, keep_pages, &others) == 0);
	for (int i = 0; i < GROWTHS && mine && others; i++)
		mine = mremap(p, len, 2 * len, MREMAP_MAYMOVE) == MAP_FAILED &&
		       (i % 100 || all_bytes(p, len, 'p'));
	stop = true;
	must(pthread_join(thread, NULL) == 0);
	ok(mine, "what cannot grow stays as it is");
	ok(others, "and others' pages are their own");
}

int main(void)
{
	page = page_size();
	heap_beside_refusals();
	growth_that_fails();
	return done();
}
