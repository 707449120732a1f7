/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Random sequences of all calls on one thread, each result compared with a
 * model that knows one byte a frame: a call must succeed exactly when the
 * frames allow it.
 */

#include "tests/unit/fixture.h"

#include <stdio.h>

enum { FREE, TAKEN };

struct model {
	struct fx fx;
	uint8_t *map;	  /* FREE or TAKEN, offline trees too */
	uint8_t *offline; /* by tree */
	uint64_t seed;
	size_t slots;
	size_t classes;
};

/* ------------------------------------------------------------------------ */
/* What the model says                                                       */

static bool usable(const struct model *m, size_t frame)
{
	return m->map[frame] == FREE && !m->offline[frame / TREE];
}

static bool run_is(const struct model *m, size_t first, size_t frames,
		   uint8_t state)
{
	return m->map[first] == state &&
	       !memcmp(m->map + first, m->map + first + 1, frames - 1);
}

static bool run_usable(const struct model *m, size_t first, size_t frames)
{
	for (size_t t = first / TREE; t <= (first + frames - 1) / TREE; t++)
		if (m->offline[t])
			return false;
	return run_is(m, first, frames, FREE);
}

/* May a range of this length begin here? (see llfree_get_range) */
static bool place_allowed(size_t first, size_t frames)
{
	if (frames >= HUGE_FRAME)
		return first % HUGE_FRAME == 0;
	return first / HUGE_FRAME == (first + frames - 1) / HUGE_FRAME;
}

static bool any_run(const struct model *m, size_t frames, size_t align)
{
	for (size_t f = 0; f + frames <= m->fx.frames; f += align)
		if (usable(m, f) && place_allowed(f, frames) &&
		    run_usable(m, f, frames))
			return true;
	return false;
}

static void model_set(struct model *m, size_t first, size_t frames,
		      uint8_t state)
{
	memset(m->map + first, state, frames);
}

static ll_stats_t model_stats(const struct model *m)
{
	ll_stats_t stats = { 0 };

	for (size_t f = 0; f < m->fx.frames; f++)
		stats.free_frames += usable(m, f);
	for (size_t f = 0; f + HUGE_FRAME <= m->fx.frames; f += HUGE_FRAME)
		stats.free_huge += run_usable(m, f, HUGE_FRAME);
	for (size_t f = 0; f < m->fx.frames; f += TREE) {
		size_t left = m->fx.frames - f;

		stats.free_trees += run_usable(m, f, left < TREE ? left : TREE);
	}
	return stats;
}

/* ------------------------------------------------------------------------ */
/* Calls                                                                     */

static llfree_request_t any_request(struct model *m, unsigned order)
{
	uint8_t class = (uint8_t)fx_below(&m->seed, m->classes);
	size_t slot = fx_below(&m->seed, m->slots + 1);

	return llreq((uint8_t)order, class,
		     slot < m->slots ? ll_some(slot) : ll_none());
}

/* Small orders most of the time. */
static unsigned any_order(struct model *m)
{
	size_t most = MAX_ORDER + 1;

	return (unsigned)fx_below(&m->seed, 1 + fx_below(&m->seed, most));
}

static void do_get(struct model *m)
{
	unsigned order = any_order(m);
	size_t size = (size_t)1 << order;
	llfree_result_t got =
		llfree_get(m->fx.self, frame_id_none(), any_request(m, order));

	assert_int_equal(got.error, any_run(m, size, size) ? LLFREE_ERR_OK
							   : LLFREE_ERR_MEMORY);
	if (!llfree_is_ok(got))
		return;
	assert_int_equal(got.frame.value % size, 0);
	assert_in_range(got.frame.value, 0, m->fx.frames - size);
	assert_true(run_usable(m, got.frame.value, size));
	model_set(m, got.frame.value, size, TAKEN);
}

static void do_get_at(struct model *m)
{
	unsigned order = any_order(m);
	size_t size = (size_t)1 << order;
	size_t at = fx_below(&m->seed, m->fx.frames / size) * size;
	llfree_result_t got =
		llfree_get(m->fx.self, fx_at(at), any_request(m, order));

	assert_int_equal(got.error, run_usable(m, at, size)
					    ? LLFREE_ERR_OK
					    : LLFREE_ERR_MEMORY);
	if (!llfree_is_ok(got))
		return;
	assert_int_equal(got.frame.value, at);
	model_set(m, at, size, TAKEN);
}

