/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A child of fork has its own copy of everything, and goes on mapping; also
 * when other threads of its parent were in the middle of doing so.
 */
#include "tests/shim/shim.h"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#define MIB ((size_t)1 << 20)

static size_t page;
static char *shared;

static bool child_changes(void)
{
	char *p;

	if (!all_bytes(shared, MIB, 'p'))
		return false;
	memset(shared, 'c', MIB);
	if (munmap(shared, MIB / 2))
		return false;
	p = map(MIB);
	if (!all_bytes(p, MIB, 0))
		return false;
	memset(p, 'n', MIB);
	return all_bytes(shared + MIB / 2, MIB / 2, 'c') && munmap(p, MIB) == 0;
}

static void own_copy(void)
{
	char *later;

	shared = map(MIB);
	memset(shared, 'p', MIB);
	ok(in_child(child_changes), "the child has its own copy");
	ok(all_bytes(shared, MIB, 'p'), "the parent's is as it was");
	later = map(MIB);
	ok(all_bytes(later, MIB, 0), "and what it maps then is zero");
	memset(later, 'l', MIB);
	ok(all_bytes(shared, MIB, 'p'), "and its own");
	must(munmap(later, MIB) == 0);
	must(munmap(shared, MIB) == 0);
}

static bool churn(size_t rounds, uint64_t seed)
{
	struct random r = { seed };
	char *p[16] = { NULL };
	size_t len[16] = { 0 };

	for (size_t i = 0; i < rounds; i++) {
		size_t at = draw_below(&r, 16);

		if (p[at]) {
			if (p[at][0] != (char)at + 1 || munmap(p[at], len[at]))
				return false;
			p[at] = NULL;
			continue;
		}
		len[at] = (1 + draw_below(&r, 20)) * page;
		p[at] = map(len[at]);
		if (p[at][0] || p[at][len[at] - 1])
			return false;
		memset(p[at], (int)at + 1, len[at]);
	}
	for (size_t i = 0; i < 16; i++)
		if (p[i] && munmap(p[i], len[i]))
			return false;
	return true;
}

static bool stop;

static void *keep_churning(void *seed)
{
	bool good = true;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		good = good && churn(100, (uint64_t)(uintptr_t)seed);
	return good ? NULL : seed;
}

static bool child_churns(void)
{
	return churn(500, 99);
}

static bool child_forks(void)
{
	return churn(50, 3) && in_child(child_churns) && churn(50, 4);
}

static void beside_threads(void)
{
	pthread_t threads[3];
	bool good = true;
	void *bad;

	/* While one thread maps a part of the arena the others do without. */
	setenv("SHIM_TEST_UNSERVED", "1", 1);
	for (size_t i = 0; i < 3; i++)
		must(pthread_create(&threads[i], NULL, keep_churning,
				    (void *)(i + 1)) == 0);
	for (int i = 0; i < 80; i++)
		good = good && in_child(child_churns);
	for (int i = 0; i < 20; i++)
		good = good && in_child(child_forks);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	ok(good, "100 children of a process whose threads map all the time");
	good = true;
	for (size_t i = 0; i < 3; i++) {
		pthread_join(threads[i], &bad);
		good = good && !bad;
	}
	ok(good, "whose threads notice nothing");
}

/* Without libc knowing: no handler of fork runs. */
static void raw_fork(void)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0L, 0L, 0L, 0L);
	if (pid == 0)
		_exit(churn(500, 5) ? 0 : 1);
	ok(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0,
	   "a child that was made by a bare system call");
}

/* MADV_DONTFORK and MADV_WIPEONFORK on served memory. */
static char *kept_back, *wiped;

static bool child_looks(void)
{
	return fault_of(kept_back, false) == SIGSEGV &&
	       all_bytes(wiped, 4 * page, 0) &&
	       munmap(kept_back, 4 * page) == 0 &&
	       munmap(wiped, 4 * page) == 0 && churn(300, 6);
}

static void advised(void)
{
	kept_back = map(4 * page);
	wiped = map(4 * page);
	memset(kept_back, 'k', 4 * page);
	memset(wiped, 'w', 4 * page);
	must(madvise(kept_back, 4 * page, MADV_DONTFORK) == 0);
	must(madvise(wiped, 4 * page, MADV_WIPEONFORK) == 0);
	ok(in_child(child_looks), "MADV_DONTFORK and MADV_WIPEONFORK");
	ok(all_bytes(kept_back, 4 * page, 'k') &&
		   all_bytes(wiped, 4 * page, 'w'),
	   "which concern the child only");
	must(munmap(kept_back, 4 * page) == 0);
	must(munmap(wiped, 4 * page) == 0);
}

int main(void)
{
	page = page_size();
	own_copy();
	raw_fork();
	advised();
	beside_threads();
	return done();
}
