/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A signal handler that jumps out of mmap, munmap or mremap, wherever they
 * are. What they were about may be lost; nothing else may be.
 */
#include "tests/shim/shim.h"

#define HELD 32
#define JUMPS 1000
#define LONGEST 60 /* microseconds from the begin of a call to a signal */

static size_t page;
static sigjmp_buf back;
static volatile sig_atomic_t armed, jumps;
static struct {
	char *at;
	size_t len;
} held[HELD];

static void handler(int signal)
{
	(void)signal;
	if (!armed)
		return;
	armed = 0;
	jumps++;
	siglongjmp(back, 1);
}

static bool is_whole(size_t i)
{
	return !held[i].at || all_bytes(held[i].at, held[i].len, (char)(i + 1));
}

/* The region of a slot, which is empty while it changes hands. */
static void change(size_t i, struct random *r)
{
	size_t len = (1 + draw_below(r, 60)) * page;
	char *at = held[i].at, *p;
	size_t old = held[i].len;

	held[i].at = NULL;
	signal_after(1 + (long)draw_below(r, LONGEST));
	armed = 1;
	if (!at)
		p = map(len);
	else if (draw(r) & 1)
		p = mremap(at, old, len, MREMAP_MAYMOVE);
	else
		p = munmap(at, old) ? MAP_FAILED : NULL;
	armed = 0;
	must(p != MAP_FAILED);
	if (!p)
		return;
	must(all_bytes(p, at && old < len ? old : at ? len : 0, (char)(i + 1)));
	must(all_bytes(p + (at ? old : 0),
		       !at || old < len ? len - (at ? old : 0) : 0, 0));
	memset(p, (int)i + 1, len);
	held[i].len = len;
	held[i].at = p;
}

int main(void)
{
	struct sigaction action = { .sa_handler = handler };
	static struct random r = { 17 };
	static bool good = true;

	page = page_size();
	/* A jump may leave a part of the arena half mapped: the next calls do
	 * without it. */
	setenv("SHIM_TEST_UNSERVED", "1", 1);
	sigaction(SIGALRM, &action, NULL);
	while (jumps < JUMPS) {
		size_t i = draw_below(&r, HELD);

		if (!sigsetjmp(back, 1))
			change(i, &r);
		good = good && is_whole(draw_below(&r, HELD));
	}
	for (size_t i = 0; i < HELD; i++) {
		good = good && is_whole(i);
		must(!held[i].at || munmap(held[i].at, held[i].len) == 0);
	}
	ok(good, "%d jumps out of calls, and all that is held is whole", JUMPS);
	return done();
}
