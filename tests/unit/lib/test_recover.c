/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * LLFREE_INIT_RECOVER and LLFREE_INIT_NONE: on buffers that were left in
 * order, and on copies of the persistent one that are taken while a thread
 * stands still at any instruction. The thread keeps a journal, by which each
 * frame must be allocated, free, or part of the one call that was under way.
 */

#include "tests/unit/lib/fixture.h"
#include "tests/unit/lib/threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#define FRAMES (3 * TREE + HUGE_FRAME + 5)

static const size_t slots = 2;

static llfree_request_t request(unsigned order, size_t slot)
{
	return llfree_simple_request(slots, (uint8_t)order, slot);
}

static void make(struct fx *fx)
{
	llfree_classing_t classing = llfree_classing_simple(slots);

	fx_make(fx, FRAMES, LLFREE_INIT_FREE, &classing);
}

/* An allocator of its own on a copy of the persistent buffer. */
static void recover(struct fx *copy, const uint8_t *lower)
{
	llfree_classing_t classing = llfree_classing_simple(slots);

	fx_alloc(copy, FRAMES, &classing);
	memcpy(copy->meta.lower, lower, copy->size.lower);
	assert_ok(llfree_init(copy->self, FRAMES, LLFREE_INIT_RECOVER,
			      copy->meta, &classing));
	fx_check(copy);
}

/* Some of everything: whole, split and partly used huge frames, ranges. */
static void use(struct fx *fx)
{
	size_t huge, large;

	for (unsigned order = 0; order < LLFREE_HUGE_ORDER; order++)
		fx_get(fx, request(order, 0));
	huge = fx_get(fx, request(9, 1));
	fx_put(fx, huge + 64, request(6, 0));
	fx_put(fx, huge + 3, request(0, 0));
	large = fx_get(fx, request(MAX_ORDER, 1));
	fx_put(fx, large + HUGE_FRAME / 2, request(8, 1));
	fx_get_at(fx, FRAMES - 1, request(0, 0));
}

static void test_clean(void **state)
{
	struct fx fx, copy;

	(void)state;
	make(&fx);
	use(&fx);
	uint8_t *map = fx_map(&fx);

	recover(&copy, fx.meta.lower);
	fx_assert_map(&copy, map);
	for (size_t f = 0; f < FRAMES; f++)
		if (map[f])
			fx_put(&copy, f, request(0, f % slots));
	assert_int_equal(fx_free_frames(&copy), FRAMES);
	fx_end(&copy);
	free(map);
	fx_end(&fx);
}

/* A recovery that is cut short and done again comes to the same. */
static void test_twice(void **state)
{
	struct fx fx, once, twice;

	(void)state;
	make(&fx);
	use(&fx);
	recover(&once, fx.meta.lower);
	recover(&twice, once.meta.lower);
	assert_memory_equal(once.meta.lower, twice.meta.lower, once.size.lower);
	fx_end(&twice);
	fx_end(&once);
	fx_end(&fx);
}

/* All free and all allocated, as two ends. */
static void test_ends(void **state)
{
	llfree_classing_t classing = llfree_classing_simple(slots);
	struct fx fx, copy;

	(void)state;
	for (uint8_t mode = LLFREE_INIT_FREE; mode <= LLFREE_INIT_ALLOC;
	     mode++) {
		fx_make(&fx, FRAMES, mode, &classing);
		recover(&copy, fx.meta.lower);
		assert_int_equal(fx_free_frames(&copy),
				 mode == LLFREE_INIT_FREE ? FRAMES : 0);
		fx_end(&copy);
		fx_end(&fx);
	}
}

/* What was offline is online again: only the volatile half knew. */
static void test_offline_is_forgotten(void **state)
{
	llfree_tree_match_t match = { tree_id_some(tree_id(1)),
				      LLFREE_CLASS_NONE, 0 };
	llfree_tree_change_t off = { LLFREE_CLASS_NONE,
				     LLFREE_TREE_OP_OFFLINE };
	struct fx fx, copy;

	(void)state;
	make(&fx);
	assert_ok(llfree_change_tree(fx.self, match, off));
	recover(&copy, fx.meta.lower);
	assert_int_equal(fx_free_frames(&copy), FRAMES);
	fx_end(&copy);
	fx_end(&fx);
}

/* ------------------------------------------------------------------------ */
/* 12. The buffers as they are                                               */

