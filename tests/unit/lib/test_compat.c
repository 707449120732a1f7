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

/* Structures and enumerations by their tags, as some programs name them. */
static bool tags(llfree_t *self)
{
	struct ll_optional local = ll_some(0);
	struct llfree_request request = llreq(0, 0, local);
	struct frame_id_optional at = frame_id_none();
	struct llfree_result got = llfree_get(self, at, request);
	struct frame_id frame = got.frame;
	struct tree_id tree = tree_id(frame.value / LLFREE_TREE_SIZE);
	struct tree_id_optional id = tree_id_some(tree);
	struct llfree_tree_match match = { id, LLFREE_CLASS_NONE, 0 };
	enum llfree_tree_operation operation = LLFREE_TREE_OP_NONE;
	struct llfree_tree_change change = { LLFREE_CLASS_NONE, 0 };
	struct llfree_meta meta = llfree_metadata(self);
	struct llfree_meta_size size = llfree_metadata_size_of(self);
	struct llfree_policy policy = llfree_simple_policy(0, 0, 1);
	enum llfree_policy_type expected = LLFREE_POLICY_MATCH;
	llfree_policy_type_t type = policy.type;
	struct llfree_counters counters = llfree_counters(self);
	struct ll_stats exact = llfree_stats(self);
	struct ll_tree_stats fast = llfree_tree_stats(self);
	struct ll_class_stats sum = { 0 };

	change.operation = (llfree_tree_operation_t)operation;
	for (size_t i = 0; i < LLFREE_MAX_CLASSES; i++) {
		ll_class_stats_t class = fast.classes[i];

		sum.free_frames += class.free_frames;
		sum.alloc_frames += class.alloc_frames;
	}
	return llfree_is_ok(got) && type == expected && meta.lower != NULL &&
	       size.lower > 0 && counters.raids == counters.reserved_steals &&
	       exact.free_frames == FRAMES - 1 &&
	       sum.free_frames == FRAMES - 1 && sum.alloc_frames == 1 &&
	       llfree_is_ok(llfree_put(self, frame, request)) &&
	       llfree_is_ok(llfree_drain(self)) &&
	       llfree_is_ok(llfree_change_tree(self, match, change));
}

static struct llfree_classing with_spare_slots(struct llfree_classing classing)
{
	struct llfree_class_conf *conf = &classing.classes[0];

	conf->count++;
	return classing;
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
	check(tags(self), "structures by their tags");
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
	run("simple", with_spare_slots(llfree_classing_simple(CORES)), false);
	run("movable", llfree_classing_movable(CORES), true);
	run_allocated();
	printf("1..%u\n", passed + failed);
	return failed > 0;
}
