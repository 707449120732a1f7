/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What the library needs from its surroundings, on a machine without an
 * operating system. See lib/platform/llfree_platform.h for what each must do.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);

#define atom_load(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define atom_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define atom_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define atom_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define atom_cas(p, old, new)                                               \
	__atomic_compare_exchange_n((p), (old), (new), 1, __ATOMIC_ACQ_REL, \
				    __ATOMIC_ACQUIRE)
#define atom_add(p, n) ((void)__atomic_fetch_add((p), (n), __ATOMIC_RELAXED))

/* For the stress: replace the word at p, and return what was there. */
#define atom_swap(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)

extern uint64_t llfree_retries;

static inline void atom_retry(void)
{
	atom_add(&llfree_retries, 1);
}

static inline uint64_t atom_retries(void)
{
	return atom_load(&llfree_retries);
}

/* Write back the cache lines of this memory, and wait until they are. */
static inline void persist(const void *address, size_t bytes)
{
	const char *line = (const char *)((uintptr_t)address & ~63ul);

	for (; line < (const char *)address + bytes; line += 64)
		asm volatile("clwb %0" : : "m"(*line) : "memory");
	asm volatile("sfence" : : : "memory");
}

/* Only where the metadata lie in persistent memory. */
static inline void llfree_persist(const void *address, size_t bytes)
{
#ifdef PERSISTENT
	persist(address, bytes);
#else
	(void)address;
	(void)bytes;
#endif
}

void llfree_log(const char *text);
_Noreturn void llfree_panic(const char *text);

#define llfree_assert(condition) \
	((condition) ? (void)0 : llfree_panic("assertion failed: " #condition))
