/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What the library needs from its surroundings, in a Linux kernel. See
 * lib/platform/llfree_platform.h for what each must do. The kernel's own
 * atomics: the compiler's would call libgcc on arm64.
 */
#pragma once

#include <linux/irqflags.h>
#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/panic.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <asm/barrier.h>

#define atom_load(p) READ_ONCE(*(p))
#define atom_load_acquire(p) smp_load_acquire(p)
#define atom_store(p, v) WRITE_ONCE(*(p), (v))
#define atom_store_release(p, v) smp_store_release((p), (v))
#define atom_cas(p, old, new) try_cmpxchg((p), (old), (new))
#define atom_swap(p, v) xchg((p), (v))
#define atom_add(p, n)                                       \
	({                                                   \
		typeof(*(p)) was_ = READ_ONCE(*(p));         \
		while (!try_cmpxchg((p), &was_, was_ + (n))) \
			;                                    \
	})

/* Repeated compare-and-swaps, on all processors. */
DECLARE_PER_CPU(unsigned long, llfree_retries);

static inline void atom_retry(void)
{
	this_cpu_inc(llfree_retries);
}

static inline u64 atom_retries(void)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(llfree_retries, cpu));
	return sum;
}

static inline void llfree_persist(const void *address, size_t bytes)
{
}

static inline void llfree_log(const char *text)
{
	pr_info("%s", text);
}

static inline void __noreturn llfree_panic(const char *text)
{
	panic("llfree: %s", text);
}

#ifdef LLFREE_DEBUG
#define llfree_assert(condition) BUG_ON(!(condition))
#else
#define llfree_assert(condition) ((void)0)
#endif
