/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Regions of a GiB and more: each is one range. They are touched here and
 * there only.
 */
#include "tests/shim/shim.h"

#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)
#define RW (PROT_READ | PROT_WRITE)
#define NORESERVE (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

/* A bit more often than once in 2 MiB, and off their borders. */
#define STEP (2 * MIB - 4096)

static char *large(size_t len)
{
	char *p = mmap(NULL, len, RW, NORESERVE, -1, 0);

	must(p != MAP_FAILED);
	if (have_shim())
		must(in_arena(p) && in_arena(p + len - 1));
	return p;
}

static void write_some(char *p, size_t len)
{
	for (size_t at = 0; at + sizeof(at) <= len; at += STEP)
		*(size_t *)(void *)(p + at) = at + 1;
}

/* Of what was written, what lies in [from, to) is there. */
static bool are_written(const char *p, size_t from, size_t to)
{
	for (size_t at = 0; at + sizeof(at) <= to; at += STEP)
		if (at >= from &&
		    *(const size_t *)(const void *)(p + at) != at + 1)
			return false;
	return true;
}

static bool are_zero(const char *p, size_t from, size_t to)
{
	for (size_t at = from; at < to; at += 4096)
		if (p[at])
			return false;
	return true;
}

static void come_and_go(size_t len)
{
	char *p = large(len), *q;

	ok(are_zero(p, 0, 64 * MIB) && p[len - 1] == 0, "%zu MiB, all zero",
	   len / MIB);
	write_some(p, len);
	ok(are_written(p, 0, len), "which can be written");
	must(munmap(p + len / 4, len / 2) == 0);
	ok(are_written(p, 0, len / 4) && are_written(p, len / 4 * 3, len) &&
		   is_unmapped(p + len / 4, MIB) &&
		   is_unmapped(p + len / 4 * 3 - MIB, MIB),
	   "without its middle half");
	must(munmap(p, len) == 0);
	q = large(len);
	ok(are_zero(q, 0, 16 * MIB) && are_zero(q, len - 16 * MIB, len) &&
		   are_zero(q, len / 2 - 8 * MIB, len / 2 + 8 * MIB),
	   "and zero again the next time");
	must(munmap(q, len) == 0);
}

static void resized(void)
{
	char *p = large(GIB), *q, *behind;

	write_some(p, GIB);
	q = mremap(p, GIB, 2 * GIB, MREMAP_MAYMOVE);
	must(q != MAP_FAILED);
	ok(are_written(q, 0, GIB) && q[GIB] == 0 && q[2 * GIB - 1] == 0,
	   "1 GiB grows to 2 GiB");
	write_some(q, 2 * GIB);
	ok(mremap(q, 2 * GIB, GIB, 0) == q && are_written(q, 0, GIB) &&
		   is_unmapped(q + GIB, MIB),
	   "and shrinks");
	behind = mmap(q + GIB, 4096, RW, NORESERVE | MAP_FIXED, -1, 0);
	must(behind == q + GIB);
	ok(fails_with(mremap(q, GIB, GIB + 4096, 0), ENOMEM),
	   "does not grow over what is behind");
	p = mremap(q, GIB, 2 * GIB, MREMAP_MAYMOVE);
	ok(p != MAP_FAILED && p != q && are_written(p, 0, GIB) && p[GIB] == 0 &&
		   is_unmapped(q, MIB),
	   "but moves");
	must(munmap(behind, 4096) == 0);
	must(munmap(p, 2 * GIB) == 0);
}

int main(void)
{
	size_t memory = (size_t)sysconf(_SC_PHYS_PAGES) * page_size();
	char *p;

	/* The arena is as large as the machine's memory. */
	if (memory < 8 * GIB) {
		skip("regions of some GiB", "too little memory");
		return done();
	}
	p = mmap(NULL, 4 * GIB, RW, NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		skip("regions of some GiB", "the kernel gives none");
		return done();
	}
	must(munmap(p, 4 * GIB) == 0);
	come_and_go(GIB);
	come_and_go(3 * GIB + 256 * 1024);
	resized();
	return done();
}
