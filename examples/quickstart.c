/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The allocator as a library. It manages the numbers of the 4 KiB frames of
 * 1 GiB. The program decides what a frame is: memory, or a block on a disk.
 *
 *   cc quickstart.c $(pkg-config --cflags --libs llfree)
 */
#include <stdio.h>
#include <stdlib.h>

#include <llfree.h>

#define FRAMES ((size_t)1 << 18)
#define CORES 2

/* The caller provides buffers and handle: the library allocates nothing. */
static void *buffer(size_t size)
{
	size_t lines = (size + LLFREE_CACHE_SIZE - 1) / LLFREE_CACHE_SIZE;
	void *memory =
		aligned_alloc(LLFREE_CACHE_SIZE, lines * LLFREE_CACHE_SIZE);
	if (!memory)
		abort();
	return memory;
}

static frame_id_t must(const char *what, llfree_result_t result)
{
	if (!llfree_is_ok(result)) {
		fprintf(stderr, "%s: error %u\n", what, result.error);
		exit(1);
	}
	printf("%-28s frame %6llu\n", what,
	       (unsigned long long)result.frame.value);
	return result.frame;
}

static void show(const char *when, const llfree_t *self)
{
	ll_stats_t stats = llfree_stats(self);
	printf("%-28s %zu frames free, %zu huge frames, %zu trees\n", when,
	       stats.free_frames, stats.free_huge, stats.free_trees);
}

int main(void)
{
	llfree_classing_t classing = llfree_classing_simple(CORES);
	llfree_meta_size_t size = llfree_metadata_size(&classing, FRAMES);
	llfree_meta_t meta = { .local = buffer(size.local),
			       .trees = buffer(size.trees),
			       .lower = buffer(size.lower) };
	llfree_t *self = buffer(size.llfree);
	must("init",
	     llfree_init(self, FRAMES, LLFREE_INIT_FREE, meta, &classing));

	/* One frame, and 2 MiB in one piece, through the slots of core 0. */
	llfree_request_t small = llfree_simple_request(CORES, 0, 0);
	llfree_request_t huge =
		llfree_simple_request(CORES, LLFREE_HUGE_ORDER, 0);
	frame_id_t page =
		must("get one frame", llfree_get(self, frame_id_none(), small));
	frame_id_t large = must("get a huge frame",
				llfree_get(self, frame_id_none(), huge));
	frame_id_t range =
		must("get 1000 frames",
		     llfree_get_range(self, frame_id_none(), 1000, small));
	show("now", self);

	/* Any part can be freed by itself. A free frame cannot be freed again. */
	must("put the first 64 of them",
	     llfree_put_range(self, range, 64, small));
	must("put the huge frame", llfree_put(self, large, huge));
	llfree_result_t twice = llfree_put(self, large, huge);
	printf("%-28s error %u\n", "put it again", twice.error);

	/* After a crash, the lower buffer alone tells what is allocated. */
	must("recover",
	     llfree_init(self, FRAMES, LLFREE_INIT_RECOVER, meta, &classing));
	show("recovered", self);
	must("put the one frame", llfree_put(self, page, small));
	llfree_validate(self);

	free(meta.local);
	free(meta.trees);
	free(meta.lower);
	free(self);
	return twice.error != LLFREE_ERR_MEMORY;
}
