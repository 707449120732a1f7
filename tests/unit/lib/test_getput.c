/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* llfree_get and llfree_put: all orders, parts, places, and wrong calls. */

#include "tests/unit/lib/fixture.h"

#define RAGGED (2 * TREE + HUGE_FRAME + 3 * ROW + 5)

static void make(struct fx *fx, size_t frames)
{
	llfree_classing_t classing = fx_one_class(2);

	fx_make(fx, frames, LLFREE_INIT_FREE, &classing);
}

/* Takes everything there is of one order; the blocks must not overlap. */
static size_t take_all(struct fx *fx, llfree_request_t request)
{
	size_t size = (size_t)1 << request.order, taken = 0;
	uint8_t *owned = calloc(fx->frames, 1);

	assert_non_null(owned);
	for (;; taken++) {
		llfree_result_t got =
			llfree_get(fx->self, frame_id_none(), request);
		if (!llfree_is_ok(got)) {
			assert_err(got, MEMORY);
			break;
		}
		assert_int_equal(got.frame.value % size, 0);
		assert_in_range(got.frame.value, 0, fx->frames - size);
		for (size_t i = 0; i < size; i++) {
			if (owned[got.frame.value + i]++)
				fail_msg("frame %zu handed out twice",
					 (size_t)got.frame.value + i);
		}
	}
	fx_assert_map(fx, owned);
	free(owned);
	return taken;
}

static void test_every_order(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= MAX_ORDER; order++) {
		llfree_request_t requests[] = { fx_order(order),
						fx_slot(order, 0) };
		for (size_t i = 0; i < 2; i++) {
			struct fx fx;

			make(&fx, RAGGED);
			assert_int_equal(take_all(&fx, requests[i]),
					 fx.frames >> order);
			for (size_t b = 0; b < fx.frames >> order; b++)
				fx_put(&fx, b << order, requests[i]);
			assert_int_equal(fx_free_frames(&fx), fx.frames);
			fx_end(&fx);
		}
	}
}

/* What one slot frees, the other one and no slot can have. */
static void test_every_order_mixed_slots(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= MAX_ORDER; order++) {
		struct fx fx;

		make(&fx, RAGGED);
		take_all(&fx, fx_slot(order, 0));
		for (size_t b = 0; b < fx.frames >> order; b += 2)
			fx_put(&fx, b << order, fx_slot(order, 1));
		for (size_t b = 1; b < fx.frames >> order; b += 2)
			fx_put(&fx, b << order, fx_order(order));
		fx_check(&fx);
		assert_int_equal(fx_free_frames(&fx), fx.frames);
		assert_int_equal(take_all(&fx, fx_slot(order, 1)),
				 fx.frames >> order);
		fx_end(&fx);
	}
}

static void test_at(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= MAX_ORDER; order++) {
		struct fx fx;

		make(&fx, TREE + HUGE_FRAME + ROW);
		for (size_t b = fx.frames >> order; b-- > 0;) {
			llfree_request_t request =
				b % 3 == 0 ? fx_order(order)
					   : fx_slot(order, b % 2);

			fx_get_at(&fx, b << order, request);
			assert_err(llfree_get(fx.self, fx_at(b << order),
					      request),
				   MEMORY);
		}
		fx_check(&fx);
		for (size_t b = 0; b < fx.frames >> order; b++)
			fx_put(&fx, b << order, fx_slot(order, 0));
		assert_int_equal(fx_free_frames(&fx), fx.frames);
		fx_end(&fx);
	}
}

/* A place is taken when any one frame of it is. */
static void test_at_taken(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx, 2 * TREE);
	for (size_t frame = 0; frame < TREE;
	     frame += frame < 130 ? 1 + CHILDREN / 16 : 509 + TREE / 40) {
		fx_get_at(&fx, frame, fx_order(0));
		uint8_t *map = fx_map(&fx);

		for (unsigned order = 0; order <= MAX_ORDER; order++) {
			size_t block = frame >> order << order;

			assert_err(llfree_get(fx.self, fx_at(block),
					      fx_order(order)),
				   MEMORY);
			fx_assert_map(&fx, map);
		}
		free(map);
		fx_put(&fx, frame, fx_order(0));
	}
	fx_end(&fx);
}

/* ------------------------------------------------------------------------ */
/* Parts and several at once                                                 */

static void free_in_parts(struct fx *fx, unsigned order, unsigned part,
			  size_t stride)
{
	size_t parts = (size_t)1 << (order - part);
	size_t before = fx_free_frames(fx);
	size_t block = fx_get(fx, fx_slot(order, 0));

	for (size_t i = 0; i < parts; i++) {
		size_t which = i * stride % parts;

		fx_put(fx, block + (which << part), fx_slot(part, i % 2));
	}
	assert_int_equal(fx_free_frames(fx), before);
	fx_check(fx);
}

