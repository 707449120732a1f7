/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A program as others write them against the LLFree C interface: public header
 * and standard C11 only. headers.sh compiles it once more, with -pedantic.
 */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <llfree.h>

#define CORES 4
#define FRAMES ((size_t)3 * LLFREE_TREE_SIZE + 1234)

static unsigned passed, failed;

static void check(bool good, const char *name)
{
	printf("%s %u - %s\n", good ? "ok" : "not ok", passed + failed + 1,
	       name);
	if (good)
		passed++;
	else
		failed++;
}

static void *buffer(size_t size)
{
	size_t lines = (size + LLFREE_CACHE_SIZE - 1) / LLFREE_CACHE_SIZE;
	void *memory = aligned_alloc(LLFREE_CACHE_SIZE,
				     (lines + 1) * LLFREE_CACHE_SIZE);

	if (memory == NULL)
		abort();
	return memory;
}

static llfree_t *set_up(uint8_t init, llfree_classing_t *classing)
{
	llfree_meta_size_t size = llfree_metadata_size(classing, FRAMES);
	llfree_meta_t meta = {
		.local = buffer(size.local),
		.trees = buffer(size.trees),
		.lower = buffer(size.lower),
	};
	llfree_t *self = buffer(size.llfree);
	llfree_result_t res = llfree_init(self, FRAMES, init, meta, classing);

	if (!llfree_is_ok(res))
		abort();
	return self;
}

static void tear_down(llfree_t *self)
{
	llfree_meta_t meta = llfree_metadata(self);

	free(meta.local);
	free(meta.trees);
	free(meta.lower);
	free(self);
}

static bool get_and_put(llfree_t *self, llfree_request_t request)
{
	llfree_result_t res = llfree_get(self, frame_id_none(), request);

	if (!llfree_is_ok(res) || res.class == LLFREE_CLASS_NONE)
		return false;
	return llfree_is_ok(llfree_put(self, res.frame, request));
}

static bool every_order(llfree_t *self, bool movable)
{
	for (uint8_t order = 0; order <= LLFREE_MAX_ORDER; order++)
		for (size_t core = 0; core < CORES; core++)
			if (!get_and_put(self,
					 movable ? llfree_movable_request(
							   CORES, order, core,
							   core % 2)
						 : llfree_simple_request(
							   CORES, order, core)))
				return false;
	return llfree_stats(self).free_frames == FRAMES;
}

static bool get_at(llfree_t *self)
{
	llfree_request_t request = llreq(3, 0, ll_some(1));
	frame_id_optional_t at = frame_id_some(frame_id(64));
	llfree_result_t res = llfree_get(self, at, request);
	llfree_result_t again = llfree_get(self, at, request);

	return res.error == LLFREE_ERR_OK && res.frame.value == 64 &&
	       again.error == LLFREE_ERR_MEMORY &&
	       llfree_put(self, res.frame, request).error == LLFREE_ERR_OK &&
	       llfree_put(self, res.frame, request).error == LLFREE_ERR_MEMORY;
}

static bool trees(llfree_t *self)
{
	llfree_tree_match_t match = {
		.id = tree_id_some(tree_id(1)),
		.class = LLFREE_CLASS_NONE,
		.free = 0,
	};
	llfree_tree_change_t change = {
		.class = LLFREE_CLASS_NONE,
		.operation = LLFREE_TREE_OP_OFFLINE,
	};
	llfree_result_t off, on;

	(void)llfree_drain(self);
	off = llfree_change_tree(self, match, change);
	if (llfree_stats(self).free_frames != FRAMES - LLFREE_TREE_SIZE)
		return false;
	change.operation = LLFREE_TREE_OP_ONLINE;
	on = llfree_change_tree(self, match, change);
	return llfree_is_ok(off) && llfree_is_ok(on) &&
	       on.frame.value == LLFREE_TREE_SIZE;
}

static bool statistics(const llfree_t *self)
{
	ll_stats_t exact = llfree_stats(self);
	ll_tree_stats_t fast = llfree_tree_stats(self);
	ll_stats_t huge = llfree_stats_at(self, frame_id(0), LLFREE_HUGE_ORDER);

	return exact.free_frames == FRAMES &&
	       exact.free_huge == FRAMES / LLFREE_CHILD_SIZE &&
	       exact.free_trees == fast.free_trees &&
	       fast.free_frames == FRAMES &&
	       fast.classes[0].alloc_frames == 0 &&
	       huge.free_frames == LLFREE_CHILD_SIZE &&
	       llfree_frames(self) == FRAMES;
}

static void count_text(void *arg, char *text)
{
	*(size_t *)arg += strlen(text);
}

static bool debugging(const llfree_t *self)
{
	size_t length = 0;

	llfree_print_debug(self, count_text, &length);
	llfree_validate(self);
	return length > 0;
}

static void run(const char *name, llfree_classing_t classing, bool movable)
{
	llfree_t *self = set_up(LLFREE_INIT_FREE, &classing);

	printf("# %s: %" PRIuPTR " frames\n", name,
	       (uintptr_t)llfree_frames(self));
	check(every_order(self, movable), "get and put of every order");
	check(get_at(self), "get at a place");
	check(trees(self), "drain and change_tree");
	check(statistics(self), "statistics");
	check(debugging(self), "print_debug and validate");
	tear_down(self);
}

static void run_allocated(void)
{
	llfree_classing_t classing = llfree_classing_simple(CORES);
	llfree_t *self = set_up(LLFREE_INIT_ALLOC, &classing);
	llfree_result_t res = llfree_put(self, frame_id(0),
					 llfree_simple_request(CORES, 9, 0));

	check(llfree_is_ok(res) &&
		      llfree_stats(self).free_frames == LLFREE_HUGE_SIZE,
	      "all allocated, then one huge frame free");
	tear_down(self);
}

int main(void)
{
	run("simple", llfree_classing_simple(CORES), false);
	run("movable", llfree_classing_movable(CORES), true);
	run_allocated();
	printf("1..%u\n", passed + failed);
	return failed > 0;
}
