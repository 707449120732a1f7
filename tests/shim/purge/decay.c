/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * LLFREE_DECAY_MS: memory that was used again and again stays at hand, and goes
 * back when it is not used any more.
 */
#include "tests/shim/shim.h"

#define MIB ((size_t)1 << 20)
#define LARGE (32 * MIB)

static void use(size_t len)
{
	char *p = map(len);

	must(all_bytes(p, len, 0));
	memset(p, 'u', len);
	must(munmap(p, len) == 0);
}

/* Calls, as a program at work makes them. */
static bool works_with_less(size_t bytes)
{
	for (int n = 0; n < 10; n++)
		use(page_size());
	return resident() <= bytes;
}

static bool shrinks_to(size_t bytes)
{
	return eventually(works_with_less, bytes);
}

/* What was used before counts only if that was a moment ago. */
static bool keeps(size_t bytes)
{
	for (int i = 0; i < 5; i++)
		use(LARGE);
	return resident() > bytes;
}

static void large(void)
{
	size_t before = resident();

	if (have_shim())
		must(eventually(keeps, before + LARGE / 2));
	ok(shrinks_to(before + 4 * MIB), "a large region that came and went");
	use(LARGE);
}

/* Every other one is kept, so there is no whole 2 MiB page to give back. */
static void scattered(void)
{
	size_t count = 512, len = 4 * page_size(), before;
	char *p[512];
	bool good = true;

	before = resident() + count / 2 * len;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < count; i++) {
			p[i] = map(len);
			good = good && all_bytes(p[i], len, 0);
			memset(p[i], (int)i | 1, len);
		}
		for (size_t i = 0; i < count; i++)
			if (i % 2 || round < 2)
				must(munmap(p[i], len) == 0);
	}
	ok(shrinks_to(before + MIB / 2), "small ones between others");
	for (size_t i = 0; i < count; i += 2) {
		good = good && all_bytes(p[i], len, (char)(i | 1));
		must(munmap(p[i], len) == 0);
	}
	ok(good, "and these keep what they hold");
}

int main(void)
{
	with_setting("LLFREE_DECAY_MS", "400");
	large();
	scattered();
	return done();
}
