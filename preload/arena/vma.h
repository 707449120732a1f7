/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Where the kernel's mappings (VMAs) begin within trees of the arena, as far as
 * the arena made them. The kernel makes one VMA of two neighbours that are
 * alike only as long as no page came to them while they differed; so memory
 * that was mapped afresh may stay a VMA of its own, and to the program one
 * region may be several VMAs. A mark says where a VMA may begin
 * (MARK_VMA_START); each tree counts how many boundaries it got.
 *
 * Any thread at any time. The counters are estimates: threads that change one
 * at once may lose a change. Units: frames.
 */
#pragma once

#include "preload/arena/marks.h"

/* Bytes of the counters for so many trees. */
size_t vma_bytes(size_t trees);

/* These frames have just been mapped by themselves. */
void vma_mapped(struct span s);

/* A VMA may begin at this frame. */
void vma_starts(size_t frame);

/* The first frames of `s`, within one tree, that no known boundary divides. */
struct span vma_first(struct span s);

/* Whether a known boundary divides these frames. */
bool vma_is_divided(struct span s);

/* Boundaries made since the last vma_settled, and how many there were then. */
size_t vma_made(size_t tree);
size_t vma_kept(size_t tree);
void vma_settled(size_t tree);

/* The tree has left the address space. */
void vma_forget(size_t tree);
