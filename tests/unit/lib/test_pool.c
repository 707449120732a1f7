/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Pool files: what is in one is there again after it was closed, and after it
 * was not; everything else is refused for its reason and stays as it is.
 */

#include "tests/unit/lib/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <llfree_pool.h>

#include "lib/pool/superblock.h"

#define FRAMES (2 * HUGE_FRAME + 77)

#define assert_fine(call) assert_int_equal((call), LLFREE_POOL_OK)
#define assert_refused(call, code) \
	assert_int_equal((call), LLFREE_POOL_ERR_##code)

static char folder[] = "/tmp/llfree-pool-XXXXXX";
static char path[64];
static llfree_classing_t classing;

static int set_up(void **state)
{
	(void)state;
	classing = fx_one_class(1);
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/pool", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return rmdir(folder);
}

static int no_file(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

/* ------------------------------------------------------------------------ */
/* Helpers                                                                   */

static llfree_pool_t *create(void)
{
	llfree_pool_t *pool;

	assert_fine(llfree_pool_create(&pool, path, FRAMES, &classing, 0));
	return pool;
}

static llfree_pool_t *open_as(unsigned flags, llfree_pool_found_t found)
{
	llfree_pool_t *pool;

	assert_fine(llfree_pool_open(&pool, path, &classing, flags));
	assert_int_equal(llfree_pool_found(pool), found);
	llfree_validate(llfree_pool_allocator(pool));
	return pool;
}

static void make_closed(void)
{
	assert_fine(llfree_pool_close(create()));
}

static size_t get(llfree_pool_t *pool, unsigned order)
{
	llfree_result_t got = llfree_get(llfree_pool_allocator(pool),
					 frame_id_none(), fx_slot(order, 0));

	assert_ok(got);
	return (size_t)got.frame.value;
}

static size_t free_frames(llfree_pool_t *pool)
{
	return llfree_stats(llfree_pool_allocator(pool)).free_frames;
}

static uint8_t *read_file(size_t *size)
{
	int fd = open(path, O_RDONLY);
	struct stat status;
	uint8_t *bytes;

	assert_true(fd >= 0 && fstat(fd, &status) == 0);
	*size = (size_t)status.st_size;
	bytes = malloc(*size + 1);
	assert_non_null(bytes);
	assert_int_equal(read(fd, bytes, *size), *size);
	close(fd);
	return bytes;
}

/* Compares with a file as it was, and lets go of that. */
static void assert_unchanged(uint8_t *before, size_t size)
{
	size_t now_size;
	uint8_t *now = read_file(&now_size);

	assert_int_equal(now_size, size);
	assert_memory_equal(now, before, size);
	free(now);
	free(before);
}

static void alter(off_t at, const void *bytes, size_t size)
{
	int fd = open(path, O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, size, at), size);
	close(fd);
}

static llfree_pool_error_t try_open(unsigned flags)
{
	llfree_pool_t *pool = (llfree_pool_t *)path;
	llfree_pool_error_t error =
		llfree_pool_open(&pool, path, &classing, flags);

	if (error)
		assert_null(pool);
	else
		assert_fine(llfree_pool_close(pool));
	return error;
}

/* Refused either way, and unchanged. */
static void assert_file_refused(llfree_pool_error_t error)
{
	size_t size;
	uint8_t *before = read_file(&size);

	assert_int_equal(try_open(0), error);
	assert_int_equal(try_open(LLFREE_POOL_READ_ONLY), error);
	assert_unchanged(before, size);
}

static struct superblock read_head(void)
{
	struct superblock head;
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, &head, sizeof(head)), sizeof(head));
	close(fd);
	return head;
}

/* ------------------------------------------------------------------------ */
/* What persists                                                             */

