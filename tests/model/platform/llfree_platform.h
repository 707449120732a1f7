/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The library's surroundings for the interleaving explorer: every atomic step
 * is a scheduling point, and what it reads and writes is told to the explorer
 * (tests/model/explore.c), which runs all threads on one processor thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Another thread may run before this step on the word at `p`. */
void model_step(const void *p);
/* What the step read: all that a thread's further way depends on. */
void model_read(const void *p, uint64_t value);
void model_write(const void *p, size_t size, uint64_t was, uint64_t value);
/* A store is done; these lines are on the medium (tests/model/crash.c). */
void model_stored(void);
void model_persist(const void *address, size_t bytes);
_Noreturn void model_panic(const char *text);

#define atom_load(p)                       \
	({                                 \
		model_step(p);             \
		__auto_type value_ = *(p); \
		model_read((p), value_);   \
		value_;                    \
	})
#define atom_store(p, v)                                       \
	({                                                     \
		__typeof__(*(p)) stored_ = (v);                \
		model_step(p);                                 \
		model_write((p), sizeof(*(p)), *(p), stored_); \
		*(p) = stored_;                                \
		model_stored();                                \
	})
#define atom_cas(p, old, new)                                          \
	({                                                             \
		model_step(p);                                         \
		__auto_type found_ = *(p);                             \
		bool same_ = found_ == *(old);                         \
		model_read((p), found_);                               \
		if (same_) {                                           \
			model_write((p), sizeof(*(p)), found_, (new)); \
			*(p) = (new);                                  \
			model_stored();                                \
		}                                                      \
		*(old) = found_;                                       \
		same_;                                                 \
	})
#define atom_add(p, n)                                            \
	({                                                        \
		model_step(p);                                    \
		model_write((p), sizeof(*(p)), *(p), *(p) + (n)); \
		*(p) += (n);                                      \
	})
#define atom_load_acquire(p) atom_load(p)
#define atom_store_release(p, v) atom_store(p, v)

static inline void atom_retry(void)
{
}

static inline uint64_t atom_retries(void)
{
	return 0;
}

static inline void llfree_persist(const void *address, size_t bytes)
{
	model_step(address);
	model_read(address, 0); /* done, as far as this thread knows */
	model_persist(address, bytes);
}

static inline void llfree_log(const char *text)
{
	(void)text;
}

#define llfree_panic(text) model_panic(text)
#define llfree_assert(condition) \
	((condition) ? (void)0 : model_panic("assertion failed: " #condition))
