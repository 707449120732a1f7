/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * mremap in all its forms.
 */
#include "tests/shim/shim.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define RW (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)
#define MIB ((size_t)1 << 20)

static size_t page;

static void number_pages(char *p, size_t pages, size_t from)
{
	for (size_t i = 0; i < pages; i++)
		*(size_t *)(void *)(p + i * page) = from + i;
}

static bool are_numbered(const char *p, size_t pages, size_t from)
{
	for (size_t i = 0; i < pages; i++)
		if (*(const size_t *)(const void *)(p + i * page) != from + i)
			return false;
	return true;
}

static void shrink(void)
{
	char *p = map(8 * page);

	number_pages(p, 8, 1);
	errno = 4711;
	ok(mremap(p, 8 * page, 3 * page, 0) == p && errno == 4711,
	   "shrinks in place");
	ok(are_numbered(p, 3, 1) && is_unmapped(p + 3 * page, 5 * page),
	   "keeps the beginning and unmaps the rest");
	ok(mremap(p, 3 * page, 3 * page, 0) == p, "same length");
	ok(mremap(p, 3 * page, 2 * page + 1, 0) == p && is_mapped(p, 3 * page),
	   "to a length within the last page");
	must(munmap(p, 3 * page) == 0);
}

/* Whether or not it can grow in place, the contents come along. */
static void grow(size_t from, size_t to)
{
	char *p = map(from * page), *q;
	bool good;

	number_pages(p, from, 100);
	errno = 4711;
	q = mremap(p, from * page, to * page, MREMAP_MAYMOVE);
	good = q != MAP_FAILED && errno == 4711 && are_numbered(q, from, 100);
	good = good && all_bytes(q + from * page, (to - from) * page, 0);
	good = good && (q == p || is_unmapped(p, from * page));
	number_pages(q, to, 7);
	good = good && are_numbered(q, to, 7);
	ok(good, "grows from %zu to %zu pages", from, to);
	must(munmap(q, to * page) == 0);
}

/* With something right behind it, it must move or fail. */
static void grow_blocked(size_t from, size_t to)
{
	char *all = map((from + 1) * page), *q;

	number_pages(all, from + 1, 1);
	ok(mremap(all, from * page, to * page, 0) == MAP_FAILED &&
		   errno == ENOMEM && are_numbered(all, from + 1, 1),
	   "%zu pages cannot grow over what is behind: ENOMEM", from);
	q = mremap(all, from * page, to * page, MREMAP_MAYMOVE);
	ok(q != MAP_FAILED && q != all && are_numbered(q, from, 1) &&
		   all_bytes(q + from * page, (to - from) * page, 0) &&
		   is_unmapped(all, from * page) &&
		   are_numbered(all + from * page, 1, from + 1),
	   "but moves to a place for %zu", to);
	must(munmap(q, to * page) == 0);
	must(munmap(all + from * page, page) == 0);
}

/* Memory that is touched here and there only stays so. */
static void grow_sparse(void)
{
	size_t pages = 2048;
	char *p = map((pages + 1) * page), *q;
	bool good = true;

	for (size_t i = 0; i < pages; i += 100)
		p[i * page] = 's';
	q = mremap(p, pages * page, 2 * pages * page, MREMAP_MAYMOVE);
	for (size_t i = 0; i < 2 * pages; i++)
		good = good &&
		       q[i * page] == (i < pages && i % 100 == 0 ? 's' : 0);
	ok(good, "sparse contents move as they are");
	must(munmap(q, 2 * pages * page) == 0);
	must(munmap(p + pages * page, page) == 0);
}

