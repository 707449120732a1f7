/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What the kernel is asked to do with frames: map, empty, zero, populate. No
 * marks are touched here. Frames that are changed must belong to the caller: no
 * other thread may touch them meanwhile. Results are as the kernel's.
 */
#pragma once

#include "preload/arena/marks.h"

/* Map memory where nothing is mapped: 0, -EEXIST where something is, or what
 * else the kernel says. */
long page_occupy(void *addr, size_t len, int prot);

/* Map memory over what is there, with the advice of LLFREE_THP: 0 or -errno. */
long page_map(struct span s, int prot);

long page_unmap(struct span s);

/* The advice of LLFREE_THP, to a mapping just made. */
void page_advise(struct span s);

/* Whether all of it is mapped, for sure. */
bool page_is_mapped(struct span s);

/* Give contents back to the kernel; false when it refuses. */
bool page_empty(struct span s);

void page_zero(struct span s);
void page_populate(struct span s);

/* Which frames are resident: bit 0 of a byte for each; at most PAGE_ASK_MOST
 * frames. False when the kernel does not say. */
#define PAGE_ASK_MOST 1024u
bool page_resident(struct span s, unsigned char *resident);
