/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/reason.h"

#include <stdint.h>
#include <sys/mman.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* Only x86 has this flag; elsewhere there is no bit. */
#ifdef MAP_32BIT
#define FLAGS_LOW MAP_32BIT
#else
#define FLAGS_LOW 0
#endif

/* Flags that do not change the kind of memory, or that the kernel ignores. */
#define FLAGS_HARMLESS                                             \
	(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK | \
	 MAP_POPULATE | MAP_NONBLOCK | MAP_DENYWRITE | MAP_EXECUTABLE)

static enum reason by_kind(int flags)
{
	if (!(flags & MAP_ANONYMOUS))
		return REASON_FILE;
	switch (flags & MAP_TYPE) {
	case MAP_PRIVATE:
		return REASON_NONE;
	case MAP_SHARED:
	case MAP_SHARED_VALIDATE:
		return REASON_SHARED;
	default:
		return REASON_INVALID;
	}
}

static enum reason by_protection(int prot)
{
	if (prot == (PROT_READ | PROT_WRITE))
		return REASON_NONE;
	if (prot == PROT_NONE)
		return REASON_PROT_NONE;
	return prot & PROT_EXEC ? REASON_EXECUTABLE : REASON_NOT_WRITABLE;
}

static enum reason by_flags(const void *addr, int flags)
{
	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
		return REASON_FIXED;
	if (addr)
		return REASON_HINT;
	if (flags & MAP_HUGETLB)
		return REASON_HUGETLB;
	if (flags & MAP_GROWSDOWN)
		return REASON_GROWSDOWN;
	if (flags & FLAGS_LOW)
		return REASON_LOW;
	if (flags & MAP_LOCKED)
		return REASON_LOCKED;
	return flags & ~FLAGS_HARMLESS ? REASON_FLAGS : REASON_NONE;
}

static enum reason first_of(enum reason a, enum reason b)
{
	return a == REASON_NONE ? b : a;
}

enum reason reason_to_pass(const void *addr, size_t len, int prot, int flags,
			   off_t offset, size_t page, size_t max)
{
	enum reason why;

	if (len == 0 || len > PTRDIFF_MAX || (size_t)offset & (page - 1))
		return REASON_INVALID;
	why = first_of(by_kind(flags), by_protection(prot));
	why = first_of(why, by_flags(addr, flags));
	return first_of(why, len > max ? REASON_TOO_LARGE : REASON_NONE);
}

static const struct {
	const char *key;
	const char *text;
	bool servable;
} names[REASON_COUNT] = {
	[REASON_NONE] = { "served", "served", false },
	[REASON_INVALID] = { "invalid", "bad arguments", false },
	[REASON_FILE] = { "file", "a file is mapped", false },
	[REASON_SHARED] = { "shared", "shared between processes", false },
	[REASON_PROT_NONE] = { "prot_none", "reserved without access", false },
	[REASON_EXECUTABLE] = { "executable", "executable", false },
	[REASON_NOT_WRITABLE] = { "not_writable", "not writable", false },
	[REASON_FIXED] = { "fixed", "at a fixed address", false },
	[REASON_HINT] = { "hint", "near an address asked for", false },
	[REASON_HUGETLB] = { "hugetlb", "from the huge-page pool", false },
	[REASON_GROWSDOWN] = { "growsdown", "grows downwards", false },
	[REASON_LOW] = { "low", "in the low 2 GiB", false },
	[REASON_LOCKED] = { "locked", "locked in memory", false },
	[REASON_FLAGS] = { "flags", "other flags", false },
	[REASON_TOO_LARGE] = { "too_large", "above LLFREE_MAX_REGION", true },
	[REASON_EARLY] = { "early", "while setting up", true },
	[REASON_OFF] = { "off", "no arena in this process", true },
	[REASON_LOCK_ALL] = { "lock_all", "after mlockall", false },
	[REASON_MAX] = { "max", "refused, above LLFREE_MAX", true },
	[REASON_ARENA_FULL] = { "arena_full", "arena full", true },
	[REASON_KERNEL_REFUSED] = { "kernel_refused", "arena could not grow",
				    true },
	[REASON_OUTSIDE] = { "outside", "moves memory of the kernel", false },
	[REASON_HEAP_FULL] = { "heap_full", "no room behind the heap", false },
};

const char *reason_key(enum reason why)
{
	return names[why].key;
}

const char *reason_text(enum reason why)
{
	return names[why].text;
}

bool reason_is_servable(enum reason why)
{
	return names[why].servable;
}