static void test_parts(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx, 2 * TREE + HUGE_FRAME);
	for (unsigned order = 1; order <= MAX_ORDER; order++)
		for (unsigned part = 0; part < order; part++) {
			free_in_parts(&fx, order, part, 1);
			free_in_parts(&fx, order, part, 37);
		}
	fx_end(&fx);
}

/* While only a part is free, exactly that part can be had again. */
static void test_part_again(void **state)
{
	(void)state;
	for (unsigned order = 1; order <= MAX_ORDER; order++) {
		for (unsigned part = 0; part < order; part++) {
			size_t parts = (size_t)1 << (order - part);
			struct fx fx;

			make(&fx, TREE);
			for (size_t b = 0; b < TREE >> order; b++)
				fx_get(&fx, fx_slot(order, 0));
			for (size_t i = 0; i < parts; i += parts / 2 + 1) {
				fx_put(&fx, i << part, fx_order(part));
				assert_err(llfree_put(fx.self,
						      frame_id(i << part),
						      fx_order(part)),
					   MEMORY);
				assert_int_equal(fx_get(&fx, fx_slot(part, 0)),
						 i << part);
				assert_int_equal(fx_free_frames(&fx), 0);
			}
			fx_end(&fx);
		}
	}
}

/* One put of what several gets of order `part` took. */
static void test_put_covers_several(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx, 2 * TREE);
	for (unsigned order = 1; order <= MAX_ORDER; order++) {
		for (unsigned part = 0; part < order; part++) {
			size_t parts = (size_t)1 << (order - part);

			for (size_t i = 0; i < parts; i++)
				fx_get_at(&fx, TREE + (i << part),
					  fx_order(part));
			fx_put(&fx, TREE, fx_order(order));
			assert_int_equal(fx_free_frames(&fx), fx.frames);
			fx_check(&fx);
		}
	}
	fx_end(&fx);
}

/* The same of pieces of all sizes: 2^k, then 2^k, 2^(k+1), ... up to it. */
static void test_put_covers_mixed(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx, 2 * TREE);
	for (unsigned order = 1; order <= MAX_ORDER; order++) {
		for (unsigned first = 0; first < order; first++) {
			fx_get_at(&fx, 0, fx_order(first));
			for (unsigned o = first; o < order; o++)
				fx_get_at(&fx, (size_t)1 << o, fx_order(o));
			assert_int_equal(fx_free_frames(&fx),
					 fx.frames - ((size_t)1 << order));
			fx_put(&fx, 0, fx_order(order));
			assert_int_equal(fx_free_frames(&fx), fx.frames);
			fx_check(&fx);
		}
	}
	fx_end(&fx);
}

/* ------------------------------------------------------------------------ */
/* Wrong calls                                                               */

struct wrong {
	size_t frame;
	llfree_request_t request;
};

/* Neither call takes it, and both leave every byte as it was. */
static void assert_wrong(struct fx *fx, const struct wrong *wrong)
{
	struct fx_copy copy = fx_copy(fx);

	assert_err(llfree_get(fx->self, fx_at(wrong->frame), wrong->request),
		   ARGUMENT);
	fx_assert_same(fx, &copy);
	assert_err(llfree_put(fx->self, frame_id(wrong->frame), wrong->request),
		   ARGUMENT);
	fx_assert_same(fx, &copy);
	fx_copy_release(&copy);
}

static void wrong_request(struct fx *fx, llfree_request_t request)
{
	struct wrong wrong = { 0, request };
	struct fx_copy copy = fx_copy(fx);

	assert_wrong(fx, &wrong);
	assert_err(llfree_get(fx->self, frame_id_none(), request), ARGUMENT);
	fx_assert_same(fx, &copy);
	fx_copy_release(&copy);
}

/* An allocator in the middle of its life: reservations, holes, huge frames. */
static void make_used(struct fx *fx)
{
	make(fx, RAGGED);
	fx_get(fx, fx_slot(0, 0));
	fx_get(fx, fx_slot(7, 0));
	fx_get(fx, fx_slot(9, 1));
	fx_get_at(fx, (RAGGED / 8 - 1) * 8, fx_order(3));
}

static void test_wrong_order(void **state)
{
	struct fx fx;

	(void)state;
	make_used(&fx);
	for (unsigned order = MAX_ORDER + 1; order <= UINT8_MAX; order++)
		wrong_request(&fx, fx_order(order));
	fx_end(&fx);
}

static void test_wrong_class(void **state)
{
	struct fx fx;

	(void)state;
	make_used(&fx);
	for (unsigned kind = 1; kind <= UINT8_MAX; kind++) {
		wrong_request(&fx, llreq(0, (uint8_t)kind, ll_none()));
		wrong_request(&fx, llreq(0, (uint8_t)kind, ll_some(0)));
	}
	fx_end(&fx);
}

