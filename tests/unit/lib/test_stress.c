/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Several threads call everything at random, on slots of their own and of
 * others. An owner word for each frame shows at once when a frame is handed
 * out twice or freed without its owner; at quiet points the allocator is
 * compared with the owners, and everything free must be there to be had.
 *
 * LLFREE_TEST_SIZE=long makes it longer, LLFREE_TEST_SEED repeats a run.
 */

#include "tests/unit/lib/fixture.h"
#include "tests/unit/lib/threads.h"

#include <stdio.h>

#define MOST_HELD 512
#define STEPS 400

struct world {
	struct fx fx;
	atomic_uchar *owner;
	unsigned char *content; /* what a program would keep in a frame */
	struct meeting meeting;
	atomic_bool stop;
	size_t rounds;
	size_t slots;
	bool movable;
	atomic_size_t held;
};

struct block {
	size_t first;
	size_t frames;
};

struct worker {
	struct world *world;
	size_t id;
	uint64_t random;
	struct block held[MOST_HELD];
	size_t count;
};

/* ------------------------------------------------------------------------ */
/* Owners                                                                    */

/*
 * Nothing here but the allocator orders one owner's work before the next's:
 * ThreadSanitizer sees by `content` whether it does.
 */
static void own(struct world *world, size_t first, size_t frames, size_t id)
{
	must(first + frames <= world->fx.frames);
	for (size_t f = first; f < first + frames; f++) {
		must(atomic_exchange_explicit(&world->owner[f],
					      (unsigned char)(id + 1),
					      memory_order_relaxed) == 0);
		world->content[f] = (unsigned char)f;
	}
	atomic_fetch_add_explicit(&world->held, frames, memory_order_relaxed);
}

static void disown(struct world *world, size_t first, size_t frames, size_t id)
{
	for (size_t f = first; f < first + frames; f++) {
		must(world->content[f] == (unsigned char)f);
		must(atomic_exchange_explicit(&world->owner[f], 0,
					      memory_order_relaxed) == id + 1);
	}
	atomic_fetch_sub_explicit(&world->held, frames, memory_order_relaxed);
}

static void hold(struct worker *worker, size_t first, size_t frames)
{
	must(worker->count < MOST_HELD);
	worker->held[worker->count++] = (struct block){ first, frames };
}

/* ------------------------------------------------------------------------ */
/* Steps                                                                     */

static llfree_request_t request_of(struct worker *worker, unsigned order)
{
	struct world *world = worker->world;
	size_t slot = fx_below(&worker->random, 4)
			      ? worker->id % world->slots
			      : fx_below(&worker->random, world->slots);
	llfree_request_t request =
		world->movable
			? llfree_movable_request(world->slots, (uint8_t)order,
						 slot, worker->id & 1)
			: llfree_simple_request(world->slots, (uint8_t)order,
						slot);

	if (fx_below(&worker->random, 8) == 0)
		request.local = ll_none();
	return request;
}

/* Each order about half as often as the one below, huge ones now and then. */
static unsigned any_order(struct worker *worker)
{
	unsigned order = 0;

	if (fx_below(&worker->random, 10) == 0)
		return (unsigned)fx_below(&worker->random, MAX_ORDER + 1);
	while (order < LLFREE_HUGE_ORDER && fx_below(&worker->random, 2))
		order++;
	return order;
}

static void took(struct worker *worker, llfree_result_t got, size_t frames,
		 size_t align)
{
	must(got.error != LLFREE_ERR_ARGUMENT);
	if (!llfree_is_ok(got))
		return;
	must(got.frame.value % align == 0);
	own(worker->world, (size_t)got.frame.value, frames, worker->id);
	hold(worker, (size_t)got.frame.value, frames);
}

static void step_get(struct worker *worker)
{
	unsigned order = any_order(worker);
	size_t size = (size_t)1 << order;

	took(worker,
	     llfree_get(worker->world->fx.self, frame_id_none(),
			request_of(worker, order)),
	     size, size);
}

static void step_get_at(struct worker *worker)
{
	unsigned order = any_order(worker);
	size_t size = (size_t)1 << order;
	size_t places = worker->world->fx.frames / size;
	size_t at = fx_below(&worker->random, places) * size;

	took(worker,
	     llfree_get(worker->world->fx.self, fx_at(at),
			request_of(worker, order)),
	     size, size);
}

static void step_range(struct worker *worker)
{
	size_t all = worker->world->fx.frames;
	size_t most = fx_below(&worker->random, 4) && all > 2 * HUGE_FRAME
			      ? 2 * HUGE_FRAME
			      : all / 2;
	size_t frames = 1 + fx_below(&worker->random, most);
	size_t at = fx_below(&worker->random, all - frames + 1);
	frame_id_optional_t place =
		fx_below(&worker->random, 2) ? fx_at(at) : frame_id_none();

	took(worker,
	     llfree_get_range(worker->world->fx.self, place, frames,
			      request_of(worker, 0)),
	     frames, 1);
}

