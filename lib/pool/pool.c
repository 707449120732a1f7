/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What keeps a crash from being taken for a clean state: the superblock says
 * dirty on the medium before anything else changes, and clean only after
 * everything else is there; a new pool gets its magic last.
 */

#include <llfree_pool.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/pool/superblock.h"

#define HUGE_BYTES ((size_t)LLFREE_HUGE_SIZE << LLFREE_FRAME_BITS)

/* It lies at the start of `memory`, the volatile buffers behind it. */
struct llfree_pool {
	llfree_t *self;
	llfree_meta_t meta;
	size_t memory; /* bytes */
	uint8_t *room; /* address space with the mapping in it */
	size_t room_size;
	struct superblock *head; /* the mapping */
	struct superblock found_head;
	llfree_pool_found_t found;
	int fd;
	bool writable;
};

const char *llfree_pool_error_text(llfree_pool_error_t error)
{
	switch (error) {
	case LLFREE_POOL_OK:
		return "no error";
	case LLFREE_POOL_ERR_ARGUMENT:
		return "a pool cannot have this size, classing or flags";
	case LLFREE_POOL_ERR_NOT_POOL:
		return "not a pool";
	case LLFREE_POOL_ERR_TRUNCATED:
		return "the pool is truncated";
	case LLFREE_POOL_ERR_VERSION:
		return "a pool of another version";
	case LLFREE_POOL_ERR_CHECKSUM:
		return "the superblock of the pool is damaged";
	case LLFREE_POOL_ERR_GEOMETRY:
		return "a pool with frames or trees of other sizes";
	case LLFREE_POOL_ERR_METADATA:
		return "the metadata of the pool are damaged";
	case LLFREE_POOL_ERR_IN_USE:
		return "the pool is open already";
	case LLFREE_POOL_ERR_EXISTS:
		return "there is something already";
	case LLFREE_POOL_ERR_NO_SPACE:
		return "no space for the pool";
	case LLFREE_POOL_ERR_SYSTEM:
		return "the system refused";
	}
	return "unknown error";
}

/* ------------------------------------------------------------------------ */
/* Memory                                                                    */

static size_t whole_lines(size_t bytes)
{
	return div_ceil(bytes, LLFREE_CACHE_SIZE) * LLFREE_CACHE_SIZE;
}

/* The handle and its volatile buffers; the metadata too when they are not to
 * be changed in the file. */
