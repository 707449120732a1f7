/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * READ_IMPLIES_EXEC: memory that a program may read it may execute.
 */
#include "tests/shim/shim.h"

#include <sys/personality.h>

#if defined(__x86_64__)
static const unsigned char returns[] = { 0xc3 };
#elif defined(__aarch64__)
static const unsigned char returns[] = { 0xc0, 0x03, 0x5f, 0xd6 };
#endif

#define MIB ((size_t)1 << 20)

static bool runs(char *code)
{
	struct sigaction catch = { .sa_handler = fault_handler }, before;
	int signal;

	memcpy(code, returns, sizeof(returns));
	__builtin___clear_cache(code, code + sizeof(returns));
	sigaction(SIGSEGV, &catch, &before);
	signal = sigsetjmp(fault_back, 1);
	if (!signal)
		((void (*)(void))(uintptr_t)code)();
	sigaction(SIGSEGV, &before, NULL);
	return signal == 0;
}

static char *mapped(char *at, int flags)
{
	char *p = mmap(at, MIB, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	must(p != MAP_FAILED);
	return p;
}

int main(void)
{
	char *before = map(MIB), *heap;

	must(sbrk((intptr_t)MIB) != (void *)-1);
	ok(!runs(before), "memory is not executable");
	must(munmap(before, MIB) == 0);
	if (personality(READ_IMPLIES_EXEC) == -1 ||
	    personality(0xffffffff) != READ_IMPLIES_EXEC) {
		skip("after READ_IMPLIES_EXEC", "personality not allowed");
		return done();
	}
	ok(runs(mapped(NULL, 0)), "after READ_IMPLIES_EXEC it is");
	ok(runs(mapped(before, 0)), "near a given address");
	ok(runs(mapped(before, MAP_FIXED)), "and at one");
	heap = sbrk((intptr_t)MIB);
	must(heap != (void *)-1);
	ok(runs(heap + MIB / 2), "so is what the heap gets");
	must(brk(heap) == 0 && sbrk((intptr_t)MIB) == heap);
	ok(runs(heap + MIB / 2), "and gets again");
	return done();
}
