/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * brk and sbrk, and malloc's main heap on top of them.
 */
#include "tests/shim/shim.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>

#define MIB ((size_t)1 << 20)
#define FAILED ((void *)-1)

static size_t page;

/* The break, at the start of a page. */
static char *even_break(void)
{
	size_t odd = (uintptr_t)sbrk(0) % page;

	must(!odd || sbrk((intptr_t)(page - odd)) != FAILED);
	return sbrk(0);
}

static void moves(void)
{
	char *start = even_break();

	if (have_shim())
		must(in_arena(start));
	errno = 4711;
	ok(sbrk((intptr_t)(10 * page + 5)) == start && errno == 4711,
	   "sbrk returns where the break was");
	ok(sbrk(0) == start + 10 * page + 5, "and moves it");
	ok(all_bytes(start, 11 * page, 0), "what is new is zero");
	memset(start, 'h', 11 * page);
	ok(succeeds(brk(start + 3 * page)) && sbrk(0) == start + 3 * page,
	   "brk moves it back");
	ok(is_unmapped(start + 3 * page, 8 * page),
	   "nothing is mapped behind it");
	ok(succeeds(brk(start + 11 * page)) &&
		   all_bytes(start, 3 * page, 'h') &&
		   all_bytes(start + 3 * page, 8 * page, 0),
	   "what comes back is zero, what stayed is not");
	memset(start, 'p', 2 * page);
	must(brk(start + page + 7) == 0 && brk(start + 2 * page) == 0);
	ok(all_bytes(start, 2 * page, 'p'), "a part of a page stays");
	must(brk(start) == 0);
}

static void refuses(void)
{
	char *start = even_break();

	ok(fails_with(brk((void *)-(intptr_t)page), ENOMEM),
	   "brk to the end of all addresses: ENOMEM");
	ok(fails_with(sbrk(INTPTR_MAX), ENOMEM),
	   "sbrk of half of all addresses: ENOMEM");
	ok(succeeds(brk((void *)page)) && sbrk(0) == start,
	   "brk to below the heap does nothing");
	ok(succeeds(brk(NULL)) && sbrk(0) == start, "nor does brk to 0");
}

/* Something else in its way. */
static void obstructed(void)
{
	char *start = even_break(), *rock;

	must(sbrk((intptr_t)page) == start);
	rock = mmap(start + 5 * page, page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	must(rock == start + 5 * page);
	*rock = 'r';
	ok(fails_with(brk(start + 9 * page), ENOMEM),
	   "the heap does not grow over a mapping");
	ok(brk(start + 3 * page) == 0 && *rock == 'r', "but as far as that");
	must(munmap(rock, page) == 0);
	ok(brk(start + 9 * page) == 0 &&
		   all_bytes(start + 3 * page, 6 * page, 0),
	   "and further once it is gone");
	must(munmap(start + 2 * page, page) == 0);
	ok(is_unmapped(start + 2 * page, page) && brk(start) == 0,
	   "a hole in the heap is no obstacle to its shrinking");
	must(brk(start + 9 * page) == 0);
	ok(all_bytes(start, 9 * page, 0), "nor is it there afterwards");
	must(brk(start) == 0);
}

static void protected(void)
{
	char *start = even_break();

	must(sbrk((intptr_t)(8 * page)) == start);
	must(mprotect(start + 2 * page, 2 * page, PROT_NONE) == 0);
	ok(fault_of(start + 2 * page, false) == SIGSEGV,
	   "a page of the heap without access");
	must(brk(start) == 0 && brk(start + 8 * page) == 0);
	ok(fault_of(start + 2 * page, true) == 0,
	   "has it again after the heap was there anew");
	must(brk(start) == 0);
}

static void large(void)
{
	char *start = even_break();
	size_t len = 60 * MIB;

	must(sbrk((intptr_t)len) == start);
	for (size_t at = 0; at < len; at += page) {
		must(start[at] == 0);
		start[at] = 'l';
	}
	must(brk(start + MIB) == 0 && brk(start + len) == 0);
	ok(start[MIB - page] == 'l' && start[MIB] == 0 && start[len / 2] == 0 &&
		   start[len - page] == 0,
	   "60 MiB, back, and forth");
	must(brk(start) == 0);
}

static char *shared;

static bool child_grows(void)
{
	char *more = sbrk((intptr_t)(4 * page));

	if (more == FAILED || !all_bytes(shared, page, 's') ||
	    !all_bytes(more, 4 * page, 0))
		return false;
	memset(shared, 'c', page);
	memset(more, 'c', 4 * page);
	return brk(shared) == 0;
}

static void forked(void)
{
	char *more;

	shared = even_break();
	must(sbrk((intptr_t)page) == shared);
	memset(shared, 's', page);
	ok(in_child(child_grows), "a child of fork has a heap of its own");
	more = sbrk((intptr_t)(4 * page));
	ok(more == shared + page && all_bytes(shared, page, 's') &&
		   all_bytes(more, 4 * page, 0),
	   "and its parent's is as it was");
	must(brk(shared) == 0);
}

static bool below_limit(void)
{
	struct rlimit limit = { 300 * MIB, 300 * MIB };

	return setrlimit(RLIMIT_DATA, &limit) == 0 &&
	       fails_with(sbrk((intptr_t)(301 * MIB)), ENOMEM) &&
	       sbrk((intptr_t)(10 * MIB)) != FAILED;
}

/* sbrk is not made for threads: the break ends anywhere. All that must hold
 * is that it is usable. */
static pthread_barrier_t barrier;

static void *keep_moving(void *seed)
{
	struct random r = { (uint64_t)(uintptr_t)seed * 7919 };

	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 3000; i++) {
		intptr_t by = (intptr_t)(draw_below(&r, 9) * page);

		sbrk(draw(&r) & 1 ? by : -by);
	}
	pthread_barrier_wait(&barrier);
	return NULL;
}