static void test_close_and_open(void **state)
{
	llfree_pool_t *pool = create();
	size_t small = get(pool, 0), huge = get(pool, LLFREE_HUGE_ORDER);
	uint64_t *root = llfree_pool_root(pool);

	(void)state;
	assert_int_equal(llfree_pool_found(pool), LLFREE_POOL_CREATED);
	assert_int_equal(llfree_frames(llfree_pool_allocator(pool)), FRAMES);
	for (size_t i = 0; i < LLFREE_POOL_ROOT_SIZE / sizeof(*root); i++)
		assert_int_equal(root[i], 0);
	root[7] = small;
	strcpy(llfree_pool_address(pool, frame_id(small)), "here");
	strcpy(llfree_pool_address(pool, frame_id(huge + 511)), "and there");
	assert_fine(llfree_pool_sync(pool));
	assert_fine(llfree_pool_close(pool));

	pool = open_as(0, LLFREE_POOL_CLEAN);
	root = llfree_pool_root(pool);
	assert_int_equal(root[7], small);
	assert_string_equal(llfree_pool_address(pool, frame_id(small)), "here");
	assert_string_equal(llfree_pool_address(pool, frame_id(huge + 511)),
			    "and there");
	assert_int_equal(free_frames(pool), FRAMES - HUGE_FRAME - 1);
	assert_ok(llfree_put(llfree_pool_allocator(pool), frame_id(huge),
			     fx_order(LLFREE_HUGE_ORDER)));
	assert_fine(llfree_pool_close(pool));
	pool = open_as(0, LLFREE_POOL_CLEAN);
	assert_int_equal(free_frames(pool), FRAMES - 1);
	assert_fine(llfree_pool_close(pool));
}

