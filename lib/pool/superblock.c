/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "lib/pool/superblock.h"

#include <string.h>

#define HUGE_BYTES ((uint64_t)LLFREE_HUGE_SIZE << LLFREE_FRAME_BITS)
#define MOST_FRAMES (UINT64_C(1) << 50)

/* CRC-32C, bit by bit. */
static uint32_t crc(uint32_t sum, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++) {
		sum ^= bytes[i];
		for (unsigned bit = 0; bit < 8; bit++)
			sum = sum >> 1 ^ (sum & 1 ? UINT32_C(0x82f63b78) : 0);
	}
	return sum;
}

/* Of all but state, checksum, and the rest, which is zero. */
static uint32_t checksum(const struct superblock *self)
{
	struct superblock copy = *self;

	copy.state = 0;
	copy.checksum = 0;
	return ~crc(UINT32_MAX, &copy, offsetof(struct superblock, rest));
}

void superblock_seal(struct superblock *self)
{
	self->checksum = checksum(self);
}

void superblock_make(struct superblock *self, size_t frames)
{
	memset(self, 0, sizeof(*self));
	self->magic = SUPERBLOCK_MAGIC;
	self->state = SUPERBLOCK_DIRTY;
	self->version = SUPERBLOCK_VERSION;
	self->frame_bits = LLFREE_FRAME_BITS;
	self->huge_order = LLFREE_HUGE_ORDER;
	self->tree_order = LLFREE_TREE_ORDER;
	self->frames = frames;
	self->root_at = SUPERBLOCK_SIZE;
	self->lower_at = self->root_at + LLFREE_POOL_ROOT_SIZE;
	self->lower_size = lower_size(frames);
	self->frames_at =
		div_ceil(self->lower_at + self->lower_size, HUGE_BYTES) *
		HUGE_BYTES;
	self->size = self->frames_at + ((uint64_t)frames << LLFREE_FRAME_BITS);
	superblock_seal(self);
}

static bool intact(const struct superblock *self)
{
	static const uint8_t zero[sizeof(self->rest)];

	return self->checksum == checksum(self) &&
	       memcmp(self->rest, zero, sizeof(zero)) == 0 &&
	       (self->state == SUPERBLOCK_CLEAN ||
		self->state == SUPERBLOCK_DIRTY);
}

/* Laid out as this library would? */
static bool same_geometry(const struct superblock *self)
{
	struct superblock ours;

	if (self->frames < LLFREE_HUGE_SIZE || self->frames > MOST_FRAMES)
		return false;
	superblock_make(&ours, self->frames);
	ours.state = self->state;
	return memcmp(self, &ours, sizeof(ours)) == 0;
}

llfree_pool_error_t superblock_check(const struct superblock *self,
				     uint64_t bytes)
{
	if (self->magic != SUPERBLOCK_MAGIC)
		return LLFREE_POOL_ERR_NOT_POOL;
	if (bytes < sizeof(*self))
		return LLFREE_POOL_ERR_TRUNCATED;
	if (self->version != SUPERBLOCK_VERSION)
		return LLFREE_POOL_ERR_VERSION;
	if (!intact(self))
		return LLFREE_POOL_ERR_CHECKSUM;
	if (!same_geometry(self))
		return LLFREE_POOL_ERR_GEOMETRY;
	if (bytes < self->size)
		return LLFREE_POOL_ERR_TRUNCATED;
	return LLFREE_POOL_OK;
}
