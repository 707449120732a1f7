/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "tests/fuzz/fuzz.h"

#include <llfree.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TREE ((size_t)LLFREE_TREE_SIZE)
#define HUGE_FRAME ((size_t)LLFREE_HUGE_SIZE)
#define ROW ((size_t)LLFREE_ATOMIC_SIZE)
/* The model looks at each frame: not at three trees of the largest kind. */
#define MOST (LLFREE_TREE_CHILDREN_ORDER <= 3 ? 3 * TREE : 24 * HUGE_FRAME)
#define MOST_TREES 3u
#define MOST_BULK 256u

uint64_t fuzz_calls;

#define must(condition) \
	((condition) ? (void)0 : must_fail(#condition, __LINE__))

_Noreturn static void must_fail(const char *condition, int line)
{
	fprintf(stderr, "fuzz.c:%d: %s does not hold\n", line, condition);
	abort();
}

/* ------------------------------------------------------------------------ */
/* Input                                                                     */

typedef struct {
	const uint8_t *at, *end;
} bytes_t;

/* Zeros past the end, so that every input is one. */
static size_t byte(bytes_t *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static size_t below(bytes_t *in, size_t bound)
{
	size_t low = byte(in), middle = byte(in);

	return (low | middle << 8 | (bound >> 16 ? byte(in) : 0) << 16) % bound;
}

/* ------------------------------------------------------------------------ */
/* The allocator and the model                                               */

static struct {
	size_t frames, slots; /* slots of each class */
	llfree_t *self;
	llfree_meta_t meta;
	llfree_meta_size_t size;
	llfree_classing_t classing;
	uint8_t taken[MOST]; /* in offline trees, too */
	bool offline[MOST_TREES];
} m;

static llfree_policy_t any_tree(uint8_t requested, uint8_t target, size_t free)
{
	llfree_policy_t policy = { LLFREE_POLICY_MATCH, 0 };

	(void)requested;
	(void)target;
	policy.priority = (uint8_t)(200 - free * 200 / TREE);
	return policy;
}

static llfree_classing_t any_classing(size_t which)
{
	llfree_classing_t one = { { { 0, 1 } }, 1, 0, any_tree };

	m.slots = which == 0 ? 2 : which == 1 ? 3 : which == 2 ? 0 : 1;
	if (which == 3)
		return one;
	return which == 1 ? llfree_classing_movable(m.slots)
			  : llfree_classing_simple(m.slots);
}

static uint8_t *buffer(size_t size)
{
	size_t whole = (size + LLFREE_CACHE_SIZE - 1) / LLFREE_CACHE_SIZE *
		       LLFREE_CACHE_SIZE;
	uint8_t *memory = aligned_alloc(LLFREE_CACHE_SIZE, whole);

	must(memory);
	memset(memory, 0xa5, whole);
	return memory;
}

static void set_up(bytes_t *in)
{
	static const size_t sizes[] = {
		HUGE_FRAME, TREE,	  TREE + HUGE_FRAME + 77,
		2 * TREE,   2 * TREE + 1, MOST
	};
	size_t how = byte(in);
	bool full = how & 1;

	m.frames = sizes[how / 2 % 8 % 6];
	if (m.frames > MOST)
		m.frames = MOST;
	m.classing = any_classing(how / 16 % 4);
	m.size = llfree_metadata_size(&m.classing, m.frames);
	m.self = (llfree_t *)buffer(m.size.llfree);
	m.meta = (llfree_meta_t){ buffer(m.size.local), buffer(m.size.trees),
				  buffer(m.size.lower) };
	memset(m.taken, full, sizeof(m.taken));
	memset(m.offline, 0, sizeof(m.offline));
	must(llfree_is_ok(llfree_init(
		m.self, m.frames, full ? LLFREE_INIT_ALLOC : LLFREE_INIT_FREE,
		m.meta, &m.classing)));
}

static void tear_down(void)
{
	free(m.self);
	free(m.meta.local);
	free(m.meta.trees);
	free(m.meta.lower);
}

/* All taken, or all free in trees that are online. */
static bool all(size_t first, size_t frames, bool taken)
{
	for (size_t t = first / TREE; t <= (first + frames - 1) / TREE; t++)
		if (!taken && m.offline[t])
			return false;
	return m.taken[first] == taken &&
	       memcmp(m.taken + first, m.taken + first + 1, frames - 1) == 0;
}

static void set(size_t first, size_t frames, bool taken)
{
	memset(m.taken + first, taken, frames);
}

/* Does it fit? See llfree_get_range for where ranges may begin. */
static bool fits(size_t frames, unsigned order)
{
	size_t align = (size_t)1 << order;

	if (frames >= HUGE_FRAME && align < HUGE_FRAME)
		align = HUGE_FRAME;
	for (size_t f = 0; f + frames <= m.frames; f += align) {
		if (frames < HUGE_FRAME &&
		    f / HUGE_FRAME != (f + frames - 1) / HUGE_FRAME)
			continue;
		if (all(f, frames, false))
			return true;
	}
	return false;
}

static ll_stats_t stats(void)
{
	ll_stats_t stats = { 0 };

	for (size_t f = 0; f < m.frames; f++)
		stats.free_frames += all(f, 1, false);
	for (size_t f = 0; f + HUGE_FRAME <= m.frames; f += HUGE_FRAME)
		stats.free_huge += all(f, HUGE_FRAME, false);
	for (size_t f = 0; f < m.frames; f += TREE) {
		size_t left = m.frames - f;

		stats.free_trees += all(f, left < TREE ? left : TREE, false);
	}
	return stats;
}

/* ------------------------------------------------------------------------ */
/* Arguments                                                                 */

static llfree_request_t request(bytes_t *in, unsigned order)
{
	size_t how = byte(in), slot = how / 8 % (m.slots + 1);

	return llreq((uint8_t)order,
		     (uint8_t)(how % 8 % m.classing.num_classes),
		     slot < m.slots ? ll_some(slot) : ll_none());
}

/* Small orders most of the time, and now and then one too large. */
static unsigned order_of(bytes_t *in)
{
	size_t order = byte(in);

	return order < 128 ? order % 4
			   : (unsigned)(order % (LLFREE_MAX_ORDER + 2));
}

/* Up to a huge frame and a bit most of the time, else up to too many. */
static size_t length_of(bytes_t *in)
{
	return below(in, byte(in) < 192 ? HUGE_FRAME + ROW : m.frames + 2);
}

/* Aligned most of the time. */
static size_t place_of(bytes_t *in, unsigned order)
{
	size_t at = below(in, m.frames + 2);

	return byte(in) % 8 ? at >> order << order : at;
}

static bool in_range(size_t first, size_t frames)
{
	return frames > 0 && frames <= m.frames && first <= m.frames - frames;
}

static bool order_valid(unsigned order, size_t at)
{
	return order <= LLFREE_MAX_ORDER && (at >> order << order) == at &&
	       in_range(at, (size_t)1 << order);
}

/* ------------------------------------------------------------------------ */
/* Gets and puts                                                             */

/* A get: the arguments were right or not, and it fits or not. */
static void got(llfree_result_t result, size_t frames, bool valid, bool fit)
{
	must(result.error == (!valid ? LLFREE_ERR_ARGUMENT
			      : !fit ? LLFREE_ERR_MEMORY
				     : LLFREE_ERR_OK));
	if (!valid || !fit)
		return;
	must(in_range(result.frame.value, frames));
	must(all(result.frame.value, frames, false));
	must(result.LLFREE_CLASS_FIELD < m.classing.num_classes);
	set(result.frame.value, frames, true);
}

static void get(bytes_t *in)
{
	unsigned order = order_of(in);
	size_t frames = (size_t)1 << order;
	bool valid = order_valid(order, 0);
	bool fit = valid && fits(frames, order);
	llfree_result_t result =
		llfree_get(m.self, frame_id_none(), request(in, order));

	got(result, frames, valid, fit);
	must(!fit || order_valid(order, result.frame.value));
}

static void get_at(bytes_t *in)
{
	unsigned order = order_of(in);
	size_t frames = (size_t)1 << order, at = place_of(in, order);
	bool valid = order_valid(order, at);
	bool fit = valid && all(at, frames, false);
	llfree_result_t result = llfree_get(m.self, frame_id_some(frame_id(at)),
					    request(in, order));

	got(result, frames, valid, fit);
	must(!fit || result.frame.value == at);
}

static void gave(llfree_result_t result, size_t at, size_t frames, bool valid)
{
	if (!valid) {
		must(result.error == LLFREE_ERR_ARGUMENT);
	} else if (!all(at, frames, true)) {
		must(result.error == LLFREE_ERR_MEMORY);
	} else {
		must(llfree_is_ok(result));
		set(at, frames, false);
	}
}

static void put(bytes_t *in)
{
	unsigned order = order_of(in);
	size_t at = place_of(in, order);

	gave(llfree_put(m.self, frame_id(at), request(in, order)), at,
	     (size_t)1 << order, order_valid(order, at));
}

static void get_range(bytes_t *in)
{
	size_t frames = length_of(in);
	unsigned order = order_of(in);
	bool valid = order <= LLFREE_MAX_ORDER && in_range(0, frames);
	bool fit = valid && fits(frames, order);
	llfree_result_t result = llfree_get_range(m.self, frame_id_none(),
						  frames, request(in, order));
	size_t at = result.frame.value;

	got(result, frames, valid, fit);
	if (!fit)
		return;
	must(at >> order << order == at);
	must(frames < HUGE_FRAME
		     ? at / HUGE_FRAME == (at + frames - 1) / HUGE_FRAME
		     : at % HUGE_FRAME == 0);
}

static void get_range_at(bytes_t *in)
{
	size_t frames = length_of(in), at = below(in, m.frames);
	bool valid = in_range(at, frames);
	bool fit = valid && all(at, frames, false);
	llfree_result_t result = llfree_get_range(
		m.self, frame_id_some(frame_id(at)), frames, request(in, 0));

	got(result, frames, valid, fit);
	must(!fit || result.frame.value == at);
}

static void put_range(bytes_t *in)
{
	size_t frames = length_of(in), at = below(in, m.frames);

	gave(llfree_put_range(m.self, frame_id(at), frames, request(in, 0)), at,
	     frames, in_range(at, frames));
}

/* All that is taken from a frame on, so that memory comes back. */
static void put_taken(bytes_t *in)
{
	size_t at = below(in, m.frames), most = length_of(in), end = at;

	while (end < m.frames && end - at < most && m.taken[end])
		end++;
	if (end > at)
		gave(llfree_put_range(m.self, frame_id(at), end - at,
				      request(in, 0)),
		     at, end - at, true);
}

/* ------------------------------------------------------------------------ */
/* In bulk                                                                   */

static void get_bulk(bytes_t *in)
{
	frame_id_t frames[MOST_BULK];
	size_t count = byte(in), free = stats().free_frames;
	size_t expected = count < free ? count : free;
	llfree_bulk_t bulk =
		llfree_get_bulk(m.self, frames, count, request(in, 0));

	must(bulk.count == expected);
	must(bulk.error ==
	     (expected < count ? LLFREE_ERR_MEMORY : LLFREE_ERR_OK));
	for (size_t i = 0; i < expected; i++)
		got(llfree_ok(frames[i], 0), 1, true, true);
}

/* A few frames, each so far behind the one before: one twice, if 0. */
static void put_bulk(bytes_t *in)
{
	frame_id_t frames[MOST_BULK] = { { 0 } };
	size_t count = byte(in), at = below(in, m.frames);
	size_t step = byte(in) % 80, put = 0;
	bool valid = true;

	for (size_t i = 0; i < count; i++, at += step) {
		frames[i] = frame_id(at);
		valid &= at < m.frames;
	}

	llfree_bulk_t bulk =
		llfree_put_bulk(m.self, frames, count, request(in, 0));

	for (; valid && put < count && m.taken[frames[put].value]; put++)
		set(frames[put].value, 1, false);
	must(bulk.count == put);
	must(bulk.error == (!valid	  ? LLFREE_ERR_ARGUMENT
			    : put < count ? LLFREE_ERR_MEMORY
					  : LLFREE_ERR_OK));
}

/* ------------------------------------------------------------------------ */
/* Others                                                                    */

static void is_argument_error(llfree_result_t result)
{
	must(result.error == LLFREE_ERR_ARGUMENT);
}

/* A class or a slot that is not there, or an order for single frames. */
static void wrong_request(bytes_t *in)
{
	size_t how = byte(in);
	llfree_request_t wrong = request(in, 0);
	frame_id_t frame = frame_id(0);

	if (how % 2)
		wrong.local = ll_some(m.slots + how / 2);
	else
		wrong.LLFREE_CLASS_FIELD =
			(uint8_t)(m.classing.num_classes + how / 2);
	is_argument_error(llfree_get(m.self, frame_id_none(), wrong));
	is_argument_error(llfree_put(m.self, frame, wrong));
	is_argument_error(llfree_get_range(m.self, frame_id_none(), 1, wrong));
	is_argument_error(llfree_put_range(m.self, frame, 1, wrong));
	must(llfree_get_bulk(m.self, &frame, 1, wrong).error ==
	     LLFREE_ERR_ARGUMENT);
	wrong = request(in, 1 + (unsigned)how % 200);
	must(llfree_get_bulk(m.self, &frame, 1, wrong).error ==
	     LLFREE_ERR_ARGUMENT);
	must(llfree_put_bulk(m.self, &frame, 1, wrong).error ==
	     LLFREE_ERR_ARGUMENT);
}

static void drain(bytes_t *in)
{
	(void)in;
	must(llfree_is_ok(llfree_drain(m.self)));
}

/* Whether it matches depends on reservations, which a model need not know:
 * there are none after a drain. */
static void change_tree(bytes_t *in)
{
	size_t tree = byte(in) % (MOST_TREES + 1), how = byte(in);
	llfree_tree_match_t match = { tree_id_some(tree_id(tree)),
				      LLFREE_CLASS_NONE, 0 };
	llfree_tree_change_t change = {
		how & 4 ? LLFREE_CLASS_NONE
			: (uint8_t)(how / 8 % m.classing.num_classes),
		(llfree_tree_operation_t)(how % 4)
	};
	llfree_result_t result;

	if (how & 128)
		drain(in);
	result = llfree_change_tree(m.self, match, change);
	if (how % 4 == 3 || tree * TREE >= m.frames) {
		is_argument_error(result);
		return;
	}
	if (m.offline[tree] != (how % 4 == LLFREE_TREE_OP_ONLINE))
		must(result.error == LLFREE_ERR_MEMORY);
	else if (how & 128 || m.offline[tree])
		must(llfree_is_ok(result));
	if (llfree_is_ok(result) && how % 4 != LLFREE_TREE_OP_NONE)
		m.offline[tree] = how % 4 == LLFREE_TREE_OP_OFFLINE;
}

/* Without naming them, until there are no more. */
static void bring_online(bytes_t *in)
{
	llfree_tree_match_t match = { tree_id_none(), LLFREE_CLASS_NONE, 0 };
	llfree_tree_change_t change = { LLFREE_CLASS_NONE,
					LLFREE_TREE_OP_ONLINE };
	llfree_result_t result;

	(void)in;
	while (llfree_is_ok(
		result = llfree_change_tree(m.self, match, change))) {
		size_t tree = result.frame.value / TREE;

		must(result.frame.value % TREE == 0 && tree < MOST_TREES);
		must(m.offline[tree]);
		m.offline[tree] = false;
	}
	for (size_t tree = 0; tree < MOST_TREES; tree++)
		must(!m.offline[tree]);
}

/* A restart: from the lower buffer alone, all trees are online. */
static void recover(bytes_t *in)
{
	(void)in;
	memset(m.meta.local, 0x5a, m.size.local);
	memset(m.meta.trees, 0x5a, m.size.trees);
	must(llfree_is_ok(llfree_init(m.self, m.frames, LLFREE_INIT_RECOVER,
				      m.meta, &m.classing)));
	memset(m.offline, 0, sizeof(m.offline));
}

/* All buffers are taken as they are. */
static void reopen(bytes_t *in)
{
	(void)in;
	must(llfree_is_ok(llfree_init(m.self, m.frames, LLFREE_INIT_NONE,
				      m.meta, &m.classing)));
}

static void validate(bytes_t *in)
{
	ll_stats_t want = stats(), exact = llfree_stats(m.self);
	ll_tree_stats_t fast = llfree_tree_stats(m.self);
	size_t sum = 0, free = 0;

	(void)in;
	llfree_validate(m.self);
	for (size_t i = 0; i < LLFREE_MAX_CLASSES; i++) {
		free += fast.classes[i].free_frames;
		sum += fast.classes[i].free_frames +
		       fast.classes[i].alloc_frames;
	}
	must(exact.free_frames == want.free_frames);
	must(exact.free_huge == want.free_huge);
	must(exact.free_trees == want.free_trees);
	must(fast.free_frames == want.free_frames);
	must(fast.free_trees == want.free_trees);
	must(free == want.free_frames && sum == m.frames);
}

static void compare(void)
{
	for (size_t f = 0; f < m.frames; f++)
		must(llfree_stats_at(m.self, frame_id(f), 0).free_frames ==
		     all(f, 1, false));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const calls[])(bytes_t *) = {
		get,	   get,		 get,		get,	   get_at,
		get_at,	   put,		 put,		put,	   put_taken,
		put_taken, put_taken,	 get_range,	get_range, get_range_at,
		put_range, get_bulk,	 get_bulk,	put_bulk,  put_bulk,
		drain,	   recover,	 wrong_request, reopen,	   change_tree,
		validate,  bring_online,
	};
	bytes_t in = { data, data + size };

	set_up(&in);
	for (; in.at < in.end; fuzz_calls++)
		calls[byte(&in) % (sizeof(calls) / sizeof(calls[0]))](&in);
	validate(&in);
	compare();
	tear_down();
	return 0;
}
