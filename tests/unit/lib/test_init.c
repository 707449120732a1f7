/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* llfree_metadata_size, llfree_init in its modes, and what it must refuse. */

#include "tests/unit/lib/fixture.h"

#include <sys/mman.h>
#include <unistd.h>

static const size_t odd_sizes[] = {
	HUGE_FRAME,	    HUGE_FRAME + 1,
	HUGE_FRAME + ROW,   2 * HUGE_FRAME - 1,
	TREE + 1,	    TREE + HUGE_FRAME,
	2 * TREE - 1,	    2 * TREE,
	3 * TREE + ROW - 1, 3 * TREE + HUGE_FRAME + ROW + 1,
};

static size_t round_up(size_t value, size_t unit)
{
	return (value + unit - 1) / unit * unit;
}

static void test_size_of_lower(void **state)
{
	llfree_classing_t classing = fx_one_class(1);
	size_t entries = round_up(2 * CHILDREN, LLFREE_CACHE_SIZE);

	(void)state;
	for (size_t trees = 1; trees < 200; trees += 33) {
		llfree_meta_size_t size =
			llfree_metadata_size(&classing, trees * TREE);
		size_t lower = trees * (CHILDREN * 64 + entries);

		assert_in_range(size.lower, trees * CHILDREN * 66, lower);
		assert_in_range(size.trees, trees * 4,
				trees * LLFREE_CACHE_SIZE);
		assert_in_range(size.llfree, 1, 2 * LLFREE_CACHE_SIZE);
	}
}

static void test_size_per_gib(void **state)
{
	llfree_classing_t classing = fx_one_class(1);
	size_t gib = (size_t)1 << (30 - LLFREE_FRAME_BITS);

	(void)state;
	if (LLFREE_TREE_CHILDREN_ORDER != 3) {
		print_message("# skipped: about trees of eight huge frames\n");
		skip();
	}
	for (size_t n = 1; n <= 64; n *= 2) {
		llfree_meta_size_t size =
			llfree_metadata_size(&classing, n * gib);
		assert_int_equal(size.lower, n * 36 * 1024);
		/* 0.004 % of what is managed */
		assert_true(size.lower + size.trees <= (n << 30) / 25000);
	}
}

/* A cache line for each slot, and little beside. */
static void assert_slots(llfree_classing_t classing, size_t slots)
{
	size_t line = LLFREE_CACHE_SIZE;

	assert_in_range(llfree_metadata_size(&classing, TREE).local,
			slots * line, (slots + 2) * line);
}

static void test_size_of_local(void **state)
{
	(void)state;
	for (size_t slots = 0; slots < 70; slots++) {
		assert_slots(fx_one_class(slots), slots);
		assert_slots(llfree_classing_simple(slots), 2 * slots);
		assert_slots(llfree_classing_movable(slots), 3 * slots);
	}
}

static void test_getters(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(odd_sizes); i++) {
		llfree_classing_t classing = llfree_classing_simple(3);
		struct fx fx;

		fx_make(&fx, odd_sizes[i], LLFREE_INIT_FREE, &classing);
		llfree_meta_t meta = llfree_metadata(fx.self);
		llfree_meta_size_t size = llfree_metadata_size_of(fx.self);

		assert_ptr_equal(meta.local, fx.meta.local);
		assert_ptr_equal(meta.trees, fx.meta.trees);
		assert_ptr_equal(meta.lower, fx.meta.lower);
		assert_int_equal(size.llfree, fx.size.llfree);
		assert_int_equal(size.local, fx.size.local);
		assert_int_equal(size.trees, fx.size.trees);
		assert_int_equal(size.lower, fx.size.lower);
		assert_int_equal(llfree_frames(fx.self), odd_sizes[i]);
		fx_end(&fx);
	}
}

static void assert_all_free(const struct fx *fx)
{
	ll_stats_t stats = llfree_stats(fx->self);

	assert_int_equal(stats.free_frames, fx->frames);
	assert_int_equal(stats.free_huge, fx->frames / HUGE_FRAME);
	assert_int_equal(stats.free_trees, fx_trees(fx));
}

