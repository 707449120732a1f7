/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/sys/personality.h"

#include "preload/sys/atomic.h"
#include "preload/sys/sandbox.h"
#include "preload/sys/sys.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
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
		atom_store(&executes, true);
}

bool personality_executes(void)
{
	return atom_load(&executes);
}

int personality_protection(int prot)
{
	return prot & PROT_READ && personality_executes() ? prot | PROT_EXEC
							  : prot;
}
