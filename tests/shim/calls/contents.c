/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What mmap gives reads as zero, fresh or used before, touched wholly, partly
 * or not at all, of any length.
 */
#include "tests/shim/shim.h"

#define MIB ((size_t)1 << 20)

static const size_t lengths[] = {
	1,	 4096,	  4097,	    12288,	     65536,    100000,
	131072,	 1000000, MIB,	    2 * MIB - 4096,  2 * MIB,  2 * MIB + 1,
	3 * MIB, 5 * MIB, 16 * MIB, 17 * MIB + 4096, 64 * MIB,
};
#define LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

/* Every `step` bytes. */
static void soil(char *p, size_t len, size_t step)
{
	for (size_t at = 0; at < len; at += step)
		p[at] = 'x';
}

static bool zero_again(size_t len, size_t step)
{
	bool good = true;

	for (int round = 0; round < 4; round++) {
		char *p = map(len);

		good = good && all_bytes(p, len, 0);
		if (step)
			soil(p, len, step);
		must(succeeds(munmap(p, len)));
	}
	return good;
}

static void each_length(void)
{
	for (size_t i = 0; i < LENGTHS; i++)
		ok(zero_again(lengths[i], 1) && zero_again(lengths[i], 50000) &&
			   zero_again(lengths[i], MIB) &&
			   zero_again(lengths[i], 0),
		   "%zu bytes read as zero, again and again", lengths[i]);
}

/* Many regions at once, freed in another order. */
static void shuffled(void)
{
	static char *regions[200];
	static size_t sizes[200];
	struct random r = { 42 };
	bool good = true;

	for (int i = 0; i < 20000; i++) {
		size_t at = draw_below(&r, 200);

		if (regions[at]) {
			must(munmap(regions[at], sizes[at]) == 0);
			regions[at] = NULL;
			continue;
		}
		sizes[at] = 1 + draw_below(&r, 60 * 4096);
		regions[at] = map(sizes[at]);
		for (size_t b = 0; b < sizes[at]; b += 512)
			good = good && regions[at][b] == 0;
		soil(regions[at], sizes[at], 512);
	}
	for (size_t i = 0; i < 200; i++)
		if (regions[i])
			must(munmap(regions[i], sizes[i]) == 0);
	ok(good, "20000 random regions, each zero at first");
}

static bool is_resident(char *p, size_t len)
{
	unsigned char vec[1024];
	size_t pages = len / page_size();

	must(mincore(p, len, vec) == 0);
	for (size_t i = 0; i < pages; i++)
		if (!(vec[i] & 1))
			return false;
	return true;
}

static void populated(void)
{
	bool good = true;

	for (int round = 0; round < 3; round++) {
		char *p = map_flags(MIB, MAP_POPULATE);

		good = good && is_resident(p, MIB) && all_bytes(p, MIB, 0);
		soil(p, MIB, 1);
		must(munmap(p, MIB) == 0);
	}
	ok(good, "MAP_POPULATE: resident before mmap returns, and zero");
}

static void other_flags(void)
{
	char *p = map_flags(8 * MIB, MAP_NORESERVE);
	char *q = map_flags(MIB, MAP_STACK);

	ok(all_bytes(p, 8 * MIB, 0) && all_bytes(q, MIB, 0),
	   "MAP_NORESERVE and MAP_STACK");
	must(munmap(p, 8 * MIB) == 0);
	must(munmap(q, MIB) == 0);
}

static void no_overlap(void)
{
	char *p[64];
	bool good = true;

	for (size_t i = 0; i < 64; i++) {
		p[i] = map(3 * 4096);
		memset(p[i], (int)i + 1, 3 * 4096);
	}
	for (size_t i = 0; i < 64; i++)
		good = good && all_bytes(p[i], 3 * 4096, (char)(i + 1));
	for (size_t i = 0; i < 64; i++)
		must(munmap(p[i], 3 * 4096) == 0);
	ok(good, "regions do not overlap");
}

int main(void)
{
	/* First: of memory that nobody has touched. */
	populated();
	each_length();
	shuffled();
	other_flags();
	no_overlap();
	return done();
}