/* Copies of all three buffers go on exactly where the first ones stood. */
static void reopen(struct fx *copy, const struct fx *fx)
{
	fx_alloc(copy, fx->frames, &fx->classing);
	memcpy(copy->meta.lower, fx->meta.lower, fx->size.lower);
	memcpy(copy->meta.trees, fx->meta.trees, fx->size.trees);
	memcpy(copy->meta.local, fx->meta.local, fx->size.local);
	assert_ok(llfree_init(copy->self, fx->frames, LLFREE_INIT_NONE,
			      copy->meta, &fx->classing));
	assert_memory_equal(copy->meta.lower, fx->meta.lower, fx->size.lower);
	assert_memory_equal(copy->meta.trees, fx->meta.trees, fx->size.trees);
	assert_memory_equal(copy->meta.local, fx->meta.local, fx->size.local);
	fx_check(copy);
}

static void test_none_keeps_reservations(void **state)
{
	struct fx fx, copy;

	(void)state;
	make(&fx);
	use(&fx);
	reopen(&copy, &fx);
	assert_int_equal(fx_free_frames(&copy), fx_free_frames(&fx));
	for (size_t i = 0; i < 40; i++) {
		llfree_request_t same = request(0, i % slots);

		assert_int_equal(fx_get(&copy, same), fx_get(&fx, same));
	}
	assert_memory_equal(copy.meta.lower, fx.meta.lower, fx.size.lower);
	assert_memory_equal(copy.meta.trees, fx.meta.trees, fx.size.trees);
	assert_ok(llfree_drain(copy.self));
	assert_int_equal(fx_free_frames(&copy), fx_free_frames(&fx));
	fx_end(&copy);
	fx_end(&fx);
}

static void test_none_keeps_offline(void **state)
{
	llfree_tree_match_t match = { tree_id_some(tree_id(1)),
				      LLFREE_CLASS_NONE, 0 };
	llfree_tree_change_t change = { LLFREE_CLASS_NONE,
					LLFREE_TREE_OP_OFFLINE };
	struct fx fx, copy;

	(void)state;
	make(&fx);
	assert_ok(llfree_change_tree(fx.self, match, change));
	reopen(&copy, &fx);
	assert_int_equal(fx_free_frames(&copy), FRAMES - TREE);
	change.operation = LLFREE_TREE_OP_ONLINE;
	assert_ok(llfree_change_tree(copy.self, match, change));
	assert_int_equal(fx_free_frames(&copy), FRAMES);
	fx_end(&copy);
	fx_end(&fx);
}

/* ------------------------------------------------------------------------ */
/* Copies taken in the middle                                                */

enum { NO_CALL, A_GET, A_PUT };

/* The call under way; a get does not know yet where. */
struct flight {
	volatile int call;
	unsigned order;
	size_t first;
};

struct block {
	size_t first;
	unsigned order;
};

#define MOST_HELD 256

/* What the thread has completed, and where it stands. */
static struct {
	struct fx fx;
	uint8_t *map;
	struct flight flight;
	struct block held[MOST_HELD];
	size_t count;
	uint64_t random;
	atomic_bool stop;
	atomic_size_t frozen, thawed;
} journal;

/* The signal's handler: the thread stands still until it is let go. */
static void freeze(int signal)
{
	size_t round = atomic_load(&journal.thawed);

	(void)signal;
	atomic_fetch_add(&journal.frozen, 1);
	while (atomic_load(&journal.thawed) == round)
		sched_yield();
}

static void begin(int call, unsigned order, size_t first)
{
	journal.flight.order = order;
	journal.flight.first = first;
	atomic_signal_fence(memory_order_seq_cst);
	journal.flight.call = call;
	atomic_signal_fence(memory_order_seq_cst);
}

static void end(size_t first, unsigned order, uint8_t taken)
{
	atomic_signal_fence(memory_order_seq_cst);
	memset(journal.map + first, taken, (size_t)1 << order);
	atomic_signal_fence(memory_order_seq_cst);
	journal.flight.call = NO_CALL;
}

static void journal_get(void)
{
	unsigned order = (unsigned)fx_below(&journal.random, MAX_ORDER + 1);
	size_t places = FRAMES >> order;
	size_t at = fx_below(&journal.random, places) << order;
	bool named = fx_below(&journal.random, 3) == 0;
	llfree_result_t got;

	if (journal.count + MAX_ORDER >= MOST_HELD)
		return;
	begin(A_GET, order, 0);
	got = llfree_get(journal.fx.self, named ? fx_at(at) : frame_id_none(),
			 request(order, fx_below(&journal.random, slots)));
	if (!llfree_is_ok(got)) {
		journal.flight.call = NO_CALL;
		return;
	}
	at = (size_t)got.frame.value;
	end(at, order, 1);
	journal.held[journal.count++] = (struct block){ at, order };
}

