/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * LLFREE_STRICT=1: memory that was unmapped cannot be touched, as without the
 * library.
 */
#include "tests/shim/shim.h"

static size_t page;

static void one(size_t pages)
{
	char *p = map(pages * page), *q;

	memset(p, 's', pages * page);
	must(succeeds(munmap(p, pages * page)));
	ok(fault_of(p, false) == SIGSEGV &&
		   fault_of(p + (pages - 1) * page, true) == SIGSEGV,
	   "%zu pages cannot be touched after munmap", pages);
	q = map(pages * page);
	must(all_bytes(q, pages * page, 0));
	memset(q, 't', pages * page);
	must(munmap(q, pages * page) == 0);
}

static void part(void)
{
	char *p = map(9 * page);

	memset(p, 's', 9 * page);
	must(munmap(p + 3 * page, 2 * page) == 0);
	ok(fault_of(p + 3 * page, false) == SIGSEGV &&
		   fault_of(p + 4 * page, true) == SIGSEGV &&
		   all_bytes(p, 3 * page, 's') &&
		   all_bytes(p + 5 * page, 4 * page, 's'),
	   "nor can a part, and the rest stays");
	ok(mremap(p + 5 * page, 4 * page, 2 * page, 0) == p + 5 * page &&
		   fault_of(p + 7 * page, false) == SIGSEGV,
	   "nor what mremap has cut off");
	must(munmap(p, 9 * page) == 0);
}

int main(void)
{
	with_setting("LLFREE_STRICT", "1");
	page = page_size();
	one(1);
	one(7);
	one(700);
	part();
	return done();
}