static void test_not_closed(void **state)
{
	int status;
	pid_t child;

	(void)state;
	make_closed();
	child = fork();
	if (child == 0) {
		llfree_pool_t *pool = open_as(0, LLFREE_POOL_CLEAN);

		*(uint64_t *)llfree_pool_root(pool) = get(pool, 3);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	for (size_t times = 0; times < 2; times++) {
		llfree_pool_t *pool = open_as(0, times ? LLFREE_POOL_CLEAN
						       : LLFREE_POOL_RECOVERED);
		size_t first = (size_t) * (uint64_t *)llfree_pool_root(pool);

		assert_int_equal(free_frames(pool), FRAMES - 8);
		assert_int_equal(llfree_stats_at(llfree_pool_allocator(pool),
						 frame_id(first), 0)
					 .free_frames,
				 0);
		assert_fine(llfree_pool_close(pool));
	}
}

/* The state says dirty from open to close, and nothing else differs. */
static void test_state(void **state)
{
	llfree_pool_t *pool = create();

	(void)state;
	assert_int_equal(read_head().state, SUPERBLOCK_DIRTY);
	assert_fine(llfree_pool_sync(pool));
	assert_int_equal(read_head().state, SUPERBLOCK_DIRTY);
	assert_fine(llfree_pool_close(pool));
	assert_int_equal(read_head().state, SUPERBLOCK_CLEAN);
	pool = open_as(0, LLFREE_POOL_CLEAN);
	assert_int_equal(read_head().state, SUPERBLOCK_DIRTY);
	assert_fine(llfree_pool_close(pool));
	assert_int_equal(read_head().state, SUPERBLOCK_CLEAN);
}

static void test_addresses(void **state)
{
	llfree_pool_t *pool = create();
	uint8_t *first = llfree_pool_address(pool, frame_id(0));
	uint8_t *end = first + FRAMES * LLFREE_FRAME_SIZE;

	(void)state;
	assert_int_equal((uintptr_t)first % (HUGE_FRAME * LLFREE_FRAME_SIZE),
			 0);
	assert_ptr_equal(llfree_pool_address(pool, frame_id(FRAMES - 1)),
			 end - LLFREE_FRAME_SIZE);
	assert_null(llfree_pool_address(pool, frame_id(FRAMES)));
	assert_null(llfree_pool_address(pool, frame_id(UINT64_MAX)));
	assert_int_equal(llfree_pool_frame(pool, first).value.value, 0);
	assert_int_equal(llfree_pool_frame(pool, end - 1).value.value,
			 FRAMES - 1);
	assert_true(llfree_pool_frame(pool, end - 1).present);
	assert_false(llfree_pool_frame(pool, end).present);
	assert_false(llfree_pool_frame(pool, first - 1).present);
	assert_false(llfree_pool_frame(pool, NULL).present);
	memset(first, 1, FRAMES * LLFREE_FRAME_SIZE);
	assert_fine(llfree_pool_close(pool));
}

static void test_texts(void **state)
{
	(void)state;
	for (unsigned e = 0; e <= LLFREE_POOL_ERR_SYSTEM; e++) {
		const char *text =
			llfree_pool_error_text((llfree_pool_error_t)e);

		assert_true(strlen(text) > 5);
		for (unsigned other = 0; other < e; other++)
			assert_string_not_equal(
				text, llfree_pool_error_text(
					      (llfree_pool_error_t)other));
	}
}

/* ------------------------------------------------------------------------ */
/* Refusals                                                                  */

static void test_arguments(void **state)
{
	llfree_classing_t none = { .num_classes = 0 };
	llfree_pool_t *pool;

	(void)state;
	assert_refused(llfree_pool_create(&pool, path, HUGE_FRAME - 1,
					  &classing, 0),
		       ARGUMENT);
	assert_refused(llfree_pool_create(&pool, path, FRAMES, &none, 0),
		       ARGUMENT);
	assert_refused(llfree_pool_create(&pool, path, FRAMES, &classing,
					  LLFREE_POOL_READ_ONLY),
		       ARGUMENT);
	assert_null(pool);
	assert_int_equal(access(path, F_OK), -1);
	make_closed();
	assert_refused(llfree_pool_open(&pool, path, &none, 0), ARGUMENT);
	assert_refused(try_open(LLFREE_POOL_OVERWRITE), ARGUMENT);
	assert_int_equal(read_head().state, SUPERBLOCK_CLEAN);
}

static void test_system(void **state)
{
	llfree_pool_t *pool;

	(void)state;
	errno = 0;
	assert_refused(try_open(0), SYSTEM);
	assert_int_equal(errno, ENOENT);
	assert_refused(llfree_pool_open(&pool, folder, &classing, 0), SYSTEM);
	assert_int_equal(errno, EISDIR);
	assert_refused(llfree_pool_create(&pool, "/nowhere/pool", FRAMES,
					  &classing, 0),
		       SYSTEM);
	assert_int_equal(errno, ENOENT);
	assert_refused(llfree_pool_open(&pool, "/dev/null", &classing,
					LLFREE_POOL_READ_ONLY),
		       NOT_POOL);
}

static void test_exists(void **state)
{
	llfree_pool_t *pool;
	uint8_t *before;
	size_t size;

	(void)state;
	pool = create();
	*(uint64_t *)llfree_pool_root(pool) = get(pool, 0);
	assert_fine(llfree_pool_close(pool));
	before = read_file(&size);
	assert_refused(llfree_pool_create(&pool, path, FRAMES, &classing, 0),
		       EXISTS);
	assert_unchanged(before, size);

	assert_fine(llfree_pool_create(&pool, path, HUGE_FRAME, &classing,
				       LLFREE_POOL_OVERWRITE));
	assert_int_equal(free_frames(pool), HUGE_FRAME);
	assert_int_equal(*(uint64_t *)llfree_pool_root(pool), 0);
	assert_fine(llfree_pool_close(pool));
	before = read_file(&size);
	assert_int_equal(size, read_head().size);
	free(before);
	assert_fine(llfree_pool_close(open_as(0, LLFREE_POOL_CLEAN)));
}

/* An empty file may become a pool without being asked for it. */
static void test_empty_file(void **state)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_file_refused(LLFREE_POOL_ERR_NOT_POOL);
	make_closed();
	assert_fine(try_open(0));
}

