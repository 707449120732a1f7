/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The first 4 KiB of a pool file: what it is, and how it is laid out. Pure:
 * no file is touched here.
 *
 * The checksum covers all of it but the state, which changes alone, by one
 * store. Every other value is zero or follows from the number of frames and
 * the sizes that this library is compiled with, so that anything else in it
 * is refused. Offsets and sizes are in bytes.
 */
#pragma once

#include <llfree_pool.h>

#include "lib/lower.h"

#define SUPERBLOCK_SIZE ((size_t)4096)
#define SUPERBLOCK_MAGIC UINT64_C(0x316c6f6f50464c4c) /* "LLFPool1" */
#define SUPERBLOCK_VERSION UINT32_C(1)

/* Values of the state; no few flipped bits make one of the other. */
#define SUPERBLOCK_CLEAN UINT64_C(0x9d5b21e6c3487af0)
#define SUPERBLOCK_DIRTY UINT64_C(0x62a4de193cb7850f)

struct superblock {
	uint64_t magic; /* written last */
	uint64_t state;
	uint32_t version;
	uint32_t checksum;
	uint32_t frame_bits;
	uint32_t huge_order;
	uint32_t tree_order;
	uint32_t zero;
	uint64_t frames;
	uint64_t root_at;
	uint64_t lower_at;
	uint64_t lower_size;
	uint64_t frames_at;
	uint64_t size; /* of the whole file */
	uint8_t rest[SUPERBLOCK_SIZE - 88];
};
_Static_assert(sizeof(struct superblock) == SUPERBLOCK_SIZE, "no padding");

/* The superblock of a dirty pool of so many frames: 512 to 2^50. */
void superblock_make(struct superblock *self, size_t frames);

/* Sets the checksum. */
void superblock_seal(struct superblock *self);

/*
 * Is this the superblock of a pool in a file of so many bytes? What the file
 * does not have is zero here.
 */
llfree_pool_error_t superblock_check(const struct superblock *self,
				     uint64_t bytes);