/* Again and again, as realloc does it. */
static void grow_again(void)
{
	size_t pages = 1;
	char *p = map(page), *block;
	bool good = true;

	number_pages(p, 1, 0);
	while (pages < 4000) {
		size_t more = pages + pages / 2 + 1;

		block = map(page);
		p = mremap(p, pages * page, more * page, MREMAP_MAYMOVE);
		must(p != MAP_FAILED);
		good = good && are_numbered(p, pages, 0);
		number_pages(p, more, 0);
		pages = more;
		must(munmap(block, page) == 0);
	}
	ok(good, "grows again and again");
	for (; pages > 1; pages /= 2) {
		must(mremap(p, pages * page, pages / 2 * page, 0) == p);
		good = good && are_numbered(p, pages / 2, 0);
	}
	ok(good, "and shrinks again");
	must(munmap(p, page) == 0);
}

static void fixed(size_t pages)
{
	char *p = map(pages * page);
	char *to = mmap(NULL, 2 * pages * page, PROT_NONE, PRIVATE, -1, 0);
	char *q;

	number_pages(p, pages, 5);
	q = mremap(p, pages * page, pages * page, MREMAP_MAYMOVE | MREMAP_FIXED,
		   to);
	ok(q == to && are_numbered(q, pages, 5) && is_unmapped(p, pages * page),
	   "%zu pages to a place of the kernel's", pages);
	p = map(2 * pages * page);
	memset(p, 'o', 2 * pages * page);
	q = mremap(to, pages * page, pages * page,
		   MREMAP_MAYMOVE | MREMAP_FIXED, p);
	ok(q == p && are_numbered(q, pages, 5) &&
		   all_bytes(p + pages * page, pages * page, 'o') &&
		   is_unmapped(to, pages * page),
	   "and back over other memory");
	must(munmap(p, 2 * pages * page) == 0);
	must(munmap(to, 2 * pages * page) == 0);
	q = map(2 * pages * page);
	ok(all_bytes(q, 2 * pages * page, 0), "what is mapped next is zero");
	must(munmap(q, 2 * pages * page) == 0);
}

