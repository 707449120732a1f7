/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Frames of the kernel, handed to an instance of LLFree. They come in chunks of
 * the largest order that the kernel has; the instance covers all from the lowest
 * to the highest, and what lies between the chunks stays allocated.
 */
#pragma once

#include <llfree.h>

/* Take so much memory. Once; 0, or a negative errno with nothing taken. */
int frames_init(size_t mib);

/* Give the memory back. Alone, with all of it free. */
void frames_exit(void);

llfree_t *frames_llfree(void);

/* Page frame number of frame 0. */
unsigned long frames_first_pfn(void);

/* The kernel's zone that they are from. */
struct zone *frames_zone(void);
