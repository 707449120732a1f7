/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * mlockall: locks what is in use, and nothing that is not; and succeeds or fails
 * by the limit on locked memory as it would without the library.
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
	char *before = map(MIB), *p, *heap;
	unsigned char vec[256];
	bool good = true;

	memset(before, 'b', MIB);
	must(succeeds(mlockall(MCL_CURRENT | MCL_FUTURE)));
	p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0);
	must(mincore(p, MIB, vec) == 0);
	for (size_t i = 0; i < MIB / page_size(); i++)
		good = good && vec[i] & 1;
	ok(good && all_bytes(p, MIB, 0),
	   "MCL_FUTURE: what is mapped is resident and zero");
	ok(all_bytes(before, MIB, 'b'), "what was there stays");
	heap = sbrk(MIB);
	ok(heap != (void *)-1 && all_bytes(heap, MIB, 0) &&
		   sbrk(-(intptr_t)MIB) != (void *)-1,
	   "the heap grows");
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

/* Of what has been unmapped here and there, nothing comes back. */
#define HOLES 64u
static char *kept[HOLES];

static void make_holes(void)
{
	for (size_t i = 0; i < HOLES; i++)
		kept[i] = map(4 * MIB);
	for (size_t i = 0; i < HOLES; i++)
		must(munmap(kept[i] + page_size(), 4 * MIB - page_size()) == 0);
}

static bool holes_stay_empty(void)
{
	make_holes();
	must(mlockall(MCL_CURRENT) == 0);
	return status_of("VmHWM:") < 64 * MIB && status_of("VmLck:") < 64 * MIB;
}

/* What every user may lock, usually. */
#define LIMIT (8 * MIB)

static void limit_locks(void)
{
	struct rlimit limit;

	must(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
	limit.rlim_cur = LIMIT;
	must(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
	must(geteuid() != 0 || seteuid(65534) == 0);
}

static bool enough(void)
{
	char *p = map(4 * MIB);

	make_holes();
	memset(p, 'l', 4 * MIB);
	limit_locks();
	return succeeds(mlockall(MCL_CURRENT)) &&
	       status_of("VmLck:") >= 4 * MIB && status_of("VmLck:") <= LIMIT &&
	       all_bytes(p, 4 * MIB, 'l') && succeeds(munlockall()) &&
	       status_of("VmLck:") == 0;
}

static bool too_little(void)
{
	map(LIMIT);
	limit_locks();
	return fails_with(mlockall(MCL_CURRENT), ENOMEM) &&
	       fails_with(mlockall(MCL_CURRENT | MCL_FUTURE), ENOMEM) &&
	       status_of("VmLck:") == 0;
}

static void *try_map(size_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* What is unmapped makes room. */
static bool enough_in_future(void)
{
	char *p = map(4 * MIB);

	limit_locks();
	if (mlockall(MCL_CURRENT | MCL_FUTURE) ||
	    !fails_with(try_map(LIMIT), EAGAIN))
		return false;
	for (size_t i = 0; i < 4; i++)
		must(munmap(p + i * MIB, MIB) == 0);
	p = try_map(4 * MIB);
	return p != MAP_FAILED && all_bytes(p, 4 * MIB, 0) &&
	       status_of("VmLck:") >= 4 * MIB;
}

static bool again_without_future(void)
{
	char *p;

	limit_locks();
	if (mlockall(MCL_CURRENT | MCL_FUTURE) || mlockall(MCL_CURRENT))
		return false;
	p = try_map(64 * MIB);
	return p != MAP_FAILED && status_of("VmLck:") <= LIMIT;
}

static void limited(void)
{
	ok(in_child(holes_stay_empty), "what was unmapped is not populated");
	ok(in_child(enough), "with a limit: what is in use fits");
	ok(in_child(too_little), "or does not, ENOMEM");
	ok(in_child(enough_in_future),
	   "MCL_FUTURE: what is unmapped makes room, EAGAIN without");
	ok(in_child(again_without_future), "until MCL_CURRENT alone");
}

int main(void)
{
	if (!may_lock()) {
		printf("1..0 # SKIP no right to lock memory\n");
		return 0;
	}
	current();
	future();
	limited();
	return done();
}