static void fixed_other_length(void)
{
	char *p = map(8 * page);
	char *to = mmap(NULL, 16 * page, PROT_NONE, PRIVATE, -1, 0), *q;

	number_pages(p, 8, 9);
	q = mremap(p, 8 * page, 4 * page, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	ok(q == to && are_numbered(q, 4, 9) && is_unmapped(p, 8 * page),
	   "fixed and shorter: the rest is unmapped");
	must(munmap(to, 4 * page) == 0);
	p = map(4 * page);
	number_pages(p, 4, 3);
	q = mremap(p, 4 * page, 9 * page, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	ok(q == to && are_numbered(q, 4, 3) &&
		   all_bytes(q + 4 * page, 5 * page, 0) &&
		   is_unmapped(p, 4 * page),
	   "fixed and longer");
	must(munmap(to, 16 * page) == 0);
}

/* What is behind the new length is unmapped, whatever it is. */
static void fixed_shorter_with_hole(void)
{
	char *p = map(16 * page), *to = map(8 * page), *q;

	number_pages(p, 16, 4);
	must(munmap(p + 9 * page, 2 * page) == 0);
	must(mprotect(p + 12 * page, page, PROT_READ) == 0);
	q = mremap(p, 16 * page, 8 * page, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	ok(q == to && are_numbered(q, 8, 4) && is_unmapped(p, 16 * page),
	   "fixed and shorter, with a hole in what is unmapped");
	must(munmap(p, 16 * page) == 0);
	must(munmap(to, 8 * page) == 0);
	p = map(16 * page);
	to = map(8 * page);
	must(mprotect(p + 3 * page, page, PROT_READ) == 0);
	q = mremap(p, 16 * page, 8 * page, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	ok(q == MAP_FAILED && errno == EFAULT && is_mapped(p, 8 * page),
	   "fixed and shorter, of what the program keeps apart: EFAULT");
	must(munmap(p, 16 * page) == 0);
	must(munmap(to, 8 * page) == 0);
}

/* From one place of the arena to another. */
static void fixed_inside(void)
{
	char *p = map(64 * page), *q;

	number_pages(p, 64, 1);
	q = mremap(p, 8 * page, 8 * page, MREMAP_MAYMOVE | MREMAP_FIXED,
		   p + 32 * page);
	ok(q == p + 32 * page && are_numbered(q, 8, 1) &&
		   is_unmapped(p, 8 * page) &&
		   are_numbered(p + 40 * page, 24, 41),
	   "within one region");
	must(munmap(p, 64 * page) == 0);
}

static void dontunmap(void)
{
	char *p = map(300 * page), *q;

	number_pages(p, 300, 2);
	q = mremap(p, 300 * page, 300 * page, MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
		   NULL);
	if (q == MAP_FAILED && errno == EINVAL) {
		skip("MREMAP_DONTUNMAP", "not in this kernel");
	} else {
		ok(q != p && are_numbered(q, 300, 2) &&
			   all_bytes(p, 300 * page, 0),
		   "MREMAP_DONTUNMAP leaves zeros");
		number_pages(p, 300, 3);
		must(are_numbered(p, 300, 3));
		must(munmap(q, 300 * page) == 0);
	}
	must(munmap(p, 300 * page) == 0);
}

/* Memory that was moved itself, and has grown since: to the program it is one. */
static void dontunmap_moved(void)
{
	char *all = map(65 * page), *p, *q;

	number_pages(all, 64, 6);
	p = mremap(all, 64 * page, 128 * page, MREMAP_MAYMOVE);
	must(p != MAP_FAILED && p != all);
	number_pages(p, 128, 7);
	q = mremap(p, 128 * page, 128 * page, MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
		   NULL);
	if (q == MAP_FAILED && errno == EINVAL) {
		skip("MREMAP_DONTUNMAP of what was moved",
		     "not in this kernel");
	} else {
		ok(q != MAP_FAILED && are_numbered(q, 128, 7) &&
			   all_bytes(p, 128 * page, 0),
		   "MREMAP_DONTUNMAP of what was moved");
		number_pages(p, 128, 8);
		must(are_numbered(p, 128, 8));
		must(munmap(q, 128 * page) == 0);
	}
	must(munmap(p, 128 * page) == 0);
	must(munmap(all + 64 * page, page) == 0);
}

static void errors(void)
{
	char *p = map(4 * page), *q = map(4 * page);

#define FAILS(error, what, ...)                                             \
	ok(mremap(__VA_ARGS__) == MAP_FAILED && errno == (error), "%s: %s", \
	   what, #error)
	FAILS(EINVAL, "an odd address", p + 1, page, 2 * page, MREMAP_MAYMOVE);
	FAILS(EINVAL, "unknown flags", p, page, page, 0x100);
	FAILS(EINVAL, "no new length", p, page, 0, MREMAP_MAYMOVE);
	FAILS(EINVAL, "fixed without leave to move", p, page, page,
	      MREMAP_FIXED, q);
	FAILS(EINVAL, "fixed at an odd address", p, page, page,
	      MREMAP_MAYMOVE | MREMAP_FIXED, q + 1);
	FAILS(EINVAL, "fixed over itself", p, 2 * page, 2 * page,
	      MREMAP_MAYMOVE | MREMAP_FIXED, p + page);
	FAILS(EINVAL, "private memory from no old length", p, 0, page,
	      MREMAP_MAYMOVE);
	FAILS(EINVAL, "dontunmap of another length", p, page, 2 * page,
	      MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	FAILS(ENOMEM, "more than there can be", p, page, (size_t)1 << 46,
	      MREMAP_MAYMOVE);
	must(munmap(p + 2 * page, page) == 0);
	FAILS(EFAULT, "across a hole", p, 4 * page, 5 * page, MREMAP_MAYMOVE);
	must(munmap(p, 4 * page) == 0);
	FAILS(EFAULT, "of a hole", p, page, 2 * page, MREMAP_MAYMOVE);
	FAILS(EFAULT, "of a hole, shorter", p, 2 * page, page, 0);
	must(munmap(q, 4 * page) == 0);
}

/* What was altered keeps what it was altered to. */
static void altered(void)
{
	char *p = map(9 * page), *q;

	number_pages(p, 8, 4);
	must(mprotect(p, 8 * page, PROT_READ) == 0);
	q = mremap(p, 8 * page, 16 * page, MREMAP_MAYMOVE);
	ok(q != MAP_FAILED && are_numbered(q, 8, 4) &&
		   fault_of(q, true) == SIGSEGV &&
		   fault_of(q + 15 * page, true) == SIGSEGV,
	   "read-only memory stays read-only when it grows");
	ok(is_unmapped(p, 8 * page) || q == p, "and leaves its old place");
	must(munmap(q, 16 * page) == 0);
	must(munmap(p, 9 * page) == 0);
}

/* Memory that has grown, and was altered as a whole then, is one mapping. Only
 * what has a page is kept apart by the kernel when it is moved. */
static char *grown_and_read_only(char **behind)
{
	char *all = map(65 * page), *p, *moved;

	number_pages(all, 65, 11);
	p = mremap(all, 64 * page, 128 * page, MREMAP_MAYMOVE);
	must(p != MAP_FAILED && p != all);
	moved = mremap(p, 128 * page, 300 * page, MREMAP_MAYMOVE);
	must(moved != MAP_FAILED);
	number_pages(moved, 300, 11);
	must(mprotect(moved, 300 * page, PROT_READ) == 0);
	*behind = all + 64 * page;
	return moved;
}

static bool is_read_only(char *p, size_t numbered, size_t pages)
{
	return are_numbered(p, numbered, 11) &&
	       all_bytes(p + numbered * page, (pages - numbered) * page, 0) &&
	       fault_of(p, true) == SIGSEGV &&
	       fault_of(p + (pages - 1) * page, true) == SIGSEGV;
}

static void altered_after_growth(void)
{
	char *behind, *p = grown_and_read_only(&behind), *q;
	char *to = mmap(NULL, 500 * page, PROT_NONE, PRIVATE, -1, 0);

	q = mremap(p, 300 * page, 310 * page, 0);
	ok(q == p || errno == ENOMEM,
	   "what has grown and was altered grows in place, if there is room");
	must(q != p || munmap(p + 300 * page, 10 * page) == 0);
	q = mremap(p, 300 * page, 400 * page, MREMAP_MAYMOVE);
	ok(q != MAP_FAILED && is_read_only(q, 300, 400) &&
		   (q == p || is_unmapped(p, 300 * page)),
	   "what has grown and was altered grows");
	p = mremap(q, 400 * page, 450 * page, MREMAP_MAYMOVE);
	ok(p != MAP_FAILED && is_read_only(p, 300, 450), "and again");
	q = mremap(p, 450 * page, 500 * page, MREMAP_MAYMOVE | MREMAP_FIXED,
		   to);
	ok(q == to && is_read_only(q, 300, 500) && is_unmapped(p, 450 * page),
	   "also to a place of the program's choice");
	must(munmap(q, 500 * page) == 0);
	must(munmap(behind, page) == 0);
}

static void altered_after_growth_shrinks(size_t pages)
{
	char *behind, *p = grown_and_read_only(&behind), *q;
	char *to = map(pages * page);

	q = mremap(p, 300 * page, pages * page, MREMAP_MAYMOVE | MREMAP_FIXED,
		   to);
	ok(q == to && is_read_only(q, pages, pages) &&
		   is_unmapped(p, 300 * page),
	   "what has grown and was altered moves, of 300 pages %zu", pages);
	must(munmap(to, pages * page) == 0);
	must(munmap(p, 300 * page) == 0);
	must(munmap(behind, page) == 0);
}

static void altered_after_growth_stays(void)
{
	char *behind, *p = grown_and_read_only(&behind), *q;

	q = mremap(p, 300 * page, 300 * page, MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
		   NULL);
	if (q == MAP_FAILED && errno == EINVAL) {
		skip("MREMAP_DONTUNMAP of pieces", "not in this kernel");
	} else {
		ok(q != MAP_FAILED && is_read_only(q, 300, 300) &&
			   all_bytes(p, 300 * page, 0),
		   "MREMAP_DONTUNMAP of what has grown and was altered");
		must(munmap(q, 300 * page) == 0);
	}
	must(munmap(p, 300 * page) == 0);
	must(munmap(behind, page) == 0);
}

/* Fresh memory in the middle is as good as the rest. */
static void replaced_grows(void)
{
	char *p = map(16 * page), *q;

	number_pages(p, 16, 1);
	must(mmap(p + 3 * page, page, RW, PRIVATE | MAP_FIXED, -1, 0) ==
	     p + 3 * page);
	number_pages(p + 3 * page, 1, 4);
	q = mremap(p, 16 * page, 64 * page, MREMAP_MAYMOVE);
	ok(q != MAP_FAILED && are_numbered(q, 16, 1),
	   "a region grows with memory that was replaced in it");
	must(munmap(q, 64 * page) == 0);
}

static void altered_in_place(void)
{
	char *p = map(16 * page);

	number_pages(p, 16, 1);
	must(munmap(p + 8 * page, 8 * page) == 0);
	must(mlock(p, 8 * page) == 0);
	ok(mremap(p, 8 * page, 16 * page, 0) == p && are_numbered(p, 8, 1) &&
		   all_bytes(p + 8 * page, 8 * page, 0),
	   "locked memory grows in place");
	must(munmap(p, 16 * page) == 0);
	ok(is_unmapped(p, 16 * page), "and is unmapped");
}

static void altered_shrinks(void)
{
	char *p = map(8 * page);

	number_pages(p, 8, 4);
	must(mprotect(p + 5 * page, page, PROT_NONE) == 0);
	ok(mremap(p, 8 * page, 4 * page, 0) == p && are_numbered(p, 4, 4) &&
		   is_unmapped(p + 4 * page, 4 * page),
	   "altered memory can be cut off");
	must(munmap(p, 4 * page) == 0);
}

/* Shared memory in the place of private memory, twice. */
static void twice(void)
{
	char *p = map(4 * page), *q;

	must(mmap(p, 2 * page, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1,
		  0) == p);
	number_pages(p, 2, 6);
	q = mremap(p, 0, 2 * page, MREMAP_MAYMOVE);
	ok(q != MAP_FAILED && are_numbered(q, 2, 6), "shared memory twice");
	number_pages(q, 2, 8);
	ok(are_numbered(p, 2, 8), "which is the same memory");
	must(munmap(q, 2 * page) == 0);
	must(munmap(p, 4 * page) == 0);
}

/* Memory of the kernel's, moved by the kernel. */
static void outside(void)
{
	char *hint = mmap(NULL, 8 * page, PROT_NONE, PRIVATE, -1, 0), *q;

	must(mmap(hint, 2 * page, RW, PRIVATE | MAP_FIXED, -1, 0) == hint);
	number_pages(hint, 2, 1);
	q = mremap(hint, 2 * page, 30 * page, MREMAP_MAYMOVE);
	ok(q != MAP_FAILED && are_numbered(q, 2, 1), "memory of the kernel's");
	must(munmap(q, 30 * page) == 0);
	must(munmap(hint, 8 * page) == 0);
}

int main(void)
{
	stay_on_processor();
	page = page_size();
	shrink();
	grow(1, 2);
	grow(3, 5);
	grow(20, 21);
	grow(40, 600);
	grow(512, 1024);
	grow(600, 700);
	grow(1, 5000);
	grow_blocked(1, 2);
	grow_blocked(31, 40);
	grow_blocked(33, 1000);
	grow_blocked(1024, 1025);
	grow_sparse();
	grow_again();
	fixed(2);
	fixed(700);
	fixed_other_length();
	fixed_shorter_with_hole();
	fixed_inside();
	dontunmap();
	dontunmap_moved();
	errors();
	altered();
	altered_after_growth();
	altered_after_growth_shrinks(299);
	altered_after_growth_shrinks(128);
	altered_after_growth_shrinks(5);
	altered_after_growth_stays();
	replaced_grows();
	altered_in_place();
	altered_shrinks();
	twice();
	outside();
	return done();
}