static void test_init_free(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(odd_sizes); i++) {
		llfree_classing_t classing = fx_one_class(2);
		struct fx fx;

		fx_make(&fx, odd_sizes[i], LLFREE_INIT_FREE, &classing);
		assert_all_free(&fx);
		fx_end(&fx);
	}
}

static void test_init_alloc(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(odd_sizes); i++) {
		llfree_classing_t classing = fx_one_class(2);
		struct fx fx;

		fx_make(&fx, odd_sizes[i], LLFREE_INIT_ALLOC, &classing);
		ll_stats_t stats = llfree_stats(fx.self);

		assert_int_equal(stats.free_frames, 0);
		assert_int_equal(stats.free_huge, 0);
		assert_int_equal(stats.free_trees, 0);
		fx_check(&fx);
		assert_err(llfree_get(fx.self, frame_id_none(), fx_slot(0, 0)),
			   MEMORY);
		for (size_t frame = 0; frame < fx.frames; frame++)
			fx_put(&fx, frame, fx_slot(0, 1));
		assert_all_free(&fx);
		fx_end(&fx);
	}
}

static void test_zeroed(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(odd_sizes); i++) {
		llfree_classing_t classing = fx_one_class(2);
		struct fx fx;

		fx_alloc(&fx, odd_sizes[i], &classing);
		memset(fx.meta.lower, 0, fx.size.lower);
		assert_ok(llfree_init_zeroed(fx.self, fx.frames, fx.meta,
					     &classing));
		assert_all_free(&fx);
		fx_check(&fx);
		for (size_t frame = 0; frame < fx.frames; frame++)
			fx_get(&fx, fx_slot(0, 0));
		assert_err(llfree_get(fx.self, frame_id_none(), fx_slot(0, 0)),
			   MEMORY);
		fx_end(&fx);
	}
}

static size_t resident_pages(void *start, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t pages = (size + page - 1) / page, found = 0;
	unsigned char *flags = malloc(pages);

	assert_non_null(flags);
	assert_int_equal(mincore(start, size, flags), 0);
	for (size_t i = 0; i < pages; i++)
		found += flags[i] & 1;
	free(flags);
	return found;
}

