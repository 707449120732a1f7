/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The number of mappings, of which the kernel allows so many: a program that
 * alters its regions, in whatever way, has no more of them for having done so
 * before, and none is left when all regions are unmapped.
 */
#include "tests/shim/shim.h"

#define RW (PROT_READ | PROT_WRITE)
#define REGIONS 2000u
#define LONGEST 30u /* pages */
#define LEFT 16u

static size_t page;

/* One that keeps about half of its regions in use. */
struct region {
	char *at;
	size_t len;
};
static struct region regions[REGIONS];

/* By read(2), since stdio has memory of its own. */
static size_t mappings(void)
{
	static char text[1 << 16];
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	size_t lines = 0;
	ssize_t n;

	must(fd >= 0);
	while ((n = read(fd, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	must(n == 0);
	close(fd);
	return lines;
}

static void leave_alone(struct region *r)
{
	(void)r;
}

static void not_huge(struct region *r)
{
	must(madvise(r->at, r->len, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
}

static void not_forked(struct region *r)
{
	must(madvise(r->at, r->len, MADV_DONTFORK) == 0);
}

static void guarded(struct region *r)
{
	must(mprotect(r->at, page, PROT_NONE) == 0);
}

static void locked(struct region *r)
{
	must(mlock(r->at, page) == 0 || errno == ENOMEM || errno == EPERM);
}

static void replaced(struct region *r)
{
	must(mmap(r->at, page, PROT_READ,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == r->at);
}

static void moved(struct region *r)
{
	size_t len = r->len + 64 * page;

	r->at = mremap(r->at, r->len, len, MREMAP_MAYMOVE);
	must(r->at != MAP_FAILED);
	r->len = len;
}

static void make(struct region *r, size_t pages, void (*alter)(struct region *))
{
	r->len = pages * page;
	r->at = map(r->len);
	memset(r->at, 'm', r->len);
	alter(r);
}

static void unmake(struct region *r)
{
	must(munmap(r->at, r->len) == 0);
	r->at = NULL;
}

/* Each region altered with a chance of one in three. */
static size_t live_for_a_while(struct random *r, void (*alter)(struct region *))
{
	size_t most = 0, steps = sized(8000, 32000);

	for (size_t i = 0; i < steps; i++) {
		struct region *one = &regions[draw_below(r, REGIONS)];
		size_t pages = 1 + draw_below(r, LONGEST);

		if (one->at)
			unmake(one);
		else
			make(one, pages,
			     draw_below(r, 3) ? leave_alone : alter);
		if (i % (steps / 8) == steps / 8 - 1) {
			size_t now = mappings();

			most = now > most ? now : most;
		}
	}
	for (size_t i = 0; i < REGIONS; i++)
		if (regions[i].at)
			unmake(&regions[i]);
	return most;
}

static void many(const char *what, void (*alter)(struct region *))
{
	struct random r = { 88172645463325252u };
	size_t before = mappings(), most;

	most = live_for_a_while(&r, alter);
	ok(most <= before + REGIONS, "%s: no more than were made", what);
	ok(mappings() <= before + LEFT, "%s: and next to none is left", what);
}

int main(void)
{
	page = page_size();
	many("not altered", leave_alone);
	many("MADV_NOHUGEPAGE", not_huge);
	many("MADV_DONTFORK", not_forked);
	many("a guard page", guarded);
	many("a locked page", locked);
	many("another mapping", replaced);
	many("mremap", moved);
	return done();
}