static bool beside_threads(void)
{
	char *start;

	/* Making a thread, and its end, take memory of malloc's. */
	pthread_barrier_init(&barrier, NULL, 4);
	for (size_t i = 0; i < 3; i++) {
		pthread_t thread;

		must(pthread_create(&thread, NULL, keep_moving,
				    (void *)(i + 1)) == 0);
	}
	start = even_break() + MIB;
	must(brk(start + 40 * MIB) == 0);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return brk(start) == 0 && sbrk(0) == start &&
	       is_unmapped(start, 16 * page) &&
	       sbrk((intptr_t)(16 * page)) == start &&
	       all_bytes(start, 16 * page, 0);
}

#define BLOCKS 20000
#define BLOCK 1000

static void by_malloc(void)
{
	static char *blocks[BLOCKS];
	char *before;
	bool good = true;

	mallopt(M_MMAP_THRESHOLD, (int)MIB);
	mallopt(M_TRIM_THRESHOLD, (int)(64 * MIB));
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(BLOCK);
		must(blocks[i]);
		memset(blocks[i], (int)i, BLOCK);
	}
	for (size_t i = 0; i < BLOCKS; i++)
		good = good && all_bytes(blocks[i], BLOCK, (char)i);
	ok(good, "malloc of 20 MB in small pieces");
	if (have_shim())
		must(in_arena(blocks[BLOCKS - 1]));
	before = sbrk(0);
	ok(before - blocks[0] >= (ptrdiff_t)BLOCKS * BLOCK &&
		   before - blocks[0] < (ptrdiff_t)(BLOCKS * BLOCK + 2 * MIB),
	   "which lie side by side in the heap");
	for (size_t i = 0; i < BLOCKS; i++)
		free(blocks[i]);
	ok(malloc_trim(0) == 1 && before - (char *)sbrk(0) > 15 * (int)MIB,
	   "malloc_trim gives them back");
	good = true;
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = calloc(1, BLOCK);
		good = good && all_bytes(blocks[i], BLOCK, 0);
	}
	ok(good, "calloc of as much is zero");
	for (size_t i = 0; i < BLOCKS; i++)
		free(blocks[i]);
}

int main(void)
{
	page = page_size();
	/* malloc's own heap lies below all that is tried here. */
	free(malloc(100));
	setvbuf(stdout, NULL, _IONBF, 0);
	moves();
	refuses();
	obstructed();
	protected();
	large();
	forked();
	ok(in_child(below_limit), "RLIMIT_DATA is a limit of the heap");
	ok(in_child(beside_threads), "a heap that threads move at once");
	by_malloc();
	return done();
}
