/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * munmap of a part of a region, of several regions at once, of holes, across
 * the edges of the arena, and with bad arguments.
 */
#include "tests/shim/shim.h"

#define GIB ((size_t)1 << 30)

static size_t page;

static void parts(void)
{
	char *p = map(32 * page);

	memset(p, 'a', 32 * page);
	ok(succeeds(munmap(p + 4 * page, page)), "a page in the middle");
	ok(is_unmapped(p + 4 * page, page) && is_mapped(p, 4 * page) &&
		   is_mapped(p + 5 * page, 27 * page),
	   "exactly that page is gone");
	ok(succeeds(munmap(p, 2 * page)) && is_unmapped(p, 2 * page) &&
		   is_mapped(p + 2 * page, 2 * page),
	   "the beginning");
	ok(succeeds(munmap(p + 30 * page, 2 * page)) &&
		   is_unmapped(p + 30 * page, 2 * page) &&
		   is_mapped(p + 5 * page, 25 * page),
	   "the end");
	ok(all_bytes(p + 2 * page, 2 * page, 'a') &&
		   all_bytes(p + 5 * page, 25 * page, 'a'),
	   "the contents of the rest are as they were");
	ok(succeeds(munmap(p, 32 * page)) && is_unmapped(p, 32 * page),
	   "all that is left, with the holes");
	ok(succeeds(munmap(p, 32 * page)), "once more: nothing but a hole");
}

static void unaligned_length(void)
{
	char *p = map(4 * page);

	ok(succeeds(munmap(p, page + 1)) && is_unmapped(p, 2 * page) &&
		   is_mapped(p + 2 * page, 2 * page),
	   "a length of a page and a byte takes two pages");
	must(munmap(p, 4 * page) == 0);
}

/* One page of each huge page, and all but one. */
static void large_parts(void)
{
	size_t len = 8 << 20;
	char *p = map(len);
	bool good = true;

	memset(p, 'b', len);
	for (size_t at = 0; at < len; at += 2 << 20)
		must(munmap(p + at + 5 * page, page) == 0);
	for (size_t at = 0; at < len; at += 2 << 20)
		good = good && is_unmapped(p + at + 5 * page, page) &&
		       all_bytes(p + at, 5 * page, 'b') &&
		       all_bytes(p + at + 6 * page, page, 'b');
	ok(good, "a page out of each 2 MiB of a large region");
	ok(succeeds(munmap(p + page, len - 2 * page)) && is_mapped(p, page) &&
		   is_mapped(p + len - page, page) &&
		   is_unmapped(p + page, len - 2 * page),
	   "all but the first and the last page");
	ok(p[0] == 'b' && p[len - 1] == 'b', "which keep their contents");
	must(munmap(p, len) == 0);
}

/* Regions one behind the other, made out of one. */
static void several(void)
{
	char *p = map(48 * page);

	for (size_t i = 0; i < 48; i += 6)
		must(munmap(p + i * page, 2 * page) == 0);
	ok(succeeds(munmap(p + 3 * page, 40 * page)) &&
		   is_mapped(p + 2 * page, page) &&
		   is_unmapped(p + 3 * page, 40 * page) &&
		   is_mapped(p + 44 * page, 4 * page),
	   "several regions and the holes between them at once");
	must(munmap(p, 48 * page) == 0);
}

/* 128 GiB of nothing below the region, and the region. */
static bool from_far_below(void)
{
	size_t pages = 4096; /* longer than what is free between libraries */
	char *p = map(pages * page);
	size_t far = 128 * GIB;

	return succeeds(munmap(p - far, far + 8 * page)) &&
	       is_unmapped(p, 8 * page) && is_mapped(p + 8 * page, 8 * page) &&
	       succeeds(munmap(p, pages * page));
}

static void bad_arguments(void)
{
	char *p = map(2 * page);

	ok(fails_with(munmap(p + 1, page), EINVAL), "an odd address: EINVAL");
	ok(fails_with(munmap(p, 0), EINVAL), "no length: EINVAL");
	ok(fails_with(munmap(p, SIZE_MAX), EINVAL), "the longest: EINVAL");
	ok(fails_with(munmap(p, SIZE_MAX - (size_t)p + 1), EINVAL),
	   "to the end of all addresses: EINVAL");
	ok(fails_with(munmap((void *)(UINTPTR_MAX & ~(page - 1)), page),
		      EINVAL),
	   "the last page of all addresses: EINVAL");
	ok(is_mapped(p, 2 * page), "nothing was unmapped by all that");
	must(munmap(p, 2 * page) == 0);
}

/* Freed exactly once: what came after must not be freed by a second call. */
static void twice(void)
{
	char *p = map(page), *q[512];
	bool good = true;

	must(munmap(p, page) == 0);
	must(munmap(p, page) == 0);
	for (size_t i = 0; i < 512; i++) {
		q[i] = map(page);
		q[i][0] = (char)i;
	}
	for (size_t i = 0; i < 512; i++)
		for (size_t j = 0; j < i; j++)
			good = good && q[i] != q[j];
	ok(good, "a page that was unmapped twice is not handed out twice");
	for (size_t i = 0; i < 512; i++)
		must(munmap(q[i], page) == 0);
}

int main(void)
{
	page = page_size();
	parts();
	unaligned_length();
	large_parts();
	several();
	ok(in_child(from_far_below), "from far outside into a region");
	bad_arguments();
	twice();
	return done();
}
