/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Sizes, orders and basic types of the allocator, for hosted Linux.
 *
 * To bring other types and sizes, an integrator (a kernel, a hypervisor) puts a
 * file of this name earlier on the include path. An order k means 2^k base
 * frames; sizes are in base frames unless they say bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a cache line: the unit that cores contend for. */
#define LLFREE_CACHE_SIZE 64u

/* A base frame: 4 KiB. */
#define LLFREE_FRAME_BITS 12u
#define LLFREE_FRAME_SIZE (1u << LLFREE_FRAME_BITS)

/* A huge frame: 2 MiB, one bitfield and one child entry. */
#define LLFREE_HUGE_ORDER 9u
#define LLFREE_HUGE_SIZE (1u << LLFREE_HUGE_ORDER)
#define LLFREE_CHILD_ORDER LLFREE_HUGE_ORDER
#define LLFREE_CHILD_SIZE (1u << LLFREE_CHILD_ORDER)

/* The most frames that one atomic step on a bitfield can take: a row. */
#define LLFREE_ATOMIC_ORDER 6u
#define LLFREE_ATOMIC_SIZE (1u << LLFREE_ATOMIC_ORDER)

/* A tree: the unit that a core reserves; 16 MiB unless set otherwise. */
#ifndef LLFREE_TREE_CHILDREN_ORDER
#define LLFREE_TREE_CHILDREN_ORDER 3u
#endif
#define LLFREE_TREE_CHILDREN (1u << LLFREE_TREE_CHILDREN_ORDER)
#define LLFREE_TREE_ORDER (LLFREE_HUGE_ORDER + LLFREE_TREE_CHILDREN_ORDER)
#define LLFREE_TREE_SIZE (1u << LLFREE_TREE_ORDER)

/* The largest order that llfree_get and llfree_put take. */
#define LLFREE_MAX_ORDER LLFREE_TREE_ORDER

/* A managed range should be aligned to so many bytes: one tree. */
#define LLFREE_ALIGN ((size_t)LLFREE_TREE_SIZE << LLFREE_FRAME_BITS)

/* Classes of trees: what kinds of request share a tree. */
#define LLFREE_CLASS_BITS 3u
#define LLFREE_MAX_CLASSES (1u << LLFREE_CLASS_BITS)
#define LLFREE_CLASS_NONE UINT8_MAX
