/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A frame's life.
 *
 *	          the tree comes online
 *	absent ---------------------------> free, clean <-----------+
 *	       <---------------------------   |      ^              |
 *	          forget: the tree leaves     |      | clean, remap |
 *	                                serve |      |              |
 *	                               detach |   free, dirty       | free
 *	                                      v      ^              | (empty)
 *	                                     live ---+ free (kept) -+
 *
 * Free frames are in the allocator, or in the hands of one thread that has
 * taken them from it: on their way to the program, or borrowed. A live frame
 * belongs to the program. Detached frames are live ones over which the kernel
 * has mapped, or may map, something else: they are the program's as they are.
 *
 * Each function sets marks, usage and counters together, and what counts for
 * the limit where frames become live or free without a request. No other file
 * sets a live or a dirty mark.
 */
#pragma once

#include "preload/arena/state.h"

/* Allocated frames become live: mapped afresh where that is due, the first
 * `head` of them filled that way and the others with zeros. False, with the
 * frames free again, when the kernel refuses a mapping. */
bool frames_serve(struct span s, size_t head, enum fill fill);

/* Free frames become live as they are; false when they cannot be had. */
bool frames_detach(struct span s);

/* Live frames in `s` become free; their number is added to *freed. -errno, with
 * some of them still live, when the kernel refuses. */
long frames_free(struct span s, enum leave leave, size_t *freed);

/* Of borrowed frames those that have all marks of a set become clean, at least
 * as many as wanted if there are; returns how many did. */
size_t frames_clean(struct span s, unsigned marks, size_t wanted);

/* Free frames of the caller become clean by a fresh mapping: 0 or -errno. When it fails
 * all are as altered as one of them was, and altered if the kernel may have
 * taken away what was there. */
long frames_remap(struct span s);

/* Live frames get a fresh mapping, full of zeros: 0 or -errno, and their marks
 * as for frames_remap. */
long frames_renew(struct span s);

/* Free frames of the caller lose access and lock, until they are mapped afresh: 0 or
 * -errno. */
long frames_close(struct span s);

/* All frames of a tree, which are allocated, become absent. */
void frames_forget(size_t tree);
