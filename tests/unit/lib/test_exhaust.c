/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Threads at the edge of out of memory: no get may fail because of another
 * thread's half-done step while there is one block for each thread that can be
 * under way. Blocks of one order only, so that nothing is lost to fragments.
 */

#include "tests/unit/lib/fixture.h"
#include "tests/unit/lib/threads.h"

struct edge {
	struct fx fx;
	struct meeting meeting;
	unsigned order;
	size_t slots;
	size_t share; /* blocks that each thread may hold, one more in flight */
	size_t rounds;
	atomic_size_t taken;
	atomic_bool stop;
};

static llfree_request_t request_of(const struct edge *edge, size_t id,
				   uint64_t *random)
{
	size_t slot = fx_below(random, edge->slots + 1);
	llfree_request_t request = llfree_simple_request(
		edge->slots, (uint8_t)edge->order, id % edge->slots);

	if (fx_below(random, 4) == 0)
		request.local = slot < edge->slots ? ll_some(slot) : ll_none();
	if (fx_below(random, 16) == 0)
		request.class ^= 1;
	return request;
}

static size_t get(struct edge *edge, size_t id, uint64_t *random)
{
	llfree_result_t got = llfree_get(edge->fx.self, frame_id_none(),
					 request_of(edge, id, random));

	must(llfree_is_ok(got));
	return (size_t)got.frame.value;
}

static void put(struct edge *edge, size_t id, uint64_t *random, size_t frame)
{
	must(llfree_is_ok(llfree_put(edge->fx.self, frame_id(frame),
				     request_of(edge, id, random))));
}

/* Holds its whole share, and gives back and takes one at a time, or many. */
static void keep_share(void *arg, size_t id)
{
	struct edge *edge = arg;
	uint64_t random = test_seed + 77 * (id + 1);
	size_t *held = calloc(edge->share, sizeof(*held)), count = 0;

	must(held);
	meet(&edge->meeting);
	for (size_t n = test_rounds(200); n; n--) {
		size_t least = fx_below(&random, 4)
				       ? edge->share - 1
				       : fx_below(&random, edge->share);

		for (size_t i = 0; i < 32; i++) {
			while (count < edge->share)
				held[count++] = get(edge, id, &random);
			while (count > least) {
				size_t which = fx_below(&random, count);

				put(edge, id, &random, held[which]);
				held[which] = held[--count];
			}
		}
		if (fx_below(&random, 50) == 0)
			llfree_drain(edge->fx.self);
	}
	while (count > 0)
		put(edge, id, &random, held[--count]);
	free(held);
}

static void run(size_t threads, size_t slots, unsigned order, size_t share,
		void (*body)(void *, size_t))
{
	llfree_classing_t classing = llfree_classing_simple(slots);
	size_t blocks = threads * (share + 1);
	size_t frames = blocks << order;
	struct edge edge = { .order = order, .slots = slots, .share = share };

	test_seed_next();
	fx_make(&edge.fx, frames < HUGE_FRAME ? HUGE_FRAME : frames,
		LLFREE_INIT_FREE, &classing);
	if (frames < HUGE_FRAME)
		fx_take(&edge.fx, frames, HUGE_FRAME - frames);
	edge.meeting.count = threads;
	edge.rounds = test_rounds(20);
	run_threads(threads, body, &edge);
	assert_int_equal(fx_free_frames(&edge.fx), frames);
	fx_end(&edge.fx);
}

/* Small orders in few huge frames, and in more than one tree. */
static void test_small(void **state)
{
	(void)state;
	run(2, 2, 0, 255, keep_share);
	run(2, 2, 0, 3, keep_share);
	run(4, 4, 0, 127 + TREE / 2, keep_share);
	run(4, 2, 3, 15, keep_share);
	run(4, 4, 6, 7, keep_share);
	run(8, 2, 2, 200, keep_share);
}

/* Orders of several rows. */
static void test_rows(void **state)
{
	(void)state;
	run(2, 2, 7, 3, keep_share);
	run(2, 2, 8, 1, keep_share);
	run(4, 4, 8, 2, keep_share);
	run(4, 4, 7, 2 * CHILDREN, keep_share);
}

static void test_huge(void **state)
{
	(void)state;
	run(2, 2, 9, 1, keep_share);
	run(2, 2, 9, 3, keep_share);
	run(4, 4, 9, 2 * CHILDREN - 1, keep_share);
	run(4, 1, 9, 5, keep_share);
	run(8, 8, 9, 4, keep_share);
}

static void test_larger(void **state)
{
	(void)state;
	for (unsigned order = 10; order <= MAX_ORDER && order < 15; order++)
		run(2, 2, order, 2, keep_share);
	run(4, 4, MAX_ORDER, 1, keep_share);
}

/* ------------------------------------------------------------------------ */

/* All take until nothing is left; nothing may be left. */
static void take_all(void *arg, size_t id)
{
	struct edge *edge = arg;
	uint64_t random = test_seed + 99 * (id + 1);

	do {
		size_t taken = 0;

		meet(&edge->meeting);
		while (llfree_is_ok(llfree_get(edge->fx.self, frame_id_none(),
					       request_of(edge, id, &random))))
			taken++;
		atomic_fetch_add(&edge->taken, taken << edge->order);
		meet(&edge->meeting);
		if (id == 0) {
			must(atomic_load(&edge->taken) == edge->fx.frames);
			must(llfree_stats(edge->fx.self).free_frames == 0);
			llfree_validate(edge->fx.self);
			must(llfree_is_ok(llfree_put_range(
				edge->fx.self, frame_id(0), edge->fx.frames,
				request_of(edge, id, &random))));
			atomic_store(&edge->taken, 0);
			atomic_store(&edge->stop, --edge->rounds == 0);
		}
		meet(&edge->meeting);
	} while (!atomic_load(&edge->stop));
}

static void test_take_all(void **state)
{
	(void)state;
	run(2, 2, 0, HUGE_FRAME - 1, take_all);
	run(4, 4, 0, TREE - 1, take_all);
	run(4, 2, 4, TREE / 16 - 1, take_all);
	run(2, 2, 9, CHILDREN - 1, take_all);
	run(8, 8, 9, CHILDREN - 1, take_all);
	run(2, 2, MAX_ORDER, 1, take_all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small),	 cmocka_unit_test(test_rows),
		cmocka_unit_test(test_huge),	 cmocka_unit_test(test_larger),
		cmocka_unit_test(test_take_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