/* The bitfields of 64 GiB are 2 MiB; a set-up must not write them. */
static void test_zeroed_writes_no_bitfield(void **state)
{
	llfree_classing_t classing = fx_one_class(1);
	size_t frames = (size_t)64 << (30 - LLFREE_FRAME_BITS);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct fx fx;
	void *lower;

	(void)state;
	fx_alloc(&fx, frames, &classing);
	lower = mmap(NULL, fx.size.lower, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(lower, MAP_FAILED);
	assert_int_equal(madvise(lower, fx.size.lower, MADV_NOHUGEPAGE), 0);
	free(fx.meta.lower);
	fx.meta.lower = lower;
	assert_ok(llfree_init_zeroed(fx.self, frames, fx.meta, &classing));
	assert_in_range(resident_pages(lower, fx.size.lower), 0,
			(fx.size.lower - frames / 8) / page + 2);
	fx_check(&fx);
	assert_all_free(&fx);
	assert_int_equal(munmap(lower, fx.size.lower), 0);
	fx.meta.lower = NULL;
	fx_release(&fx);
}

/* `self` may be copied elsewhere before its first use. */
static void test_moved(void **state)
{
	llfree_classing_t classing = llfree_classing_simple(2);
	llfree_request_t small = llfree_simple_request(2, 0, 1);
	struct fx fx;

	(void)state;
	fx_make(&fx, 3 * TREE, LLFREE_INIT_FREE, &classing);
	void *moved = malloc(fx.size.llfree);
	assert_non_null(moved);
	memcpy(moved, fx.self, fx.size.llfree);
	memset((void *)fx.self, 0x5a, fx.size.llfree);
	free(fx.self);
	fx.self = moved;
	assert_all_free(&fx);
	fx_put(&fx, fx_get(&fx, small), small);
	assert_all_free(&fx);
	fx_end(&fx);
}

/* Buffers that touch each other do not overlap. */
static void test_adjacent_buffers(void **state)
{
	llfree_classing_t classing = fx_one_class(3);
	size_t line = LLFREE_CACHE_SIZE;
	struct fx fx;
	void *all = NULL;

	(void)state;
	fx_alloc(&fx, 5 * TREE, &classing);
	size_t trees = round_up(fx.size.trees, line);
	size_t lower = round_up(fx.size.lower, line);

	assert_int_equal(
		posix_memalign(&all, line, fx.size.local + trees + lower), 0);
	llfree_meta_t meta = { .lower = all,
			       .local = (uint8_t *)all + lower,
			       .trees =
				       (uint8_t *)all + lower + fx.size.local };
	assert_ok(llfree_init(fx.self, fx.frames, LLFREE_INIT_FREE, meta,
			      &classing));
	fx_get(&fx, fx_slot(0, 2));
	fx_check(&fx);
	free(all);
	fx_release(&fx);
}

/* ------------------------------------------------------------------------ */
/* What is refused                                                           */

static void assert_refused(struct fx *fx, size_t frames, uint8_t mode,
			   llfree_meta_t meta,
			   const llfree_classing_t *classing)
{
	ll_stats_t none = { 0 };
	uint8_t *self = malloc(fx->size.llfree);
	uint8_t *local = malloc(fx->size.local);
	uint8_t *trees = malloc(fx->size.trees);
	uint8_t *lower = malloc(fx->size.lower);

	memcpy(self, fx->self, fx->size.llfree);
	memcpy(local, fx->meta.local, fx->size.local);
	memcpy(trees, fx->meta.trees, fx->size.trees);
	memcpy(lower, fx->meta.lower, fx->size.lower);
	assert_err(llfree_init(fx->self, frames, mode, meta, classing), INIT);
	if (mode == LLFREE_INIT_FREE)
		assert_err(llfree_init_zeroed(fx->self, frames, meta, classing),
			   INIT);
	struct fx_copy copy = { self, local, trees, lower, none };

	assert_memory_equal(fx->self, copy.self, fx->size.llfree);
	assert_memory_equal(fx->meta.local, copy.local, fx->size.local);
	assert_memory_equal(fx->meta.trees, copy.trees, fx->size.trees);
	assert_memory_equal(fx->meta.lower, copy.lower, fx->size.lower);
	fx_copy_release(&copy);
}

static void refuse_setup(struct fx *fx)
{
	llfree_classing_t classing = llfree_classing_simple(4);

	fx_alloc(fx, 40 * TREE, &classing);
}

static void test_bad_size(void **state)
{
	const size_t bad[] = { 0,
			       1,
			       ROW,
			       HUGE_FRAME - 1,
			       SIZE_MAX,
			       SIZE_MAX - TREE,
			       SIZE_MAX / 2 + 1,
			       (size_t)1 << 60 };
	struct fx fx;

	(void)state;
	refuse_setup(&fx);
	for (size_t i = 0; i < LENGTH(bad); i++) {
		llfree_meta_size_t size =
			llfree_metadata_size(&fx.classing, bad[i]);

		assert_int_equal(size.llfree, 0);
		assert_int_equal(size.local, 0);
		assert_int_equal(size.trees, 0);
		assert_int_equal(size.lower, 0);
		for (uint8_t mode = 0; mode < LLFREE_INIT_MAX; mode++)
			assert_refused(&fx, bad[i], mode, fx.meta,
				       &fx.classing);
	}
	fx_release(&fx);
}

/* Sizes grow with the range until they are refused, and then for good. */
static void test_size_limit(void **state)
{
	llfree_classing_t classing = fx_one_class(1);
	size_t before = 0;
	bool refused = false;

	(void)state;
	for (unsigned bits = LLFREE_HUGE_ORDER; bits < 64; bits++) {
		size_t frames = (size_t)1 << bits;
		llfree_meta_size_t size =
			llfree_metadata_size(&classing, frames);

		refused |= size.lower == 0;
		if (refused) {
			assert_int_equal(size.lower, 0);
			assert_true(bits > 34); /* 64 TiB must be possible */
			continue;
		}
		assert_true(size.lower >= frames / 512 * 66);
		assert_true(size.lower >= before);
		before = size.lower;
	}
	assert_true(refused);
}

static void test_bad_mode(void **state)
{
	struct fx fx;

	(void)state;
	refuse_setup(&fx);
	for (unsigned mode = 0; mode <= UINT8_MAX; mode++)
		if (mode == 3 || mode >= LLFREE_INIT_MAX)
			assert_refused(&fx, fx.frames, (uint8_t)mode, fx.meta,
				       &fx.classing);
	fx_release(&fx);
}

/* Each buffer in turn at an address `step` bytes on, or at none. */
static void test_bad_alignment(void **state)
{
	struct fx fx;

	(void)state;
	refuse_setup(&fx);
	for (size_t step = 1; step < LLFREE_CACHE_SIZE; step++) {
		for (size_t which = 0; which < 3; which++) {
			llfree_meta_t meta = fx.meta;

			meta.local += which == 0 ? step : 0;
			meta.trees += which == 1 ? step : 0;
			meta.lower += which == 2 ? step : 0;
			assert_refused(&fx, fx.frames, LLFREE_INIT_FREE, meta,
				       &fx.classing);
		}
	}
	fx_release(&fx);
}

static void test_no_buffer(void **state)
{
	struct fx fx;

	(void)state;
	refuse_setup(&fx);
	for (size_t which = 0; which < 3; which++) {
		llfree_meta_t meta = fx.meta;

		meta.local = which == 0 ? NULL : meta.local;
		meta.trees = which == 1 ? NULL : meta.trees;
		meta.lower = which == 2 ? NULL : meta.lower;
		assert_refused(&fx, fx.frames, LLFREE_INIT_FREE, meta,
			       &fx.classing);
	}
	fx_release(&fx);
}

/* `second` begins `gap` bytes behind `first`, inside it. */
static void overlap(struct fx *fx, uint8_t **first, size_t size,
		    uint8_t **second, llfree_meta_t *meta)
{
	size_t last = (size - 1) / LLFREE_CACHE_SIZE * LLFREE_CACHE_SIZE;
	uint8_t *before = *second;

	for (size_t gap = 0; gap <= last; gap += LLFREE_CACHE_SIZE) {
		*second = *first + gap;
		assert_refused(fx, fx->frames, LLFREE_INIT_FREE, *meta,
			       &fx->classing);
	}
	*second = before;
}

static void test_overlap(void **state)
{
	struct fx fx;

	(void)state;
	refuse_setup(&fx);
	llfree_meta_t meta = fx.meta;

	overlap(&fx, &meta.local, fx.size.local, &meta.trees, &meta);
	overlap(&fx, &meta.local, fx.size.local, &meta.lower, &meta);
	overlap(&fx, &meta.trees, fx.size.trees, &meta.local, &meta);
	overlap(&fx, &meta.trees, fx.size.trees, &meta.lower, &meta);
	overlap(&fx, &meta.lower, LLFREE_CACHE_SIZE * 8, &meta.local, &meta);
	overlap(&fx, &meta.lower, LLFREE_CACHE_SIZE * 8, &meta.trees, &meta);
	fx_release(&fx);
}

static void refuse_classing(struct fx *fx, llfree_classing_t classing)
{
	llfree_meta_size_t size = llfree_metadata_size(&classing, fx->frames);

	assert_int_equal(size.llfree, 0);
	assert_int_equal(size.lower, 0);
	assert_int_equal(size.local, 0);
	assert_int_equal(size.trees, 0);
	for (uint8_t mode = 0; mode < LLFREE_INIT_MAX; mode++)
		if (mode != 3)
			assert_refused(fx, fx->frames, mode, fx->meta,
				       &classing);
}

static void test_bad_class_count(void **state)
{
	const size_t bad[] = { 0, LLFREE_MAX_CLASSES + 1, 256, SIZE_MAX };
	struct fx fx;

	(void)state;
	refuse_setup(&fx);
	for (size_t i = 0; i < LENGTH(bad); i++) {
		llfree_classing_t classing = fx.classing;

		classing.num_classes = bad[i];
		refuse_classing(&fx, classing);
	}
	fx_release(&fx);
}

static void test_bad_class(void **state)
{
	struct fx fx;

	(void)state;
	refuse_setup(&fx);
	for (unsigned bad = LLFREE_MAX_CLASSES; bad <= UINT8_MAX; bad++) {
		for (size_t at = 0; at < 2; at++) {
			llfree_classing_t classing = fx.classing;

			classing.classes[at].class = (uint8_t)bad;
			refuse_classing(&fx, classing);
		}
	}
	fx_release(&fx);
}

static void test_bad_default(void **state)
{
	struct fx fx;

	(void)state;
	refuse_setup(&fx);
	for (unsigned bad = 2; bad <= UINT8_MAX; bad++) {
		llfree_classing_t classing = fx.classing;

		classing.default_class = (uint8_t)bad;
		refuse_classing(&fx, classing);
	}
	fx_release(&fx);
}

static void test_class_twice(void **state)
{
	struct fx fx;

	(void)state;
	refuse_setup(&fx);
	llfree_classing_t classing = fx.classing;

	classing.classes[1].class = classing.classes[0].class;
	classing.default_class = classing.classes[0].class;
	refuse_classing(&fx, classing);
	fx_release(&fx);
}

static void test_no_policy(void **state)
{
	struct fx fx;

	(void)state;
	refuse_setup(&fx);
	llfree_classing_t classing = fx.classing;

	classing.policy = NULL;
	refuse_classing(&fx, classing);
	fx_release(&fx);
}

static void test_no_classing(void **state)
{
	struct fx fx;

	(void)state;
	refuse_setup(&fx);
	assert_int_equal(llfree_metadata_size(NULL, fx.frames).lower, 0);
	for (uint8_t mode = 0; mode < LLFREE_INIT_MAX; mode++)
		assert_refused(&fx, fx.frames, mode, fx.meta, NULL);
	fx_release(&fx);
}

/* More slots than an address space holds. */
static void test_too_many_slots(void **state)
{
	const size_t bad[] = { SIZE_MAX, SIZE_MAX / LLFREE_CACHE_SIZE + 1,
			       SIZE_MAX / 2 };
	struct fx fx;

	(void)state;
	refuse_setup(&fx);
	for (size_t i = 0; i < LENGTH(bad); i++) {
		llfree_classing_t classing = fx.classing;

		classing.classes[1].count = bad[i];
		refuse_classing(&fx, classing);
	}
	fx_release(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size_of_lower),
		cmocka_unit_test(test_size_per_gib),
		cmocka_unit_test(test_size_of_local),
		cmocka_unit_test(test_getters),
		cmocka_unit_test(test_init_free),
		cmocka_unit_test(test_init_alloc),
		cmocka_unit_test(test_zeroed),
		cmocka_unit_test(test_zeroed_writes_no_bitfield),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_adjacent_buffers),
		cmocka_unit_test(test_bad_size),
		cmocka_unit_test(test_size_limit),
		cmocka_unit_test(test_bad_mode),
		cmocka_unit_test(test_bad_alignment),
		cmocka_unit_test(test_no_buffer),
		cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_bad_class_count),
		cmocka_unit_test(test_bad_class),
		cmocka_unit_test(test_bad_default),
		cmocka_unit_test(test_class_twice),
		cmocka_unit_test(test_no_policy),
		cmocka_unit_test(test_no_classing),
		cmocka_unit_test(test_too_many_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