static void do_put(struct model *m)
{
	unsigned order = any_order(m);
	size_t size = (size_t)1 << order;
	size_t at = fx_below(&m->seed, m->fx.frames / size) * size;
	llfree_result_t freed =
		llfree_put(m->fx.self, frame_id(at), any_request(m, order));

	assert_int_equal(freed.error, run_is(m, at, size, TAKEN)
					      ? LLFREE_ERR_OK
					      : LLFREE_ERR_MEMORY);
	if (llfree_is_ok(freed))
		model_set(m, at, size, FREE);
}

/* Up to a frame and a bit most of the time, else up to everything. */
static size_t any_length(struct model *m)
{
	size_t most = fx_below(&m->seed, 4) ? HUGE_FRAME + ROW : m->fx.frames;

	return 1 + fx_below(&m->seed, most);
}

static void do_get_range(struct model *m)
{
	size_t frames = any_length(m);
	unsigned order = (unsigned)fx_below(&m->seed, 11);
	size_t align = (size_t)1 << order;
	llfree_result_t got;

	if (frames > m->fx.frames || order > MAX_ORDER)
		return;
	got = llfree_get_range(m->fx.self, frame_id_none(), frames,
			       any_request(m, order));
	assert_int_equal(got.error, any_run(m, frames, align)
					    ? LLFREE_ERR_OK
					    : LLFREE_ERR_MEMORY);
	if (!llfree_is_ok(got))
		return;
	assert_int_equal(got.frame.value % align, 0);
	assert_true(place_allowed(got.frame.value, frames));
	assert_true(run_usable(m, got.frame.value, frames));
	model_set(m, got.frame.value, frames, TAKEN);
}

static void do_get_range_at(struct model *m)
{
	size_t at = fx_below(&m->seed, m->fx.frames), frames = any_length(m);
	llfree_result_t got;

	if (frames > m->fx.frames - at)
		frames = m->fx.frames - at;
	got = llfree_get_range(m->fx.self, fx_at(at), frames,
			       any_request(m, 0));
	assert_int_equal(got.error, run_usable(m, at, frames)
					    ? LLFREE_ERR_OK
					    : LLFREE_ERR_MEMORY);
	if (llfree_is_ok(got))
		model_set(m, at, frames, TAKEN);
}

static void do_put_range(struct model *m)
{
	size_t at = fx_below(&m->seed, m->fx.frames), frames = any_length(m);
	llfree_result_t freed;

	if (frames > m->fx.frames - at)
		frames = m->fx.frames - at;
	freed = llfree_put_range(m->fx.self, frame_id(at), frames,
				 any_request(m, 0));
	assert_int_equal(freed.error, run_is(m, at, frames, TAKEN)
					      ? LLFREE_ERR_OK
					      : LLFREE_ERR_MEMORY);
	if (llfree_is_ok(freed))
		model_set(m, at, frames, FREE);
}

/* Frees all that is taken around a random frame, so that memory comes back. */
static void do_put_around(struct model *m)
{
	size_t first = fx_below(&m->seed, m->fx.frames), end = first;
	size_t most = any_length(m);

	while (first > 0 && m->map[first - 1] == TAKEN && end - first < most)
		first--;
	while (end < m->fx.frames && m->map[end] == TAKEN && end - first < most)
		end++;
	if (end == first)
		return;
	assert_ok(llfree_put_range(m->fx.self, frame_id(first), end - first,
				   any_request(m, 0)));
	model_set(m, first, end - first, FREE);
}

/* Reserved trees do not match, so none is reserved while they are changed. */
static void do_change(struct model *m)
{
	size_t tree = fx_below(&m->seed, fx_trees(&m->fx));
	bool offline = m->offline[tree];
	uint8_t operation = (uint8_t)fx_below(&m->seed, 3);
	uint8_t class = (uint8_t)fx_below(&m->seed, m->classes + 1);
	llfree_tree_match_t match = { tree_id_some(tree_id(tree)),
				      LLFREE_CLASS_NONE, 0 };
	llfree_tree_change_t change = {
		class < m->classes ? class : LLFREE_CLASS_NONE, operation
	};
	llfree_result_t changed;

	assert_ok(llfree_drain(m->fx.self));
	changed = llfree_change_tree(m->fx.self, match, change);
	assert_int_equal(changed.error,
			 offline == (operation == LLFREE_TREE_OP_ONLINE)
				 ? LLFREE_ERR_OK
				 : LLFREE_ERR_MEMORY);
	if (llfree_is_ok(changed) && operation != LLFREE_TREE_OP_NONE)
		m->offline[tree] = !offline;
}

