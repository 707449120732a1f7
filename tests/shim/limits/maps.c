/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * As many mappings as the kernel allows: guard pages for as long as there is
 * room for more, then work at the limit, and after it.
 */
#include "tests/shim/shim.h"

#define REGION 256 /* pages, each second one a guard */
#define REGIONS 400
#define MOST 80000

static size_t page, most, made;
static char *regions[REGIONS];

/* Apart from guards: the program, its libraries, and what the library under
 * test needs for itself. */
#define OTHERS 400

static size_t read_most(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
	size_t n = 0;

	if (file && fscanf(file, "%zu", &n) != 1)
		n = 0;
	if (file)
		fclose(file);
	return n;
}

/* How many guards before the kernel refuses. */
static size_t guard_all(void)
{
	size_t guards = 0;

	for (made = 0; made < REGIONS;) {
		char *p = mmap(NULL, REGION * page, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return errno == ENOMEM ? guards : 0;
		regions[made++] = p;
		for (size_t i = 0; i < REGION; i += 2, guards++) {
			p[i * page] = p[(i + 1) * page] = 'g';
			if (mprotect(p + i * page, page, PROT_NONE))
				return errno == ENOMEM ? guards : 0;
		}
	}
	return guards;
}

static bool enough(size_t guards)
{
	if (guards * 2 + OTHERS < most)
		fprintf(stderr, "# %zu guards of %zu mappings\n", guards, most);
	return guards * 2 + OTHERS >= most;
}

static bool contents_are_whole(void)
{
	for (size_t i = 0; i + 1 < made; i++)
		for (size_t at = 1; at < REGION; at += 2)
			if (regions[i][at * page] != 'g')
				return false;
	return true;
}

/* Mappings of which each is unlike the next, so that they stay apart. */
#define APART 100
static char *apart[APART];

static void map_apart(void)
{
	for (size_t i = 0; i < APART; i++) {
		apart[i] = map(4 * page);
		memset(apart[i], 'a', 4 * page);
		must(mprotect(apart[i], 4 * page,
			      i & 1 ? PROT_READ : PROT_NONE) == 0);
	}
}

/* One page less of each, at its start or end: no mapping more. */
static bool a_page_goes(void)
{
	for (size_t i = 0; i < APART; i++) {
		char *gone = apart[i] + (i & 2 ? 3 * page : 0);

		if (munmap(gone, page) || !is_unmapped(gone, page) ||
		    !is_mapped(apart[i] + page, 2 * page))
			return false;
	}
	return true;
}

static bool the_rest_goes(void)
{
	for (size_t i = 0; i < APART; i++)
		if (munmap(apart[i], 4 * page))
			return false;
	return true;
}

static bool all_go(void)
{
	while (made > 0)
		if (munmap(regions[--made], REGION * page))
			return false;
	return true;
}

static bool fresh(void)
{
	for (size_t i = 0; i < 100; i++) {
		char *p = map(REGION * page);
		bool good = all_bytes(p, REGION * page, 0);

		memset(p, 'f', REGION * page);
		if (!good || munmap(p, REGION * page))
			return false;
	}
	return true;
}

int main(void)
{
	page = page_size();
	most = read_most();
	if (!most || most > MOST) {
		skip("as many mappings as there may be", "too many of them");
		return done();
	}
	map_apart();
	ok(enough(guard_all()), "as many guard pages as there may be");
	ok(contents_are_whole(), "between them all is as it was");
	ok(a_page_goes(), "what is unmapped at the limit is unmapped");
	ok(the_rest_goes(), "and the rest of it");
	ok(mprotect(regions[1], page, PROT_READ | PROT_WRITE) == 0 &&
		   regions[1][0] == 'g',
	   "a guard page can be opened");
	ok(all_go(), "regions can be unmapped");
	ok(fresh(), "what is mapped then is fresh");
	ok(enough(guard_all()), "as many guard pages again");
	ok(all_go() && fresh(), "and fresh memory");
	return done();
}
