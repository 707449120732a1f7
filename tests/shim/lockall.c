/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * mlockall: locks what is in use, and nothing that is not.
 */
#include "tests/shim/shim.h"

#include <sys/resource.h>

#define MIB ((size_t)1 << 20)

static size_t status_of(const char *name)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];
	size_t kib = 0;

	while (status && fgets(line, sizeof(line), status))
		if (strncmp(line, name, strlen(name)) == 0)
			kib = strtoul(line + strlen(name) + 1, NULL, 10);
	if (status)
		fclose(status);
	return kib * 1024;
}

static bool may_lock(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_MEMLOCK, &limit);
	return geteuid() == 0 || limit.rlim_cur == RLIM_INFINITY;
}

static void current(void)
{
	char *p = map(4 * MIB), *q;
	unsigned char vec[1024];
	bool good = true;

	memset(p, 'c', MIB);
	must(munmap(p, MIB / 2) == 0);
	must(succeeds(mlockall(MCL_CURRENT)));
	must(mincore(p + MIB / 2, 3 * MIB, vec) == 0);
	for (size_t i = 0; i < 3 * MIB / page_size(); i++)
		good = good && vec[i] & 1;
	ok(good, "MCL_CURRENT: what is in use is resident");
	ok(status_of("VmLck:") < 64 * MIB, "and little else is locked");
	q = map(MIB);
	ok(all_bytes(q, MIB, 0), "what is mapped next is zero");
	must(munmap(q, MIB) == 0);
	must(munmap(p, 4 * MIB) == 0);
	must(succeeds(munlockall()));
	ok(status_of("VmLck:") == 0, "munlockall");
}

static void future(void)
{
	char *before = map(MIB), *p;
	unsigned char vec[256];
	bool good = true;

	memset(before, 'b', MIB);
	must(succeeds(mlockall(MCL_CURRENT | MCL_FUTURE)));
	p = mmap(NULL, MIB, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(mincore(p, MIB, vec) == 0);
	for (size_t i = 0; i < MIB / page_size(); i++)
		good = good && vec[i] & 1;
	ok(good && all_bytes(p, MIB, 0),
	   "MCL_FUTURE: what is mapped is resident and zero");
	ok(all_bytes(before, MIB, 'b'), "what was there stays");
	ok(mmap(before, MIB / 2, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == before &&
		   all_bytes(before, MIB / 2, 0) &&
		   all_bytes(before + MIB / 2, MIB / 2, 'b'),
	   "MAP_FIXED over it");
	must(succeeds(munmap(before, MIB)));
	must(succeeds(munmap(p, MIB)));
	must(succeeds(munlockall()));
	ok(status_of("VmLck:") == 0, "munlockall");
	p = map(MIB);
	ok(all_bytes(p, MIB, 0), "memory is mapped as before");
	memset(p, 'a', MIB);
	must(munmap(p, MIB) == 0);
}

int main(void)
{
	if (!may_lock()) {
		printf("1..0 # SKIP no right to lock memory\n");
		return 0;
	}
	current();
	future();
	return done();
}
