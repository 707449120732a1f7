/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Thousands of guard pages, and thousands of small regions: the kernel's limit
 * on the number of mappings is reached no earlier than without the library.
 */
#include "tests/shim/shim.h"

#include <pthread.h>

#define REGIONS 20000

static char *regions[REGIONS];

static void guarded(void)
{
	size_t page = page_size();
	size_t failed = 0;

	for (size_t i = 0; i < REGIONS; i++) {
		regions[i] = map(3 * page);
		failed += mprotect(regions[i], page, PROT_NONE) != 0;
		regions[i][page] = 'g';
	}
	ok(!failed, "%d regions with a guard page each", REGIONS);
	for (size_t i = 0; i < REGIONS; i++)
		failed += munmap(regions[i], 3 * page) != 0;
	ok(!failed, "which can be unmapped");
}

/* Each second one freed: holes everywhere. */
static void holes(void)
{
	size_t page = page_size();
	size_t failed = 0;

	for (size_t i = 0; i < REGIONS; i++) {
		regions[i] = map(2 * page);
		regions[i][0] = 'h';
	}
	for (size_t i = 0; i < REGIONS; i++)
		failed += munmap(regions[i] + page, page) != 0;
	for (size_t i = 0; i < REGIONS; i++)
		failed += munmap(regions[i], page) != 0;
	ok(!failed, "%d holes", REGIONS);
}

static void *nothing(void *arg)
{
	return arg;
}

static void threads(void)
{
	size_t failed = 0;

	for (int i = 0; i < 2000; i++) {
		pthread_t thread;

		failed += pthread_create(&thread, NULL, nothing, NULL) != 0 ||
			  pthread_join(thread, NULL) != 0;
	}
	ok(!failed, "2000 threads, one after the other");
}

int main(void)
{
	guarded();
	holes();
	threads();
	return done();
}
