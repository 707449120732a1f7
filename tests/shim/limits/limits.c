/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Limits on memory: what fits below them is given, what does not is refused
 * with ENOMEM, and an idle process is charged next to nothing.
 */
#include "tests/shim/shim.h"

#include <sys/resource.h>

#define MIB ((size_t)1 << 20)

/* Bytes that the kernel charges where it does not overcommit: of all private
 * mappings that are writable. */
static size_t charged(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	uintptr_t start, end;
	char line[4096], access[8];
	size_t sum = 0;

	must(maps);
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %7s", &start, &end, access) == 3 &&
		    access[1] == 'w' && access[3] == 'p')
			sum += end - start;
	fclose(maps);
	return sum;
}

static bool charged_little(void)
{
	size_t before = charged(), with, after;
	char *p = map(100 * MIB);

	with = charged();
	must(munmap(p, 100 * MIB) == 0);
	after = charged();
	if (before > 50 * MIB || with > before + 140 * MIB || after > with)
		fprintf(stderr, "# charged %zu, %zu, %zu MiB\n", before / MIB,
			with / MIB, after / MIB);
	return before <= 50 * MIB && with >= before + 100 * MIB &&
	       with <= before + 140 * MIB && after <= with;
}

/* Bytes of address space in use. */
static size_t space_used(void)
{
	FILE *statm = fopen("/proc/self/statm", "r");
	size_t pages = 0;

	must(statm && fscanf(statm, "%zu", &pages) == 1);
	fclose(statm);
	return pages * page_size();
}

static bool limit(int resource, size_t bytes)
{
	struct rlimit to = { bytes, bytes };

	return setrlimit(resource, &to) == 0;
}

/* How many MiB can be had in pieces of one. */
static size_t can_have(size_t most)
{
	size_t got = 0;

	for (; got < most; got++) {
		char *p = mmap(NULL, MIB, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED) {
			must(errno == ENOMEM);
			break;
		}
		memset(p, 'l', MIB);
	}
	return got;
}

static bool below_limit(int resource)
{
	size_t used = resource == RLIMIT_AS ? space_used() : 0;
	size_t got;

	if (!limit(resource, used + 300 * MIB))
		return false;
	got = can_have(1000);
	/* A little may have been mapped in advance. */
	if (got < 200 || got > 364)
		fprintf(stderr, "# got %zu MiB\n", got);
	return got >= 200 && got <= 364;
}

static bool below_space_limit(void)
{
	map(MIB);
	return below_limit(RLIMIT_AS);
}

static bool below_data_limit(void)
{
	return below_limit(RLIMIT_DATA);
}

/* What was unmapped is there for mappings of every kind. */
static bool available_again(void)
{
	if (!limit(RLIMIT_AS, space_used() + 500 * MIB))
		return false;
	for (int i = 0; i < 3; i++) {
		char *p = map(300 * MIB), *q;

		must(munmap(p, 300 * MIB) == 0);
		q = mmap(NULL, 300 * MIB, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		must(q != MAP_FAILED);
		must(munmap(q, 300 * MIB) == 0);
	}
	return true;
}

/* In a process that starts with the limit. */
static void started_limited(size_t mib)
{
	char size[32], self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int status;
	pid_t pid;

	must(len > 0);
	self[len] = '\0';
	snprintf(size, sizeof(size), "%zu", mib);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		limit(RLIMIT_AS, mib * MIB);
		execl(self, self, size, (char *)NULL);
		_exit(1);
	}
	ok(waitpid(pid, &status, 0) == pid && status == 0,
	   "a process that starts with %zu MiB of address space", mib);
}

/* At least two thirds of it can be had. */
static int limited_main(size_t mib)
{
	size_t got = can_have(10000);

	if (got * 3 < mib * 2 - 30 || got > mib)
		fprintf(stderr, "# got %zu of %zu MiB\n", got, mib);
	return got * 3 >= mib * 2 - 30 && got <= mib ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return limited_main((size_t)atol(argv[1]));
	ok(space_used() < 200 * MIB, "little address space in use at first");
	ok(in_child(charged_little),
	   "little is charged at first, and then not much more than asked for");
	ok(in_child(available_again), "unmapped memory counts no longer");
	setenv("SHIM_TEST_UNSERVED", "1", 1);
	ok(in_child(below_space_limit), "RLIMIT_AS set by the program");
	ok(in_child(below_data_limit), "RLIMIT_DATA set by the program");
	started_limited(100);
	started_limited(400);
	started_limited(2000);
	return done();
}
