/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* A platform without a C library: the least that the core can live with. */
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

static inline void atom_retry(void)
{
}

static inline uint64_t atom_retries(void)
{
	return 0;
}

static inline void llfree_persist(const void *address, size_t bytes)
{
	(void)address;
	(void)bytes;
}

static inline void llfree_log(const char *text)
{
	(void)text;
}

_Noreturn static inline void llfree_panic(const char *text)
{
	(void)text;
	__builtin_trap();
}

#define llfree_assert(condition) ((condition) ? (void)0 : __builtin_trap())