/* With a plain put where one fits, else with a put of a range. */
static void give(struct worker *worker, size_t first, size_t frames)
{
	struct world *world = worker->world;
	bool power = (frames & (frames - 1)) == 0 && first % frames == 0;
	unsigned order = 0;
	llfree_result_t freed;

	while ((size_t)1 << order < frames)
		order++;
	disown(world, first, frames, worker->id);
	if (power && order <= MAX_ORDER)
		freed = llfree_put(world->fx.self, frame_id(first),
				   request_of(worker, order));
	else
		freed = llfree_put_range(world->fx.self, frame_id(first),
					 frames, request_of(worker, 0));
	must(llfree_is_ok(freed));
}

static void give_all_of(struct worker *worker, size_t which)
{
	struct block block = worker->held[which];

	worker->held[which] = worker->held[--worker->count];
	give(worker, block.first, block.frames);
}

static void step_put(struct worker *worker)
{
	if (worker->count > 0)
		give_all_of(worker, fx_below(&worker->random, worker->count));
}

/* Frees some of a block, often a single frame; what is left stays held. */
static void step_put_part(struct worker *worker)
{
	size_t which, from, frames;
	struct block block;

	if (worker->count == 0 || worker->count + 2 > MOST_HELD)
		return;
	which = fx_below(&worker->random, worker->count);
	block = worker->held[which];
	from = fx_below(&worker->random, block.frames);
	frames = fx_below(&worker->random, 2)
			 ? 1
			 : 1 + fx_below(&worker->random, block.frames - from);
	worker->held[which] = worker->held[--worker->count];
	if (from > 0)
		hold(worker, block.first, from);
	if (from + frames < block.frames)
		hold(worker, block.first + from + frames,
		     block.frames - from - frames);
	give(worker, block.first + from, frames);
}

/* A tree goes off and comes back; what another thread does meanwhile fails. */
static void step_switch(struct worker *worker)
{
	llfree_t *self = worker->world->fx.self;
	size_t tree = fx_below(&worker->random, fx_trees(&worker->world->fx));
	llfree_tree_match_t match = { tree_id_some(tree_id(tree)),
				      LLFREE_CLASS_NONE, 0 };
	llfree_tree_change_t off = { LLFREE_CLASS_NONE,
				     LLFREE_TREE_OP_OFFLINE };
	llfree_tree_change_t on = { 1, LLFREE_TREE_OP_ONLINE };
	llfree_result_t changed = llfree_change_tree(self, match, off);

	must(changed.error != LLFREE_ERR_ARGUMENT);
	if (!llfree_is_ok(changed))
		return;
	must(changed.frame.value == tree * TREE);
	must(llfree_is_ok(llfree_change_tree(self, match, on)));
}

static void step_look(struct worker *worker)
{
	const struct fx *fx = &worker->world->fx;
	ll_stats_t exact = llfree_stats(fx->self);
	ll_tree_stats_t fast = llfree_tree_stats(fx->self);
	size_t frame = fx_below(&worker->random, fx->frames);

	must(exact.free_frames <= fx->frames);
	must(exact.free_huge <= fx->frames / HUGE_FRAME);
	must(exact.free_trees <= fx_trees(fx));
	must(fast.free_frames <= fx->frames);
	must(fast.free_trees <= fx_trees(fx));
	must(llfree_stats_at(fx->self, frame_id(frame), LLFREE_TREE_ORDER)
		     .free_frames <= TREE);
	if (atomic_load(&worker->world->owner[frame]) == worker->id + 1)
		must(llfree_stats_at(fx->self, frame_id(frame), 0)
			     .free_frames == 0);
}

static void step(struct worker *worker)
{
	size_t dice = fx_below(&worker->random, 1000);
	bool full = worker->count + 4 > MOST_HELD;

	if (dice < 430 && !full)
		step_get(worker);
	else if (dice < 500 && !full)
		step_get_at(worker);
	else if (dice < 520 && !full)
		step_range(worker);
	else if (dice < 850)
		step_put(worker);
	else if (dice < 980)
		step_put_part(worker);
	else if (dice < 986)
		llfree_drain(worker->world->fx.self);
	else if (dice < 992)
		step_switch(worker);
	else
		step_look(worker);
}

/* ------------------------------------------------------------------------ */
/* Quiet points                                                              */