/* Another pool's superblock, sealed, with one value that is not ours. */
static void assert_other(size_t at, uint64_t value, size_t size,
			 llfree_pool_error_t error)
{
	struct superblock good = read_head(), other = good;

	memcpy((uint8_t *)&other + at, &value, size);
	superblock_seal(&other);
	alter(0, &other, sizeof(other));
	assert_file_refused(error);
	alter(0, &good, sizeof(good));
}

#define OTHER(member, value, error)                                \
	assert_other(offsetof(struct superblock, member), (value), \
		     sizeof(((struct superblock *)0)->member),     \
		     LLFREE_POOL_ERR_##error)

static void test_other_pools(void **state)
{
	(void)state;
	make_closed();
	OTHER(magic, SUPERBLOCK_MAGIC + 1, NOT_POOL);
	OTHER(magic, 0, NOT_POOL);
	OTHER(version, SUPERBLOCK_VERSION + 1, VERSION);
	OTHER(state, 0, CHECKSUM);
	OTHER(rest[4000], 1, CHECKSUM);
	OTHER(frame_bits, 16, GEOMETRY);
	OTHER(huge_order, 10, GEOMETRY);
	OTHER(tree_order, LLFREE_TREE_ORDER + 1, GEOMETRY);
	OTHER(tree_order, LLFREE_TREE_ORDER - 1, GEOMETRY);
	OTHER(frames, 0, GEOMETRY);
	OTHER(frames, UINT64_MAX, GEOMETRY);
	OTHER(frames, FRAMES + 1, GEOMETRY);
	OTHER(root_at, 8192, GEOMETRY);
	OTHER(lower_at, 12288, GEOMETRY);
	OTHER(lower_size, 64, GEOMETRY);
	OTHER(frames_at, 0, GEOMETRY);
	OTHER(size, 0, GEOMETRY);
	OTHER(zero, 1, GEOMETRY);
	assert_fine(try_open(0));
}

static void test_flipped_bits(void **state)
{
	size_t size;
	uint8_t *before;
	struct superblock head;
	llfree_pool_error_t error;

	(void)state;
	make_closed();
	before = read_file(&size);
	head = read_head();
	for (size_t bit = 0; bit < sizeof(head) * 8; bit++) {
		uint8_t byte = ((uint8_t *)&head)[bit / 8];
		uint8_t flipped = (uint8_t)(byte ^ 1u << bit % 8);

		alter((off_t)(bit / 8), &flipped, 1);
		error = try_open(0);
		if (error == LLFREE_POOL_OK)
			fail_msg("bit %zu makes no difference", bit);
		if (bit / 8 >= offsetof(struct superblock, frame_bits))
			assert_int_equal(error, LLFREE_POOL_ERR_CHECKSUM);
		alter((off_t)(bit / 8), &byte, 1);
	}
	assert_unchanged(before, size);
	assert_fine(try_open(0));
}

/* Whole superblocks of noise, and noise in some bytes of a good one. */
static void test_noise(void **state)
{
	uint64_t random = 42;
	struct superblock good, bad;
	uint8_t *bytes = (uint8_t *)&bad;

	(void)state;
	make_closed();
	good = read_head();
	for (size_t round = 0; round < 3000; round++) {
		size_t first = fx_below(&random, 96);
		size_t count = 1 + fx_below(&random, 96);

		bad = good;
		if (round % 8 == 0)
			count = sizeof(bad) - first;
		for (size_t i = first; i < first + count; i++)
			bytes[i] = (uint8_t)fx_random(&random);
		if (memcmp(&bad, &good, sizeof(bad)) == 0)
			continue;
		alter(0, &bad, sizeof(bad));
		if (try_open(round % 2 ? LLFREE_POOL_READ_ONLY : 0) ==
		    LLFREE_POOL_OK)
			fail_msg("round %zu: noise was taken", round);
		struct superblock now = read_head();

		assert_memory_equal(&now, &bad, sizeof(now));
	}
	alter(0, &good, sizeof(good));
	assert_fine(try_open(0));
}

static void test_truncated(void **state)
{
	static const size_t some[] = { 1,    7,	   8,	 9,    88,    1000,
				       4095, 4096, 4097, 8192, 100000 };
	size_t size;

	(void)state;
	make_closed();
	size = (size_t)read_head().size;
	for (size_t i = 0; i < LENGTH(some); i++) {
		assert_int_equal(truncate(path, (off_t)(size - some[i])), 0);
		assert_file_refused(LLFREE_POOL_ERR_TRUNCATED);
	}
	for (size_t i = LENGTH(some); i > 0; i--) {
		assert_int_equal(truncate(path, (off_t)some[i - 1]), 0);
		assert_file_refused(some[i - 1] < 8
					    ? LLFREE_POOL_ERR_NOT_POOL
					    : LLFREE_POOL_ERR_TRUNCATED);
	}
	assert_int_equal(truncate(path, 0), 0);
	assert_file_refused(LLFREE_POOL_ERR_NOT_POOL);
}

/* What the allocator cannot have left behind, in its entry for `huge`. */
static void assert_entry_refused(size_t huge, uint16_t entry)
{
	struct superblock head = read_head();
	lower_t lower;
	uint16_t good;
	size_t size;
	uint8_t *bytes = read_file(&size);
	off_t at;

	lower_init(&lower, FRAMES, bytes + head.lower_at, LOWER_KEEP);
	at = (uint8_t *)lower_child(&lower, huge_id(huge)) - bytes;
	memcpy(&good, bytes + at, sizeof(good));
	free(bytes);
	alter(at, &entry, sizeof(entry));
	assert_file_refused(LLFREE_POOL_ERR_METADATA);
	alter(at, &good, sizeof(good));
}

static void test_damaged_metadata(void **state)
{
	struct superblock head;

	(void)state;
	make_closed();
	/* Closed: the count has to be right. */
	assert_entry_refused(0, HUGE_FRAME - 1);
	head = read_head();
	head.state = SUPERBLOCK_DIRTY;
	alter(0, &head, sizeof(head));
	/* Not closed: a count that no state has, the end allocated whole. */
	assert_entry_refused(0, HUGE_FRAME + 1);
	assert_entry_refused(1, CHILD_WHOLE + 1);
	assert_entry_refused(2, CHILD_WHOLE);
	if (CHILDREN > 3)
		assert_entry_refused(3, 0);
	assert_fine(llfree_pool_close(open_as(0, LLFREE_POOL_RECOVERED)));
}

/* ------------------------------------------------------------------------ */
/* Several at once                                                           */

/* A pool that another process has open until it is told to end. */
static pid_t open_elsewhere(int *end)
{
	int there[2], go[2];
	char byte = 0;
	pid_t child;

	assert_int_equal(pipe(there), 0);
	assert_int_equal(pipe(go), 0);
	child = fork();
	if (child == 0) {
		llfree_pool_t *pool = open_as(0, LLFREE_POOL_CLEAN);

		close(go[1]);
		if (write(there[1], &byte, 1) != 1 || read(go[0], &byte, 1) < 0)
			_exit(1);
		_exit(llfree_pool_close(pool) != LLFREE_POOL_OK);
	}
	assert_int_equal(read(there[0], &byte, 1), 1);
	close(there[0]);
	close(there[1]);
	close(go[0]);
	*end = go[1];
	return child;
}

static void test_in_use(void **state)
{
	int end, status;
	llfree_pool_t *pool;
	pid_t child;

	(void)state;
	make_closed();
	child = open_elsewhere(&end);
	assert_refused(try_open(0), IN_USE);
	assert_refused(llfree_pool_create(&pool, path, FRAMES, &classing,
					  LLFREE_POOL_OVERWRITE),
		       IN_USE);
	pool = open_as(LLFREE_POOL_READ_ONLY, LLFREE_POOL_RECOVERED);
	assert_int_equal(free_frames(pool), FRAMES);
	assert_fine(llfree_pool_close(pool));
	close(end);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	pool = open_as(0, LLFREE_POOL_CLEAN);
	assert_refused(try_open(0), IN_USE);
	assert_fine(llfree_pool_close(pool));
}

/* A child of fork keeps no pool open that its parent closed. */
static void test_child(void **state)
{
	llfree_pool_t *pool = create();
	int go[2], status;
	char byte;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(go), 0);
	child = fork();
	if (child == 0) {
		close(go[1]);
		_exit(read(go[0], &byte, 1) != 0);
	}
	assert_fine(llfree_pool_close(pool));
	assert_fine(try_open(0));
	close(go[0]);
	close(go[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* Everything works on what it saw, and the file stays as it is. */
static void test_read_only(void **state)
{
	llfree_pool_t *pool = create();
	size_t frame = get(pool, 0), size;
	uint8_t *before;

	(void)state;
	strcpy(llfree_pool_address(pool, frame_id(frame)), "to read");
	assert_fine(llfree_pool_close(pool));
	assert_int_equal(chmod(path, 0400), 0);
	before = read_file(&size);
	pool = open_as(LLFREE_POOL_READ_ONLY, LLFREE_POOL_CLEAN);
	assert_string_equal(llfree_pool_address(pool, frame_id(frame)),
			    "to read");
	assert_int_equal(free_frames(pool), FRAMES - 1);
	assert_int_equal(
		llfree_tree_stats(llfree_pool_allocator(pool)).free_frames,
		FRAMES - 1);
	get(pool, LLFREE_HUGE_ORDER);
	assert_fine(llfree_pool_sync(pool));
	assert_fine(llfree_pool_close(pool));
	assert_unchanged(before, size);
	assert_int_equal(chmod(path, 0600), 0);
}

/* ------------------------------------------------------------------------ */
/* No space                                                                  */

static void assert_no_space(void)
{
	llfree_pool_t *pool;
	uint8_t *before;
	size_t size;
	int fd;

	assert_refused(llfree_pool_create(&pool, path, FRAMES, &classing, 0),
		       NO_SPACE);
	assert_null(pool);
	assert_int_equal(access(path, F_OK), -1);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "of value", 8), 8);
	close(fd);
	before = read_file(&size);
	assert_refused(llfree_pool_create(&pool, path, FRAMES, &classing,
					  LLFREE_POOL_OVERWRITE),
		       NO_SPACE);
	assert_unchanged(before, size);
	assert_int_equal(unlink(path), 0);
}

static void test_limit(void **state)
{
	struct rlimit old, low;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	low = old;
	low.rlim_cur = 1 << 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	assert_no_space();
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	make_closed();
}

static void test_full_disk(void **state)
{
	(void)state;
	if (mount("none", folder, "tmpfs", 0, "size=3m")) {
		print_message("# skipped: no mount: %s\n", strerror(errno));
		skip();
	}
	assert_no_space();
	assert_int_equal(umount(folder), 0);
}

#define POOL_TEST(test) cmocka_unit_test_teardown(test, no_file)

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOL_TEST(test_close_and_open),
		POOL_TEST(test_not_closed),
		POOL_TEST(test_state),
		POOL_TEST(test_addresses),
		POOL_TEST(test_texts),
		POOL_TEST(test_arguments),
		POOL_TEST(test_system),
		POOL_TEST(test_exists),
		POOL_TEST(test_empty_file),
		POOL_TEST(test_other_pools),
		POOL_TEST(test_flipped_bits),
		POOL_TEST(test_noise),
		POOL_TEST(test_truncated),
		POOL_TEST(test_damaged_metadata),
		POOL_TEST(test_in_use),
		POOL_TEST(test_child),
		POOL_TEST(test_read_only),
		POOL_TEST(test_limit),
		POOL_TEST(test_full_disk),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
