/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Atomic steps of the preload library, by the names that the allocator's
 * platform header uses. A name without an order is relaxed; _ordered is one
 * order for all threads (sequentially consistent).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

_Static_assert(__atomic_always_lock_free(sizeof(uint64_t), 0) &&
		       __atomic_always_lock_free(sizeof(uint32_t), 0) &&
		       __atomic_always_lock_free(sizeof(uint8_t), 0),
	       "a signal handler would wait for a lock inside an atomic");

#define atom_load(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define atom_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define atom_load_ordered(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)

#define atom_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define atom_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define atom_store_ordered(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)

/* Replace *old by `new`; otherwise *old becomes what was found. Neither fails
 * by chance. */
#define atom_cas(p, old, new)                                               \
	__atomic_compare_exchange_n((p), (old), (new), 0, __ATOMIC_ACQ_REL, \
				    __ATOMIC_ACQUIRE)
#define atom_cas_relaxed(p, old, new)                                       \
	__atomic_compare_exchange_n((p), (old), (new), 0, __ATOMIC_RELAXED, \
				    __ATOMIC_RELAXED)

/* Each of these evaluates to what was there before. */
#define atom_exchange(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define atom_add(p, n) __atomic_fetch_add((p), (n), __ATOMIC_RELAXED)
#define atom_add_ordered(p, n) __atomic_fetch_add((p), (n), __ATOMIC_SEQ_CST)
#define atom_or(p, bits) __atomic_fetch_or((p), (bits), __ATOMIC_ACQ_REL)
#define atom_and(p, bits) __atomic_fetch_and((p), (bits), __ATOMIC_ACQ_REL)

/*
 * Apply `step`, an expression that changes `next` and is false when there is
 * nothing to change, to the word at `p` by a relaxed compare-and-swap. False,
 * with `was` as found, when the step said no.
 */
#define atom_update(p, was, next, step)                                      \
	({                                                                   \
		bool wanted_;                                                \
		(was) = atom_load(p);                                        \
		do {                                                         \
			(next) = (was);                                      \
			wanted_ = (step);                                    \
		} while (wanted_ && !atom_cas_relaxed((p), &(was), (next))); \
		wanted_;                                                     \
	})
