/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A list that survives kill -9. Its entries are frames of a pool file, linked by
 * their numbers, the newest first. The root of the pool links the first entry.
 *
 *   persistent FILE        check the list; create FILE if there is none
 *   persistent FILE work   then add and remove entries until it is killed
 *
 * An entry is written before it is linked, and unlinked before it is freed. To
 * link or unlink it is one store. A kill in between leaves a frame that is
 * allocated and not linked: the next start finds it and frees it. This needs no
 * log.
 *
 *   cc persistent.c $(pkg-config --cflags --libs llfree)
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <llfree_pool.h>

#define FRAMES ((size_t)1 << 14)

/* A link is a frame number plus one, so that 0 is the end of the list. */
struct entry {
	uint64_t next;
	uint64_t number;
	char text[LLFREE_FRAME_SIZE - 16];
};

static void must(llfree_pool_error_t error, const char *path)
{
	if (!error)
		return;
	fprintf(stderr, "%s: %s\n", path, llfree_pool_error_text(error));
	if (error == LLFREE_POOL_ERR_SYSTEM)
		perror(path);
	exit(1);
}

static llfree_request_t one_frame(void)
{
	return llfree_simple_request(1, 0, 0);
}

static uint64_t *first_link(const llfree_pool_t *pool)
{
	return llfree_pool_root(pool);
}

/* Null at the end of the list: the pool has no frame of that number. */
static struct entry *entry_at(const llfree_pool_t *pool, uint64_t link)
{
	return llfree_pool_address(pool, frame_id(link - 1));
}

static void set_first(const llfree_pool_t *pool, uint64_t link)
{
	__atomic_store_n(first_link(pool), link, __ATOMIC_RELEASE);
}

/* False when the pool is full. */
static bool add(llfree_pool_t *pool)
{
	llfree_result_t got = llfree_get(llfree_pool_allocator(pool),
					 frame_id_none(), one_frame());
	const struct entry *before = entry_at(pool, *first_link(pool));
	struct entry *entry;

	if (!llfree_is_ok(got))
		return false;
	entry = entry_at(pool, got.frame.value + 1);
	entry->next = *first_link(pool);
	entry->number = before ? before->number + 1 : 1;
	snprintf(entry->text, sizeof(entry->text), "entry %" PRIu64,
		 entry->number);
	set_first(pool, got.frame.value + 1);
	return true;
}

static void drop(llfree_pool_t *pool)
{
	const struct entry *entry = entry_at(pool, *first_link(pool));
	frame_id_t frame = llfree_pool_frame(pool, entry).value;

	set_first(pool, entry->next);
	(void)llfree_put(llfree_pool_allocator(pool), frame, one_frame());
}

/* Fill the pool, remove half of the entries, and repeat. */
static void work(llfree_pool_t *pool)
{
	for (;;) {
		while (add(pool))
			;
		for (size_t i = 0; i < FRAMES / 2; i++)
			drop(pool);
	}
}

static void must_be(bool good, uint64_t number)
{
	if (good)
		return;
	fprintf(stderr, "entry %" PRIu64 " is broken\n", number);
	exit(1);
}

/* Check all entries and count them; set a byte of `linked` for each frame. */
static uint64_t walk(const llfree_pool_t *pool, char *linked)
{
	const struct entry *entry = entry_at(pool, *first_link(pool));
	uint64_t count = entry ? entry->number : 0, left = count;
	char text[32];

	for (; entry; entry = entry_at(pool, entry->next), left--) {
		snprintf(text, sizeof(text), "entry %" PRIu64, left);
		must_be(entry->number == left && !strcmp(entry->text, text),
			left);
		linked[llfree_pool_frame(pool, entry).value.value] = 1;
	}
	must_be(left == 0, left);
	return count;
}

/* Free the frames that were allocated and not linked when the program was
 * killed. */
static size_t sweep(llfree_pool_t *pool, const char *linked)
{
	llfree_t *self = llfree_pool_allocator(pool);
	size_t freed = 0;

	for (size_t i = 0; i < FRAMES; i++)
		if (!linked[i] &&
		    !llfree_stats_at(self, frame_id(i), 0).free_frames)
			freed += llfree_is_ok(
				llfree_put(self, frame_id(i), one_frame()));
	return freed;
}

static llfree_pool_t *open_or_create(const char *path)
{
	llfree_classing_t classing = llfree_classing_simple(1);
	llfree_pool_t *pool;

	if (access(path, F_OK))
		must(llfree_pool_create(&pool, path, FRAMES, &classing, 0),
		     path);
	else
		must(llfree_pool_open(&pool, path, &classing, 0), path);
	return pool;
}

int main(int argc, char **argv)
{
	static const char *const found[] = { "created", "closed", "recovered" };
	static char linked[FRAMES];
	llfree_pool_t *pool;
	uint64_t count;
	size_t freed;

	if (argc < 2 || (argc > 2 && strcmp(argv[2], "work"))) {
		fprintf(stderr, "usage: persistent FILE [work]\n");
		return 2;
	}
	pool = open_or_create(argv[1]);
	count = walk(pool, linked);
	freed = sweep(pool, linked);
	printf("%s: %" PRIu64 " entries are there, %zu frames were freed\n",
	       found[llfree_pool_found(pool)], count, freed);
	fflush(stdout);
	if (argc > 2)
		work(pool);
	must(llfree_pool_close(pool), argv[1]);
	return 0;
}