static llfree_pool_error_t pool_make(llfree_pool_t **pool,
				     const struct superblock *head,
				     const llfree_classing_t *classing,
				     bool writable)
{
	llfree_meta_size_t size =
		llfree_metadata_size(classing, (size_t)head->frames);
	size_t self = whole_lines(sizeof(llfree_pool_t));
	size_t local = self + whole_lines(size.llfree);
	size_t trees = local + whole_lines(size.local);
	size_t lower = trees + whole_lines(size.trees);
	size_t end = lower + (writable ? 0 : size.lower);

	if (size.llfree == 0)
		return LLFREE_POOL_ERR_ARGUMENT;

	uint8_t *memory = mmap(NULL, end, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return LLFREE_POOL_ERR_SYSTEM;
	*pool = (llfree_pool_t *)memory;
	(*pool)->self = (llfree_t *)(memory + self);
	(*pool)->meta = (llfree_meta_t){ memory + local, memory + trees,
					 memory + lower };
	(*pool)->memory = end;
	(*pool)->found_head = *head;
	(*pool)->writable = writable;
	return LLFREE_POOL_OK;
}

/* Maps the file where its huge frames are aligned. */
static llfree_pool_error_t pool_map(llfree_pool_t *pool, int fd)
{
	size_t size = (size_t)pool->found_head.size;
	size_t room_size = size + HUGE_BYTES;
	uint8_t *room = mmap(NULL, room_size, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			     0);

	if (room == MAP_FAILED)
		return LLFREE_POOL_ERR_SYSTEM;
	pool->room = room;
	pool->room_size = room_size;

	uint8_t *base = room + (-(uintptr_t)room & (HUGE_BYTES - 1));

	if (mmap(base, size, PROT_READ | (pool->writable ? PROT_WRITE : 0),
		 MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
	    madvise(base, size, MADV_DONTFORK))
		return LLFREE_POOL_ERR_SYSTEM;
	pool->head = (struct superblock *)base;
	if (pool->writable)
		pool->meta.lower = base + pool->found_head.lower_at;
	else
		memcpy(pool->meta.lower, base + pool->found_head.lower_at,
		       pool->found_head.lower_size);
	return LLFREE_POOL_OK;
}

/* The file is the caller's to close. */
static void pool_release(llfree_pool_t *pool)
{
	int error = errno;

	if (!pool)
		return;
	if (pool->room)
		(void)munmap(pool->room, pool->room_size);
	(void)munmap(pool, pool->memory);
	errno = error;
}

/* ------------------------------------------------------------------------ */
/* State                                                                     */

/* On the medium when it returns. The mapping begins with the superblock. */
static llfree_pool_error_t pool_write(const llfree_pool_t *pool, size_t bytes)
{
	return msync(pool->head, bytes, MS_SYNC) ? LLFREE_POOL_ERR_SYSTEM
						 : LLFREE_POOL_OK;
}

static llfree_pool_error_t pool_set(const llfree_pool_t *pool, uint64_t *word,
				    uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
	return pool_write(pool, sizeof(*pool->head));
}

/* Can a huge frame's entry have come from this allocator, at any moment? */
static bool child_possible(const lower_t *lower, size_t huge)
{
	size_t end = div_ceil(lower->frames, LLFREE_HUGE_SIZE);
	child_t child = *lower_child(lower, huge_id(huge));
	size_t count = child & CHILD_COUNT;

	if (huge >= end)
		return child == CHILD_WHOLE;
	if (child & CHILD_WHOLE)
		return count == 0 || count == LLFREE_HUGE_SIZE;
	return count <= LLFREE_HUGE_SIZE;
}

/* Of a partial last huge frame the rest is allocated, frame by frame. */
static bool end_possible(const lower_t *lower)
{
	size_t managed = lower->frames % LLFREE_HUGE_SIZE;
	huge_id_t last = huge_id(lower->frames / LLFREE_HUGE_SIZE);

	return managed == 0 ||
	       (!(*lower_child(lower, last) & CHILD_WHOLE) &&
		bitfield_is_set(lower_field(lower, last), managed,
				LLFREE_HUGE_SIZE - managed));
}

/* Metadata that were closed have to be in order. */
static bool metadata_possible(const llfree_pool_t *pool)
{
	size_t frames = (size_t)pool->found_head.frames;
	size_t trees = div_ceil(frames, LLFREE_TREE_SIZE);
	lower_t lower;

	lower_init(&lower, frames, pool->meta.lower, LOWER_KEEP);
	for (size_t i = 0; i < trees * LLFREE_TREE_CHILDREN; i++)
		if (!child_possible(&lower, i))
			return false;
	return end_possible(&lower) &&
	       (pool->found_head.state != SUPERBLOCK_CLEAN ||
		!lower_broken(&lower));
}

/* ------------------------------------------------------------------------ */
/* Files                                                                     */

/* errno survives. */
static void file_close(int fd)
{
	int error = errno;

	if (fd >= 0)
		(void)close(fd);
	errno = error;
}

/* Belongs to the open file: gone with the process, however it ends. */
static llfree_pool_error_t file_lock(int fd)
{
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return LLFREE_POOL_OK;
	return errno == EWOULDBLOCK ? LLFREE_POOL_ERR_IN_USE
				    : LLFREE_POOL_ERR_SYSTEM;
}

/* Bytes of a file or block device; the file may not be gone again. */
static llfree_pool_error_t file_bytes(int fd, bool *regular, uint64_t *bytes)
{
	struct stat status;
	off_t end;

	if (fstat(fd, &status))
		return LLFREE_POOL_ERR_SYSTEM;
	*regular = S_ISREG(status.st_mode);
	if (!*regular && !S_ISBLK(status.st_mode))
		return LLFREE_POOL_ERR_NOT_POOL;
	if (status.st_nlink == 0)
		return LLFREE_POOL_ERR_IN_USE;
	end = lseek(fd, 0, SEEK_END);
	if (end < 0)
		return LLFREE_POOL_ERR_SYSTEM;
	*bytes = (uint64_t)end;
	return LLFREE_POOL_OK;
}

static llfree_pool_error_t file_head(int fd, struct superblock *head)
{
	llfree_pool_error_t error;
	uint64_t bytes;
	bool regular;

	error = file_bytes(fd, &regular, &bytes);
	if (error)
		return error;
	memset(head, 0, sizeof(*head));
	if (pread(fd, head, sizeof(*head), 0) < 0)
		return LLFREE_POOL_ERR_SYSTEM;
	return superblock_check(head, bytes);
}

/* ------------------------------------------------------------------------ */
/* Create                                                                    */

/* A file on its way to a pool. */
struct draft {
	const char *path;
	int fd;
	bool made; /* it was not there, and is nobody else's meanwhile */
	bool regular;
	bool grown;
	uint64_t bytes; /* that it had */
};

static llfree_pool_error_t draft_open(struct draft *draft, unsigned flags)
{
	int mode = O_RDWR | O_CLOEXEC | O_NONBLOCK;
	llfree_pool_error_t error;
	bool made;

	draft->fd = open(draft->path, mode | O_CREAT | O_EXCL, 0666);
	made = draft->fd >= 0;
	if (!made && errno == EEXIST)
		draft->fd = open(draft->path, mode);
	if (draft->fd < 0)
		return LLFREE_POOL_ERR_SYSTEM;
	error = file_lock(draft->fd);
	if (error)
		return error;
	draft->made = made;
	error = file_bytes(draft->fd, &draft->regular, &draft->bytes);
	if (error == LLFREE_POOL_ERR_NOT_POOL ||
	    (!error && draft->bytes > 0 && !(flags & LLFREE_POOL_OVERWRITE)))
		return LLFREE_POOL_ERR_EXISTS;
	return error;
}

/* Blocks for all of it: a store to the mapping must not fail later. */
static llfree_pool_error_t draft_grow(struct draft *draft, uint64_t size)
{
	struct rlimit limit;
	int error;

	if (!draft->regular)
		return draft->bytes < size ? LLFREE_POOL_ERR_NO_SPACE
					   : LLFREE_POOL_OK;
	/* Beyond this limit there would be a signal. */
	if (!getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur < size)
		return LLFREE_POOL_ERR_NO_SPACE;
	draft->grown = true;
	do
		error = posix_fallocate(draft->fd, 0, (off_t)size);
	while (error == EINTR);
	if (error == ENOSPC || error == EFBIG || error == EDQUOT)
		return LLFREE_POOL_ERR_NO_SPACE;
	errno = error;
	return error ? LLFREE_POOL_ERR_SYSTEM : LLFREE_POOL_OK;
}

/* No longer what it was, and not yet a pool. */
static llfree_pool_error_t draft_clear(const llfree_pool_t *pool,
				       const struct draft *draft)
{
	const struct superblock *head = &pool->found_head;

	if (draft->bytes > 0 && pool_set(pool, &pool->head->magic, 0))
		return LLFREE_POOL_ERR_SYSTEM;
	if (draft->bytes > head->size && draft->regular &&
	    ftruncate(draft->fd, (off_t)head->size))
		return LLFREE_POOL_ERR_SYSTEM;
	memset((uint8_t *)pool->head + head->root_at, 0, LLFREE_POOL_ROOT_SIZE);
	return LLFREE_POOL_OK;
}

static llfree_pool_error_t draft_fill(const llfree_pool_t *pool,
				      const llfree_classing_t *classing)
{
	struct superblock head = pool->found_head;

	if (!llfree_is_ok(llfree_init(pool->self, (size_t)head.frames,
				      LLFREE_INIT_FREE, pool->meta, classing)))
		return LLFREE_POOL_ERR_ARGUMENT;
	head.magic = 0;
	*pool->head = head;
	if (pool_write(pool, head.frames_at))
		return LLFREE_POOL_ERR_SYSTEM;
	return pool_set(pool, &pool->head->magic, SUPERBLOCK_MAGIC);
}

static llfree_pool_error_t draft_finish(llfree_pool_t *pool,
					const struct draft *draft,
					const llfree_classing_t *classing)
{
	llfree_pool_error_t error = draft_clear(pool, draft);

	if (!error)
		error = draft_fill(pool, classing);
	if (!error && fsync(draft->fd))
		error = LLFREE_POOL_ERR_SYSTEM;
	pool->fd = draft->fd;
	pool->found = LLFREE_POOL_CREATED;
	return error;
}

/* As if nothing had been tried. */
static void draft_undo(const struct draft *draft)
{
	int error = errno;

	if (draft->made)
		(void)unlink(draft->path);
	else if (draft->grown && ftruncate(draft->fd, (off_t)draft->bytes))
		error = errno;
	errno = error;
	file_close(draft->fd);
}

llfree_pool_error_t llfree_pool_create(llfree_pool_t **pool, const char *path,
				       size_t frames,
				       const llfree_classing_t *classing,
				       unsigned flags)
{
	struct draft draft = { .path = path, .fd = -1 };
	llfree_pool_t *made = NULL;
	llfree_pool_error_t error;
	struct superblock head;

	*pool = NULL;
	if (flags & ~LLFREE_POOL_OVERWRITE ||
	    llfree_metadata_size(classing, frames).llfree == 0)
		return LLFREE_POOL_ERR_ARGUMENT;
	superblock_make(&head, frames);
	error = draft_open(&draft, flags);
	if (!error)
		error = draft_grow(&draft, head.size);
	if (!error)
		error = pool_make(&made, &head, classing, true);
	if (!error)
		error = pool_map(made, draft.fd);
	if (!error)
		error = draft_finish(made, &draft, classing);
	if (error) {
		pool_release(made);
		draft_undo(&draft);
		return error;
	}
	*pool = made;
	return LLFREE_POOL_OK;
}

/* ------------------------------------------------------------------------ */
/* Open and close                                                            */

/* Dirty on the medium before the first change. */
static llfree_pool_error_t pool_start(llfree_pool_t *pool,
				      const llfree_classing_t *classing)
{
	const struct superblock *head = &pool->found_head;
	bool clean = head->state == SUPERBLOCK_CLEAN;

	if (!metadata_possible(pool))
		return LLFREE_POOL_ERR_METADATA;
	if (pool->writable && clean &&
	    pool_set(pool, &pool->head->state, SUPERBLOCK_DIRTY))
		return LLFREE_POOL_ERR_SYSTEM;
	pool->found = clean ? LLFREE_POOL_CLEAN : LLFREE_POOL_RECOVERED;
	if (!llfree_is_ok(llfree_init(pool->self, (size_t)head->frames,
				      LLFREE_INIT_RECOVER, pool->meta,
				      classing)))
		return LLFREE_POOL_ERR_ARGUMENT;
	return LLFREE_POOL_OK;
}

llfree_pool_error_t llfree_pool_open(llfree_pool_t **pool, const char *path,
				     const llfree_classing_t *classing,
				     unsigned flags)
{
	bool writable = !(flags & LLFREE_POOL_READ_ONLY);
	llfree_pool_error_t error = LLFREE_POOL_OK;
	llfree_pool_t *made = NULL;
	struct superblock head;
	int fd;

	*pool = NULL;
	if (flags & ~LLFREE_POOL_READ_ONLY)
		return LLFREE_POOL_ERR_ARGUMENT;
	fd = open(path,
		  (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return LLFREE_POOL_ERR_SYSTEM;
	if (writable)
		error = file_lock(fd);
	if (!error)
		error = file_head(fd, &head);
	if (!error)
		error = pool_make(&made, &head, classing, writable);
	if (!error)
		error = pool_map(made, fd);
	if (!error)
		error = pool_start(made, classing);
	if (error) {
		pool_release(made);
		file_close(fd);
		return error;
	}
	made->fd = fd;
	*pool = made;
	return LLFREE_POOL_OK;
}

llfree_pool_error_t llfree_pool_sync(llfree_pool_t *pool)
{
	if (!pool->writable)
		return LLFREE_POOL_OK;
	return pool_write(pool, (size_t)pool->found_head.size);
}

llfree_pool_error_t llfree_pool_close(llfree_pool_t *pool)
{
	llfree_pool_error_t error = llfree_pool_sync(pool);
	int fd = pool->fd;

	if (pool->writable && !error)
		error = pool_set(pool, &pool->head->state, SUPERBLOCK_CLEAN);
	/* A child of fork has the open file as well. */
	if (pool->writable)
		(void)flock(fd, LOCK_UN);
	pool_release(pool);
	file_close(fd);
	return error;
}

/* ------------------------------------------------------------------------ */
/* What is in it                                                             */

llfree_pool_found_t llfree_pool_found(const llfree_pool_t *pool)
{
	return pool->found;
}

llfree_t *llfree_pool_allocator(const llfree_pool_t *pool)
{
	return pool->self;
}

void *llfree_pool_root(const llfree_pool_t *pool)
{
	return (uint8_t *)pool->head + pool->found_head.root_at;
}

static uint8_t *pool_frames(const llfree_pool_t *pool)
{
	return (uint8_t *)pool->head + pool->found_head.frames_at;
}

void *llfree_pool_address(const llfree_pool_t *pool, frame_id_t frame)
{
	if (frame.value >= pool->found_head.frames)
		return NULL;
	return pool_frames(pool) + (frame.value << LLFREE_FRAME_BITS);
}

frame_id_optional_t llfree_pool_frame(const llfree_pool_t *pool,
				      const void *address)
{
	uint64_t offset = (uintptr_t)address - (uintptr_t)pool_frames(pool);
	frame_id_t frame = frame_id(offset >> LLFREE_FRAME_BITS);

	return frame.value < pool->found_head.frames ? frame_id_some(frame)
						     : frame_id_none();
}