static void check_owners(const struct world *world)
{
	uint8_t *map = fx_map(&world->fx);

	for (size_t f = 0; f < world->fx.frames; f++)
		must(map[f] == (world->owner[f] != 0));
	free(map);
}

static void check_counts(const struct world *world)
{
	ll_stats_t exact = llfree_stats(world->fx.self);
	ll_tree_stats_t fast = llfree_tree_stats(world->fx.self);
	size_t sum = 0;

	llfree_validate(world->fx.self);
	must(exact.free_frames == world->fx.frames - world->held);
	must(fast.free_frames == exact.free_frames);
	must(fast.free_trees == exact.free_trees);
	for (size_t c = 0; c < LLFREE_MAX_CLASSES; c++)
		sum += fast.classes[c].free_frames +
		       fast.classes[c].alloc_frames;
	must(sum == world->fx.frames);
}

/* From the largest order down: what is free can be had, to the last frame. */
static void check_all_to_be_had(struct worker *worker)
{
	struct world *world = worker->world;
	size_t left = llfree_stats(world->fx.self).free_frames;
	size_t *got = malloc((left + 1) * sizeof(*got)), count = 0;
	uint8_t *orders = malloc(left + 1);

	must(got && orders);
	for (unsigned order = MAX_ORDER + 1; order-- > 0;) {
		for (;;) {
			llfree_result_t one =
				llfree_get(world->fx.self, frame_id_none(),
					   request_of(worker, order));

			if (!llfree_is_ok(one))
				break;
			own(world, (size_t)one.frame.value, (size_t)1 << order,
			    worker->id);
			orders[count] = (uint8_t)order;
			got[count++] = (size_t)one.frame.value;
			left -= (size_t)1 << order;
		}
	}
	must(left == 0);
	while (count-- > 0)
		give(worker, got[count], (size_t)1 << orders[count]);
	free(got);
	free(orders);
}

static void quiet_point(struct worker *worker)
{
	meet(&worker->world->meeting);
	if (worker->id == 0) {
		check_counts(worker->world);
		check_owners(worker->world);
		check_all_to_be_had(worker);
		check_counts(worker->world);
		if (--worker->world->rounds == 0)
			atomic_store(&worker->world->stop, true);
	}
	meet(&worker->world->meeting);
}

static void work(void *arg, size_t id)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	must(worker);
	worker->world = arg;
	worker->id = id;
	worker->random = test_seed + 0x9e3779b97f4a7c15u * (id + 1);
	while (!atomic_load(&worker->world->stop)) {
		for (size_t i = 0; i < STEPS; i++)
			step(worker);
		quiet_point(worker);
	}
	while (worker->count > 0)
		give_all_of(worker, worker->count - 1);
	free(worker);
}

/* ------------------------------------------------------------------------ */

static void stress(size_t threads, size_t slots, size_t frames, bool movable)
{
	struct world world = { .slots = slots, .movable = movable };
	llfree_classing_t classing = movable ? llfree_classing_movable(slots)
					     : llfree_classing_simple(slots);

	test_seed_next();
	print_message("# seed %llu: %zu threads, %zu slots, %zu frames\n",
		      (unsigned long long)test_seed, threads, slots, frames);
	fx_make(&world.fx, frames, LLFREE_INIT_FREE, &classing);
	world.owner = calloc(frames, sizeof(*world.owner));
	world.content = calloc(frames, 1);
	assert_non_null(world.owner);
	assert_non_null(world.content);
	world.meeting.count = threads;
	world.rounds = test_rounds(25);
	run_threads(threads, work, &world);
	assert_int_equal(fx_free_frames(&world.fx), frames);
	free(world.owner);
	free(world.content);
	fx_end(&world.fx);
}

/* A child order of 9 makes a tree of 1 GiB; fewer of them are enough. */
static size_t some_trees(size_t trees)
{
	return (TREE > 1 << 14 && trees > 2 ? 2 : trees) * TREE;
}

static void test_two_threads(void **state)
{
	(void)state;
	stress(2, 2, some_trees(4) + HUGE_FRAME + 5, false);
	stress(2, 2, some_trees(2), true);
	stress(2, 1, some_trees(1) + 77, true);
}

static void test_four_threads(void **state)
{
	(void)state;
	stress(4, 4, some_trees(12), false);
	stress(4, 2, some_trees(3) + 1, true);
	stress(4, 1, some_trees(1), false);
}

static void test_many_threads(void **state)
{
	(void)state;
	stress(8, 8, some_trees(6) + HUGE_FRAME, true);
	stress(8, 3, some_trees(24), false);
	stress(16, 16, some_trees(20) + 3, false);
	stress(16, 2, some_trees(4), true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_threads),
		cmocka_unit_test(test_four_threads),
		cmocka_unit_test(test_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
