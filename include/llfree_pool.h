/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Pool files: an allocator whose frames and whose state live in one file or
 * block device, so that both are there again after a restart or a crash.
 *
 *   file: | superblock, 4 KiB | root, 4 KiB | allocator's metadata |
 *         | frames, from a multiple of 2 MiB on                    |
 *
 * The file is mapped shared. A pool that was not closed, because its process
 * was killed, say, is recovered when it is opened: what was allocated by a
 * call that returned is allocated, what was freed by one is free, and of a
 * call in flight each frame is one or the other. A program finds its data by
 * what it keeps in the root, and can free what it allocated but did not get to
 * link there. After a loss of power it has what was there at an
 * llfree_pool_sync only if nothing changed since, unless the mapping is of
 * memory that is persistent itself: pages are written in any order.
 *
 * Who may call what: create, open and close are for one thread at a time, and
 * close comes after all other calls on that pool and its allocator; the rest
 * may run beside each other. A pool is not for children of fork: they have
 * neither frames nor metadata mapped. When its process is killed, it counts as
 * open until such children, if they did not exec, are gone as well.
 *
 * Not part of the core: this needs a hosted Linux.
 */
#pragma once

#include <llfree.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An open pool. */
typedef struct llfree_pool llfree_pool_t;

/* Why a call failed. What was refused is byte for byte as it was. */
typedef enum {
	LLFREE_POOL_OK = 0,
	LLFREE_POOL_ERR_ARGUMENT, /* size, classing or flags cannot work */
	LLFREE_POOL_ERR_NOT_POOL, /* something else, or never completed */
	LLFREE_POOL_ERR_TRUNCATED, /* shorter than it was made */
	LLFREE_POOL_ERR_VERSION, /* of another version of this layout */
	LLFREE_POOL_ERR_CHECKSUM, /* the superblock is damaged */
	LLFREE_POOL_ERR_GEOMETRY, /* other sizes of frames or trees */
	LLFREE_POOL_ERR_METADATA, /* the allocator's metadata are damaged */
	LLFREE_POOL_ERR_IN_USE, /* a process has it open */
	LLFREE_POOL_ERR_EXISTS, /* create: there is something already */
	LLFREE_POOL_ERR_NO_SPACE, /* create: disk, quota or limit is too small */
	LLFREE_POOL_ERR_SYSTEM, /* errno has what the system said */
} llfree_pool_error_t;

/* In what state the pool was. */
typedef enum {
	LLFREE_POOL_CREATED, /* it is new */
	LLFREE_POOL_CLEAN, /* it was closed */
	LLFREE_POOL_RECOVERED, /* it was not */
} llfree_pool_found_t;

/* For llfree_pool_create: what is there may go, unless a process has it open. */
#define LLFREE_POOL_OVERWRITE 1u
/* For llfree_pool_open: look at it, change nothing. */
#define LLFREE_POOL_READ_ONLY 2u

/* Bytes of the root. */
#define LLFREE_POOL_ROOT_SIZE ((size_t)4096)

/* A line of text for an error, without the end of line. */
const char *llfree_pool_error_text(llfree_pool_error_t error);

/*
 * Makes and opens a pool of `frames` frames, all free; a file gets all of its
 * blocks at once, so that no write to it can fail for want of space later. In a
 * new file root and frames are zero; otherwise only the root is.
 *
 * Refuses what is not empty (a block device never is), unless it may
 * overwrite. When it fails, a file that was not there is not there again. When
 * it is cut off, what remains is no pool.
 */
LLFREE_MUST_CHECK llfree_pool_error_t
llfree_pool_create(llfree_pool_t **pool, const char *path, size_t frames,
		   const llfree_classing_t *classing, unsigned flags);

/*
 * Opens a pool, recovering it if need be. The classing need not be the one
 * that it was made with; trees begin in the default class, and none offline.
 * Only one at a time, in whatever process, has a pool open.
 *
 * READ_ONLY takes no lock and is possible at any time. The allocator then works
 * on a copy of the metadata as they were at that moment, and frames and root
 * can only be read.
 */
LLFREE_MUST_CHECK llfree_pool_error_t
llfree_pool_open(llfree_pool_t **pool, const char *path,
		 const llfree_classing_t *classing, unsigned flags);

/*
 * Writes everything to the medium, marks the pool as closed, and lets go of it.
 * With an error it is closed as well, but will be recovered by the next open.
 */
llfree_pool_error_t llfree_pool_close(llfree_pool_t *pool);

/* Writes everything to the medium. Nothing to do for a read-only pool. */
llfree_pool_error_t llfree_pool_sync(llfree_pool_t *pool);

llfree_pool_found_t llfree_pool_found(const llfree_pool_t *pool);

/* The allocator of its frames. */
llfree_t *llfree_pool_allocator(const llfree_pool_t *pool);

/*
 * LLFREE_POOL_ROOT_SIZE bytes for the program, aligned to their size. An
 * aligned store of up to 8 bytes is there after a crash as a whole or not at
 * all, and stores are there in their order.
 */
void *llfree_pool_root(const llfree_pool_t *pool);

/*
 * Where a frame is: null past the end. A huge frame is aligned to its size.
 * Addresses are others after each open; what persists are frame numbers.
 */
void *llfree_pool_address(const llfree_pool_t *pool, frame_id_t frame);

/* The frame that holds an address, if it is one of the frames. */
frame_id_optional_t llfree_pool_frame(const llfree_pool_t *pool,
				      const void *address);

#ifdef __cplusplus
}
#endif
