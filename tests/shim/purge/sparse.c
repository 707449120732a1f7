/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Memory follows use: a page that the program never touched does not become
 * resident, however often its region is freed and served again. Stacks of
 * coroutines, of each of which little is used, are the common case.
 */
#include "tests/shim/shim.h"

#define MIB ((size_t)1 << 20)
#define REGIONS 1000u
#define ROUNDS 4
/* What may be resident beside what the program has touched. */
#define BOUND (8 * MIB)

static size_t page;
static char *regions[REGIONS];

/* Resident bytes, over the rounds, beyond those before. */
static size_t most_resident(size_t len, size_t touched, bool guarded)
{
	size_t before = resident(), most = 0;

	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < REGIONS; i++) {
			char *p = regions[i] = map(len);

			if (guarded)
				must(mprotect(p, page, PROT_NONE) == 0);
			for (size_t t = 1; t <= touched; t++)
				p[len - t * page] = (char)round;
		}
		if (resident() > before + most)
			most = resident() - before;
		for (size_t i = 0; i < REGIONS; i++)
			must(munmap(regions[i], len) == 0);
	}
	return most;
}

static void follows_use(size_t pages, size_t touched, bool guarded)
{
	size_t most = most_resident(pages * page, touched, guarded);
	size_t used = REGIONS * touched * page;

	ok(most <= used + BOUND,
	   "%zu of %zu pages touched%s: %zu KiB, %zu KiB of them used", touched,
	   pages, guarded ? ", one protected" : "", most >> 10, used >> 10);
}

/* What was dirty reads as zero again, wherever in the page it was. */
static void reads_zero(void)
{
	size_t len = 16 * page;
	bool good = true;

	for (size_t at = 0; at < len; at += page / 8 - 1) {
		char *p = map(len);

		good = good && all_bytes(p, len, 0);
		p[at] = 'z';
		must(munmap(p, len) == 0);
	}
	ok(good, "one byte of a page, the rest never written");
}

int main(void)
{
	page = page_size();
	follows_use(16, 1, false);
	follows_use(30, 1, false);
	follows_use(16, 2, true);
	follows_use(100, 1, false);
	follows_use(600, 3, false);
	reads_zero();
	return done();
}