static void journal_put(void)
{
	size_t which = fx_below(&journal.random, journal.count);
	struct block block = journal.held[which];
	size_t size = (size_t)1 << block.order;
	unsigned part = block.order;
	size_t first;

	if (journal.count + MAX_ORDER < MOST_HELD &&
	    fx_below(&journal.random, 2))
		part = (unsigned)fx_below(&journal.random, part + 1);
	first = block.first + (fx_below(&journal.random, size) >> part << part);
	journal.held[which] = journal.held[--journal.count];
	while (block.order > part) {
		size_t half = (size_t)1 << --block.order;
		size_t other = block.first;

		if (first < block.first + half)
			other += half;
		else
			block.first += half;
		journal.held[journal.count++] =
			(struct block){ other, block.order };
	}
	begin(A_PUT, part, first);
	must(llfree_is_ok(
		llfree_put(journal.fx.self, frame_id(first),
			   request(part, fx_below(&journal.random, slots)))));
	end(first, part, 0);
}

static void *journal_work(void *arg)
{
	while (!atomic_load(&journal.stop)) {
		for (size_t i = 0; i < 20; i++) {
			if (journal.count == 0 || fx_below(&journal.random, 2))
				journal_get();
			else
				journal_put();
		}
		sched_yield();
	}
	return arg;
}

/* One atomic step takes it, so a crash may not show a part of it. */
static bool indivisible(unsigned order)
{
	return order <= LLFREE_ATOMIC_ORDER ||
	       (order >= LLFREE_HUGE_ORDER && order <= LLFREE_HUGE_ORDER + 2);
}

static void assert_block_agrees(const uint8_t *map, size_t first,
				unsigned order)
{
	size_t size = (size_t)1 << order, taken = 0;

	for (size_t f = first; f < first + size; f++)
		taken += map[f];
	if (indivisible(order) && taken != 0 && taken != size)
		fail_msg("order %u at %zu: %zu frames of it allocated", order,
			 first, taken);
}

/* Frames that differ from the journal are those of the call under way. */
static void assert_agrees(const uint8_t *map, const uint8_t *said,
			  struct flight flight)
{
	size_t place = flight.first;
	bool placed = flight.call == A_PUT;

	for (size_t f = 0; f < FRAMES; f++) {
		if (map[f] == said[f])
			continue;
		if (!placed && flight.call == A_GET)
			place = f >> flight.order << flight.order;
		placed |= flight.call == A_GET;
		if (!placed || f >> flight.order << flight.order != place)
			fail_msg("frame %zu: %u, journal %u, call %d of %u", f,
				 map[f], said[f], flight.call, flight.order);
	}
	if (placed)
		assert_block_agrees(map, place, flight.order);
}

static void snapshot(pthread_t thread, uint8_t *lower, uint8_t *said)
{
	size_t round = atomic_load(&journal.frozen);
	struct flight flight;
	struct fx copy;
	uint8_t *map;

	assert_int_equal(pthread_kill(thread, SIGUSR1), 0);
	while (atomic_load(&journal.frozen) == round)
		sched_yield();
	memcpy(lower, journal.fx.meta.lower, journal.fx.size.lower);
	memcpy(said, journal.map, FRAMES);
	flight = journal.flight;
	atomic_fetch_add(&journal.thawed, 1);

	recover(&copy, lower);
	map = fx_map(&copy);
	assert_agrees(map, said, flight);
	for (size_t f = 0; f < FRAMES; f++)
		if (map[f])
			fx_put(&copy, f, request(0, 0));
	assert_int_equal(fx_free_frames(&copy), FRAMES);
	free(map);
	fx_end(&copy);
}

static void test_in_the_middle(void **state)
{
	struct sigaction action = { .sa_handler = freeze };
	uint8_t *lower, *said;
	pthread_t thread;
	size_t copies = test_rounds(3000);

	(void)state;
	test_seed_next();
	print_message("# seed %llu\n", (unsigned long long)test_seed);
	make(&journal.fx);
	journal.random = test_seed;
	journal.map = calloc(FRAMES, 1);
	lower = malloc(journal.fx.size.lower);
	said = malloc(FRAMES);
	assert_true(journal.map && lower && said);
	sigaction(SIGUSR1, &action, NULL);
	assert_int_equal(pthread_create(&thread, NULL, journal_work, NULL), 0);
	for (; copies > 0; copies--)
		snapshot(thread, lower, said);
	atomic_store(&journal.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	free(journal.map);
	free(lower);
	free(said);
	fx_end(&journal.fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_offline_is_forgotten),
		cmocka_unit_test(test_none_keeps_reservations),
		cmocka_unit_test(test_none_keeps_offline),
		cmocka_unit_test(test_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
