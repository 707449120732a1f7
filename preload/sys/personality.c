/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/sys/personality.h"

#include "preload/sys/sys.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/personality.h>

#define ASK 0xffffffff

/* The kernel keeps it by thread. To pass what could be served is no mistake, so
 * once a thread has set it, that is so for all of them, and stays. */
static bool executes;

/* The program headers lie where they say that they do. */
static bool is_placed(void)
{
	uintptr_t headers = getauxval(AT_PHDR);
	const ElfW(Phdr) *header = (const ElfW(Phdr) *)headers;

	for (size_t i = 0; headers && i < getauxval(AT_PHNUM); i++)
		if (header[i].p_type == PT_PHDR)
			return header[i].p_vaddr == headers;
	return false;
}

bool personality_places_heap(void)
{
	return is_placed() && !sandboxed() &&
	       sys_call(SYS_personality, ASK, 0, 0, 0, 0, 0) &
		       ADDR_NO_RANDOMIZE;
}

void personality_changed(unsigned long persona)
{
	if (persona != ASK && persona & READ_IMPLIES_EXEC)
		__atomic_store_n(&executes, true, __ATOMIC_RELAXED);
}

bool personality_executes(void)
{
	return __atomic_load_n(&executes, __ATOMIC_RELAXED);
}
