/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * madvise that changes contents does to served memory what it does to any.
 */
#include "tests/shim/shim.h"

#define MIB ((size_t)1 << 20)

static size_t page;

static void dontneed(void)
{
	char *p = map(4 * MIB);

	memset(p, 'x', 4 * MIB);
	ok(succeeds(madvise(p + MIB, MIB, MADV_DONTNEED)), "MADV_DONTNEED");
	ok(all_bytes(p, MIB, 'x') && all_bytes(p + MIB, MIB, 0) &&
		   all_bytes(p + 2 * MIB, 2 * MIB, 'x'),
	   "exactly that part reads as zero");
	memset(p + MIB, 'y', page);
	ok(all_bytes(p + MIB, page, 'y') && p[MIB + page] == 0,
	   "and can be written again");
	must(munmap(p, 4 * MIB) == 0);
	p = map(4 * MIB);
	ok(all_bytes(p, 4 * MIB, 0), "what is mapped next is zero");
	must(munmap(p, 4 * MIB) == 0);
}

/* After MADV_FREE a page holds what it held, or zeros. */
static void lazy_free(void)
{
	char *p = map(MIB), *q;

	memset(p, 'f', MIB);
	ok(succeeds(madvise(p, MIB, MADV_FREE)), "MADV_FREE");
	ok(p[0] == 'f' || p[0] == 0, "leaves contents or zeros");
	memset(p, 'g', page);
	ok(all_bytes(p, page, 'g'), "what is written after it stays");
	must(munmap(p, MIB) == 0);
	q = map(MIB);
	ok(all_bytes(q, MIB, 0), "what is mapped next is zero");
	memset(q, 'h', MIB);
	ok(all_bytes(q, MIB, 'h'), "and keeps what is written");
	must(munmap(q, MIB) == 0);
}

static void on_and_on(void)
{
	char *p = map(8 * MIB);
	struct random r = { 7 };
	bool good = true;

	for (int i = 0; i < 300; i++) {
		size_t at = draw_below(&r, 2000) * page;
		size_t len = (1 + draw_below(&r, 48)) * page;

		memset(p + at, 'z', len);
		must(madvise(p + at, len, MADV_DONTNEED) == 0);
		good = good && all_bytes(p + at, len, 0);
	}
	ok(good, "300 times on random parts");
	must(munmap(p, 8 * MIB) == 0);
}

static void harmless(void)
{
	static const int advice[] = { MADV_NORMAL, MADV_WILLNEED, MADV_DOFORK,
				      MADV_DODUMP, MADV_KEEPONFORK };
	char *p = map(4 * page);
	bool good = true;

	memset(p, 'k', 4 * page);
	for (size_t i = 0; i < sizeof(advice) / sizeof(advice[0]); i++)
		good = good && succeeds(madvise(p, 4 * page, advice[i]));
	ok(good && all_bytes(p, 4 * page, 'k'),
	   "advice that changes nothing changes nothing");
	must(munmap(p, 4 * page) == 0);
}

int main(void)
{
	page = page_size();
	dontneed();
	lazy_free();
	on_and_on();
	harmless();
	return done();
}
