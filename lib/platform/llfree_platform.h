/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What the library needs from its surroundings, for hosted Linux.
 *
 * An integrator puts a file of this name earlier on the include path; only the
 * library's own sources include it. It must provide:
 *
 *   atom_load(p)              relaxed load
 *   atom_load_acquire(p)      load that sees what came before a release
 *   atom_store(p, v)          relaxed store
 *   atom_store_release(p, v)  store that publishes what came before it
 *   atom_cas(p, &old, new)    weak compare-and-swap, acquire and release;
 *                             `old` receives what was found when it fails
 *   atom_add(p, n)            relaxed addition, for counters
 *   atom_retry()              called after each failed compare-and-swap
 *   atom_retries()            how often that was, or 0
 *   llfree_persist(p, bytes)  returns when that memory is on the medium
 *   llfree_log(text)          prints; only for llfree_print
 *   llfree_panic(text)        stops; a broken invariant
 *   llfree_assert(condition)  llfree_panic when false, in debug builds
 *
 * The words are 2, 4 and 8 bytes, naturally aligned; 2-byte words are also
 * accessed two and four at a time (see lib/whole.h).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define atom_load(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define atom_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define atom_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define atom_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define atom_cas(p, old, new)                                               \
	__atomic_compare_exchange_n((p), (old), (new), 1, __ATOMIC_ACQ_REL, \
				    __ATOMIC_ACQUIRE)
#define atom_add(p, n) ((void)__atomic_fetch_add((p), (n), __ATOMIC_RELAXED))

_Static_assert(__atomic_always_lock_free(sizeof(uint64_t), 0) &&
		       __atomic_always_lock_free(sizeof(uint32_t), 0) &&
		       __atomic_always_lock_free(sizeof(uint16_t), 0),
	       "a lock inside an atomic would break every promise made here");

/*
 * How often a compare-and-swap had to be repeated, in the whole process.
 * Threads count on different lines, told apart by their stacks: what they
 * contend for is enough as it is.
 */
#define RETRY_LINES 16u
struct llfree_retry_line {
	_Alignas(64) uint64_t count;
};
extern struct llfree_retry_line llfree_retry_lines[RETRY_LINES]
	__attribute__((visibility("hidden")));

static inline void atom_retry(void)
{
	uintptr_t stack = (uintptr_t)__builtin_frame_address(0);

	atom_add(&llfree_retry_lines[(stack >> 16) % RETRY_LINES].count, 1);
}

static inline uint64_t atom_retries(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < RETRY_LINES; i++)
		sum += atom_load(&llfree_retry_lines[i].count);
	return sum;
}

static inline void llfree_persist(const void *address, size_t bytes)
{
	(void)address;
	(void)bytes;
}

static inline void llfree_log(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return; /* nowhere to say so */
}

_Noreturn static inline void llfree_panic(const char *text)
{
	llfree_log("llfree: ");
	llfree_log(text);
	llfree_log("\n");
	abort();
}

#ifdef LLFREE_DEBUG
#define llfree_assert(condition) \
	((condition) ? (void)0 : llfree_panic("assertion failed: " #condition))
#else
#define llfree_assert(condition) ((void)0)
#endif
