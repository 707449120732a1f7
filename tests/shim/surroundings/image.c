/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What the saved image of a running Lisp is like: linked to a place of its own,
 * and started again with nothing placed at random, it goes on with the heap that
 * it had behind its data.
 */
#include "tests/shim/shim.h"

#include <sys/personality.h>

extern char end[];

static void start_again(char **argv)
{
	int persona = personality(0xffffffff);

	if (persona != -1 && !(persona & ADDR_NO_RANDOMIZE) &&
	    personality((unsigned)persona | ADDR_NO_RANDOMIZE) != -1)
		execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
	const char *what = "the heap is right behind the program's data";
	uintptr_t start;

	(void)argc;
	start_again(argv);
	start = (uintptr_t)sbrk(0);
	if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE))
		skip(what, "personality not allowed");
	else
		ok(start >= (uintptr_t)end &&
			   start - (uintptr_t)end < (1 << 20),
		   "%s", what);
	return done();
}
