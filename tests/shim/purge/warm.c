/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A program that maps and unmaps over and over uses the same few pages each
 * time, whatever the sizes and their order.
 */
#include "tests/shim/shim.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

#define MIB ((size_t)1 << 20)

static size_t page_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (size_t)usage.ru_minflt;
}

/* Since there were `before`, with the library: at most so many. */
static bool few_faults(size_t before, size_t most)
{
	size_t faults = page_faults() - before;
	bool few = !have_shim() || faults <= most;

	if (!few)
		fprintf(stderr, "# %zu page faults, at most %zu\n", faults,
			most);
	return few;
}

static void touch(char *p, size_t len)
{
	for (size_t at = 0; at < len; at += page_size())
		p[at] = 'w';
}

/* With the library: at most so many page faults for all the rounds. */
static void loop(size_t len, int rounds, size_t most)
{
	size_t faults = page_faults();

	for (int i = 0; i < rounds; i++) {
		char *p = map(len);

		touch(p, len);
		must(munmap(p, len) == 0);
	}
	ok(few_faults(faults, most), "%zu KiB, %d times", len / 1024, rounds);
}

/* As php does. */
static void named(size_t most)
{
	size_t faults = page_faults();

	for (int i = 0; i < 50; i++) {
		char *p = map(2 * MIB);

		prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, 2 * MIB, "warm");
		touch(p, 2 * MIB);
		must(munmap(p, 2 * MIB) == 0);
	}
	ok(few_faults(faults, most), "memory with a name");
	ok(fails_with(prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, 1, 4096, "x"),
		      EINVAL),
	   "nowhere a name can be");
}

/* Up to twelve at once, of any size up to a MiB. */
static void mixed(size_t most)
{
	struct random random = { 4711 };
	size_t faults = page_faults();
	char *p[12] = { NULL };
	size_t len[12];

	for (int i = 0; i < 5000; i++) {
		size_t k = draw_below(&random, 12);

		if (p[k]) {
			must(munmap(p[k], len[k]) == 0);
			p[k] = NULL;
			continue;
		}
		len[k] = (1 + draw_below(&random, 255)) * page_size();
		p[k] = map(len[k]);
		touch(p[k], len[k]);
	}
	ok(few_faults(faults, most), "sizes at random");
	for (size_t k = 0; k < 12; k++)
		if (p[k])
			must(munmap(p[k], len[k]) == 0);
}

/* What a slow machine takes so long for that it goes back meanwhile is another
 * matter: decay.c. */
int main(void)
{
	with_setting("LLFREE_DECAY_MS", "-1");
	stay_on_processor();
	loop(4096, 20000, 64);
	loop(65536, 2000, 256);
	loop(2 * MIB, 50, 4 * 512);
	loop(16 * MIB, 10, 3 * 16 * 256);
	loop(48 * MIB, 5, 3 * 48 * 256);
	named(4 * 512);
	mixed(60000);
	return done();
}
