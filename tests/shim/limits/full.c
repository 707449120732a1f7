/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * When the arena is full, or a region larger than what is served, the kernel
 * steps in.
 */
#include "tests/shim/shim.h"

#define MIB ((size_t)1 << 20)
#define REGIONS 100

static void fill(size_t len, const char *what)
{
	char *p[REGIONS];
	bool good = true;
	size_t arena = 0;

	for (size_t i = 0; i < REGIONS; i++) {
		p[i] = map(len);
		good = good && p[i][0] == 0 && p[i][len - 1] == 0;
		memset(p[i], (int)i + 1, len);
		arena += in_arena(p[i]);
	}
	for (size_t i = 0; i < REGIONS; i++) {
		good = good && all_bytes(p[i], len, (char)(i + 1));
		must(munmap(p[i], len) == 0);
	}
	if (have_shim())
		must(arena > 0 && arena < REGIONS);
	ok(good, "more than fits, %s each", what);
}

static void grow(void)
{
	size_t len = MIB;
	char *p = map(len);
	bool good = true;

	memset(p, 'g', len);
	for (; len < 128 * MIB; len *= 2) {
		char *q = mremap(p, len, 2 * len, MREMAP_MAYMOVE);

		must(q != MAP_FAILED);
		good = good && all_bytes(q, len, 'g') &&
		       all_bytes(q + len, len, 0);
		memset(q + len, 'g', len);
		p = q;
	}
	if (have_shim())
		must(!in_arena(p));
	ok(good, "a region grows out of the arena");
	for (; len > MIB; len /= 2)
		must(mremap(p, len, len / 2, 0) == p);
	ok(all_bytes(p, len, 'g'), "and shrinks again");
	must(munmap(p, len) == 0);
}

int main(void)
{
	with_setting("LLFREE_ARENA", "64M");
	setenv("SHIM_TEST_UNSERVED", "1", 1);
	fill(MIB, "1 MiB");
	fill(MIB, "1 MiB, once more");
	fill(5 * MIB, "5 MiB");
	fill(MIB - 4096, "1 MiB but a page");
	grow();
	return done();
}
