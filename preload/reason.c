/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/reason.h"

#include <stdint.h>
#include <sys/mman.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* Only x86 has it; elsewhere no bit. */
#ifdef MAP_32BIT
#define FLAGS_LOW MAP_32BIT
#else
#define FLAGS_LOW 0
#endif

/* Flags that leave the memory as it is, or that the kernel ignores. */
#define FLAGS_HARMLESS                                             \
	(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK | \
	 MAP_POPULATE | MAP_NONBLOCK | MAP_DENYWRITE | MAP_EXECUTABLE)

static enum route by_kind(int flags)
{
	if (!(flags & MAP_ANONYMOUS))
		return ROUTE_FILE;
	switch (flags & MAP_TYPE) {
	case MAP_PRIVATE:
		return ROUTE_SERVE;
	case MAP_SHARED:
	case MAP_SHARED_VALIDATE:
		return ROUTE_SHARED;
	default:
		return ROUTE_INVALID;
	}
}

static enum route by_protection(int prot)
{
	if (prot == (PROT_READ | PROT_WRITE))
		return ROUTE_SERVE;
	if (prot == PROT_NONE)
		return ROUTE_PROT_NONE;
	return prot & PROT_EXEC ? ROUTE_EXECUTABLE : ROUTE_NOT_WRITABLE;
}

static enum route by_flags(const void *addr, int flags)
{
	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
		return ROUTE_FIXED;
	if (addr)
		return ROUTE_HINT;
	if (flags & MAP_HUGETLB)
		return ROUTE_HUGETLB;
	if (flags & MAP_GROWSDOWN)
		return ROUTE_GROWSDOWN;
	if (flags & FLAGS_LOW)
		return ROUTE_LOW;
	if (flags & MAP_LOCKED)
		return ROUTE_LOCKED;
	return flags & ~FLAGS_HARMLESS ? ROUTE_FLAGS : ROUTE_SERVE;
}

static enum route first_of(enum route a, enum route b)
{
	return a == ROUTE_SERVE ? b : a;
}

enum route route_mmap(const void *addr, size_t len, int prot, int flags,
		      off_t offset, size_t page, size_t max)
{
	enum route route;

	if (len == 0 || len > PTRDIFF_MAX || (size_t)offset & (page - 1))
		return ROUTE_INVALID;
	route = first_of(by_kind(flags), by_protection(prot));
	route = first_of(route, by_flags(addr, flags));
	return first_of(route, len > max ? ROUTE_TOO_LARGE : ROUTE_SERVE);
}

static const struct {
	const char *key;
	const char *text;
	bool servable;
} names[ROUTE_COUNT] = {
	[ROUTE_SERVE] = { "served", "served", false },
	[ROUTE_INVALID] = { "invalid", "bad arguments", false },
	[ROUTE_FILE] = { "file", "a file is mapped", false },
	[ROUTE_SHARED] = { "shared", "shared between processes", false },
	[ROUTE_PROT_NONE] = { "prot_none", "reserved without access", false },
	[ROUTE_EXECUTABLE] = { "executable", "executable", false },
	[ROUTE_NOT_WRITABLE] = { "not_writable", "not writable", false },
	[ROUTE_FIXED] = { "fixed", "at a fixed address", false },
	[ROUTE_HINT] = { "hint", "near an address asked for", false },
	[ROUTE_HUGETLB] = { "hugetlb", "from the huge-page pool", false },
	[ROUTE_GROWSDOWN] = { "growsdown", "grows downwards", false },
	[ROUTE_LOW] = { "low", "in the low 2 GiB", false },
	[ROUTE_LOCKED] = { "locked", "locked in memory", false },
	[ROUTE_FLAGS] = { "flags", "other flags", false },
	[ROUTE_TOO_LARGE] = { "too_large", "above LLFREE_MAX_REGION", true },
	[ROUTE_EARLY] = { "early", "while setting up", true },
	[ROUTE_OFF] = { "off", "no arena in this process", true },
	[ROUTE_LOCK_ALL] = { "lock_all", "after mlockall", false },
	[ROUTE_MAX] = { "max", "refused, above LLFREE_MAX", true },
	[ROUTE_ARENA_FULL] = { "arena_full", "arena full", true },
	[ROUTE_KERNEL_REFUSED] = { "kernel_refused", "arena could not grow",
				   true },
	[ROUTE_OUTSIDE] = { "outside", "moves memory of the kernel", false },
	[ROUTE_HEAP_FULL] = { "heap_full", "no room behind the heap", false },
};

const char *route_key(enum route route)
{
	return names[route].key;
}

const char *route_text(enum route route)
{
	return names[route].text;
}

bool route_is_servable(enum route route)
{
	return names[route].servable;
}