static void bring_online(struct model *m)
{
	llfree_tree_match_t match = { tree_id_none(), LLFREE_CLASS_NONE, 0 };
	llfree_tree_change_t change = { LLFREE_CLASS_NONE,
					LLFREE_TREE_OP_ONLINE };

	while (llfree_is_ok(llfree_change_tree(m->fx.self, match, change)))
		;
	memset(m->offline, 0, fx_trees(&m->fx));
}

/* The volatile half is lost and rebuilt; offline trees come back. */
static void do_recover(struct model *m)
{
	memset(m->fx.meta.trees, 0x5a, m->fx.size.trees);
	memset(m->fx.meta.local, 0x5a, m->fx.size.local);
	assert_ok(llfree_init(m->fx.self, m->fx.frames, LLFREE_INIT_RECOVER,
			      m->fx.meta, &m->fx.classing));
	memset(m->offline, 0, fx_trees(&m->fx));
}

static void do_reopen(struct model *m)
{
	assert_ok(llfree_init(m->fx.self, m->fx.frames, LLFREE_INIT_NONE,
			      m->fx.meta, &m->fx.classing));
}

static void do_any(struct model *m)
{
	size_t dice = fx_below(&m->seed, 1000);

	if (dice < 400)
		do_get(m);
	else if (dice < 500)
		do_get_at(m);
	else if (dice < 700)
		do_put(m);
	else if (dice < 760)
		do_get_range(m);
	else if (dice < 800)
		do_get_range_at(m);
	else if (dice < 850)
		do_put_range(m);
	else if (dice < 970)
		do_put_around(m);
	else if (dice < 980)
		do_change(m);
	else if (dice < 983)
		bring_online(m);
	else if (dice < 985)
		do_recover(m);
	else if (dice < 988)
		do_reopen(m);
	else
		assert_ok(llfree_drain(m->fx.self));
}

static void compare(const struct model *m)
{
	ll_stats_t want = model_stats(m), have = llfree_stats(m->fx.self);
	uint8_t *map = fx_map(&m->fx);

	assert_int_equal(have.free_frames, want.free_frames);
	assert_int_equal(have.free_huge, want.free_huge);
	assert_int_equal(have.free_trees, want.free_trees);
	fx_check(&m->fx);
	for (size_t f = 0; f < m->fx.frames; f++)
		if (map[f] == usable(m, f))
			fail_msg("frame %zu differs", f);
	free(map);
}

static void fuzz(llfree_classing_t classing, size_t slots, size_t trees,
		 size_t rest, uint64_t seed)
{
	struct model m = { .seed = seed,
			   .slots = slots,
			   .classes = classing.num_classes };
	size_t steps = CHILDREN > 8 ? 32000 / CHILDREN + 300 : 4000;

	print_message("# seed %llu, %zu trees and %zu frames\n",
		      (unsigned long long)seed, trees, rest);
	fx_make(&m.fx, trees * TREE + rest, LLFREE_INIT_FREE, &classing);
	m.map = calloc(m.fx.frames + 1, 1);
	m.offline = calloc(trees + 1 + rest / TREE, 1);
	assert_true(m.map && m.offline);
	for (size_t i = 0; i < steps; i++) {
		do_any(&m);
		if (i % 50 == 0)
			compare(&m);
	}
	compare(&m);
	free(m.map);
	free(m.offline);
	fx_end(&m.fx);
}

/* Seed of the first run; LLFREE_TEST_SEED gives another. */
static uint64_t first_seed(void)
{
	const char *text = getenv("LLFREE_TEST_SEED");

	return text ? strtoull(text, NULL, 0) | 1 : 0x9e3779b97f4a7c15u;
}

static void fuzz_all(llfree_classing_t classing, size_t slots)
{
	uint64_t seed = first_seed();

	for (size_t i = 0; i < 4; i++, seed += 2) {
		fuzz(classing, slots, 1, 0, seed);
		fuzz(classing, slots, 2, HUGE_FRAME + 77, seed);
		if (TREE <= 1 << 14)
			fuzz(classing, slots, 5, 1, seed);
	}
}

static void test_simple(void **state)
{
	(void)state;
	fuzz_all(llfree_classing_simple(2), 2);
}

static void test_movable(void **state)
{
	(void)state;
	fuzz_all(llfree_classing_movable(3), 3);
}

static void test_one_class(void **state)
{
	(void)state;
	fuzz_all(fx_one_class(1), 1);
}

static void test_no_slots(void **state)
{
	(void)state;
	fuzz_all(llfree_classing_simple(0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_simple),
		cmocka_unit_test(test_movable),
		cmocka_unit_test(test_one_class),
		cmocka_unit_test(test_no_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