static void test_wrong_local(void **state)
{
	const size_t bad[] = {
		2, 3, 64, 255, 256, 65536, SIZE_MAX - 1, SIZE_MAX
	};
	struct fx fx;

	(void)state;
	make_used(&fx);
	for (size_t i = 0; i < LENGTH(bad); i++)
		wrong_request(&fx, fx_slot(0, bad[i]));
	fx_end(&fx);
}

static void test_misaligned(void **state)
{
	struct fx fx;

	(void)state;
	make_used(&fx);
	for (unsigned order = 1; order <= MAX_ORDER; order++) {
		size_t size = (size_t)1 << order;
		const struct wrong wrong[] = {
			{ 1, fx_order(order) },
			{ size / 2, fx_order(order) },
			{ size - 1, fx_slot(order, 0) },
			{ size + 1, fx_slot(order, 1) },
		};

		for (size_t i = 0; i < LENGTH(wrong); i++)
			assert_wrong(&fx, &wrong[i]);
	}
	fx_end(&fx);
}

static void test_out_of_range(void **state)
{
	struct fx fx;

	(void)state;
	make_used(&fx);
	for (unsigned order = 0; order <= MAX_ORDER; order++) {
		size_t size = (size_t)1 << order;
		size_t past = fx.frames >> order << order;
		const struct wrong wrong[] = {
			{ past, fx_order(order) },
			{ past + size, fx_slot(order, 0) },
			{ SIZE_MAX - size + 1, fx_order(order) },
			{ SIZE_MAX / 2 + 1, fx_order(order) },
			{ (size_t)1 << 32, fx_order(order) },
			{ (size_t)1 << 44, fx_order(order) },
		};

		for (size_t i = 0; i < LENGTH(wrong); i++)
			assert_wrong(&fx, &wrong[i]);
	}
	fx_end(&fx);
}

/* Larger than all that is managed. */
static void test_too_large(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx, HUGE_FRAME + ROW);
	for (unsigned order = 10; order <= MAX_ORDER; order++)
		wrong_request(&fx, fx_order(order));
	fx_put(&fx, fx_get(&fx, fx_order(9)), fx_order(9));
	fx_end(&fx);
}

static void test_put_free(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx, 2 * TREE + ROW);
	for (unsigned order = 0; order <= MAX_ORDER; order++) {
		struct fx_copy copy = fx_copy(&fx);
		llfree_request_t requests[] = { fx_order(order),
						fx_slot(order, 1) };

		for (size_t i = 0; i < 2; i++) {
			assert_err(llfree_put(fx.self, frame_id(TREE),
					      requests[i]),
				   MEMORY);
			fx_assert_same(&fx, &copy);
		}
		fx_copy_release(&copy);
	}
	fx_end(&fx);
}

static void test_double_put(void **state)
{
	struct fx fx;

	(void)state;
	make(&fx, 2 * TREE + ROW);
	for (unsigned order = 0; order <= MAX_ORDER; order++) {
		size_t block = fx_get(&fx, fx_slot(order, 0));

		fx_put(&fx, block, fx_slot(order, 0));
		struct fx_copy copy = fx_copy(&fx);

		assert_err(llfree_put(fx.self, frame_id(block),
				      fx_slot(order, 0)),
			   MEMORY);
		fx_assert_same(&fx, &copy);
		fx_copy_release(&copy);
	}
	fx_end(&fx);
}

/* Out of memory changes neither what is allocated nor the counts. */
static void test_get_when_full(void **state)
{
	llfree_classing_t classing = fx_one_class(2);
	struct fx fx;

	(void)state;
	fx_make(&fx, RAGGED, LLFREE_INIT_ALLOC, &classing);
	struct fx_copy copy = fx_copy(&fx);

	for (unsigned order = 0; order <= MAX_ORDER; order++) {
		assert_err(llfree_get(fx.self, frame_id_none(),
				      fx_order(order)),
			   MEMORY);
		assert_err(llfree_get(fx.self, frame_id_none(),
				      fx_slot(order, 1)),
			   MEMORY);
		assert_err(llfree_get(fx.self, fx_at(0), fx_order(order)),
			   MEMORY);
		fx_assert_same_lower(&fx, &copy);
	}
	fx_copy_release(&copy);
	fx_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_order),
		cmocka_unit_test(test_every_order_mixed_slots),
		cmocka_unit_test(test_at),
		cmocka_unit_test(test_at_taken),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_part_again),
		cmocka_unit_test(test_put_covers_several),
		cmocka_unit_test(test_put_covers_mixed),
		cmocka_unit_test(test_wrong_order),
		cmocka_unit_test(test_wrong_class),
		cmocka_unit_test(test_wrong_local),
		cmocka_unit_test(test_misaligned),
		cmocka_unit_test(test_out_of_range),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_put_free),
		cmocka_unit_test(test_double_put),
		cmocka_unit_test(test_get_when_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
