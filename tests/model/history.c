/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "tests/model/history.h"

#include "lib/upper.h"
#include "tests/model/crash.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* ------------------------------------------------------------------------ */
/* The allocator under test                                                  */

typedef struct {
	_Alignas(64) uint8_t handle[2 * LLFREE_CACHE_SIZE];
	_Alignas(64) uint8_t local[(2 * MODEL_SLOTS + 1) * LLFREE_CACHE_SIZE];
	_Alignas(64) uint8_t trees[MODEL_TREES * LLFREE_CACHE_SIZE];
	_Alignas(64) uint8_t
		lower[MODEL_TREES * (LLFREE_TREE_CHILDREN * sizeof(bitfield_t) +
				     CHILD_STRIDE * sizeof(child_t))];
} memory_t;

static memory_t memory, start;
static const scenario_t *scenario;

static llfree_t *llfree(void)
{
	return (llfree_t *)memory.handle;
}

static record_t records[EXPLORE_THREADS][MODEL_OPS];

static llfree_request_t op_request(const op_t *op, unsigned order)
{
	return llreq((uint8_t)order, op->class,
		     op->slot == NO_SLOT ? ll_none()
					 : ll_some((size_t)op->slot));
}

static llfree_result_t op_call(const op_t *op, frame_id_t frame)
{
	llfree_request_t request = op_request(op, op->order);
	llfree_tree_match_t match = { tree_id_some(tree_id(op->frame)),
				      LLFREE_CLASS_NONE, 0 };
	llfree_tree_change_t change = { LLFREE_CLASS_NONE, op->order };

	switch (op->kind) {
	case OP_GET:
		return llfree_get(llfree(), frame_id_none(), request);
	case OP_GET_AT:
		return llfree_get(llfree(), frame_id_some(frame), request);
	case OP_PUT:
	case OP_PUT_OWN:
		return llfree_put(llfree(), frame, request);
	case OP_RANGE:
		return llfree_get_range(llfree(), frame_id_none(), op->frames,
					request);
	case OP_RANGE_AT:
		return llfree_get_range(llfree(), frame_id_some(frame),
					op->frames, request);
	case OP_RANGE_PUT:
		return llfree_put_range(llfree(), frame, op->frames, request);
	case OP_DRAIN:
		return llfree_drain(llfree());
	case OP_CHANGE:
		return llfree_change_tree(llfree(), match, change);
	default:
		return llfree_err(LLFREE_ERR_ARGUMENT);
	}
}

/* ------------------------------------------------------------------------ */
/* Running                                                                   */

/* What the check knows of the order of calls, as part of a thread's state. */
static void note_order(void)
{
	uint64_t order = 0;

	for (unsigned t = 0; t < EXPLORE_THREADS; t++)
		for (unsigned i = 0; i < MODEL_OPS; i++)
			order = order * 3 + records[t][i].begun +
				records[t][i].over;
	explore_note(order);
}

static record_t *beginning[EXPLORE_THREADS];

static void begins(void *arg, unsigned thread)
{
	(void)arg;
	beginning[thread]->begin = explore_now();
	beginning[thread]->begun = true;
	note_order();
}

/* What the call is about, when that is known before; false: nothing. */
static bool aims(record_t *record, const record_t *done, const op_t *op)
{
	const record_t *own = &done[op->frame];

	record->op = *op;
	if (op->kind == OP_PUT_OWN) {
		record->op.frame = own->result.frame.value;
		return llfree_is_ok(own->result);
	}
	if (op->kind == OP_BULK_PUT)
		for (size_t i = 0; i < op->frames; i++)
			record->frames[i] =
				frame_id(op->frame + (i << op->order));
	if (op->kind == OP_BULK_PUT_OWN) {
		memcpy(record->frames, own->frames, sizeof(own->frames));
		record->op.frames = own->bulk.count;
		return own->bulk.count > 0;
	}
	return true;
}

static void call(record_t *record)
{
	const op_t *op = &record->op;

	if (op->kind == OP_BULK)
		record->bulk = llfree_get_bulk(llfree(), record->frames,
					       op->frames, op_request(op, 0));
	else if (op_is_bulk(op))
		record->bulk = llfree_put_bulk(llfree(), record->frames,
					       op->frames, op_request(op, 0));
	else
		record->result = op_call(op, frame_id(op->frame));
}

static void body(void *arg, unsigned thread)
{
	record_t *done = records[thread];

	(void)arg;
	for (const op_t *op = scenario->ops[thread]; op->kind != OP_END; op++) {
		record_t *record = &done[op - scenario->ops[thread]];

		if (!aims(record, done, op))
			continue;
		beginning[thread] = record;
		explore_expect();
		call(record);
		record->end = explore_now();
		record->over = record->begun;
		note_order();
	}
}

static void reset(void *arg)
{
	(void)arg;
	memory = start;
	memset(records, 0, sizeof(records));
	crash_begin(memory.lower, sizeof(memory.lower));
}

/* ------------------------------------------------------------------------ */
/* The plain model                                                           */

typedef struct {
	uint64_t taken[MODEL_FRAMES / 64];
	bool offline[MODEL_TREES];
} plain_t;

static plain_t plain_start;

static bool plain_taken(const plain_t *p, size_t frame)
{
	return p->taken[frame / 64] >> (frame % 64) & 1;
}

/* Are all of them taken (or free)? */
static bool plain_all(const plain_t *p, size_t first, size_t frames, bool taken)
{
	for (size_t i = first; i < first + frames; i++)
		if (i >= scenario->frames || plain_taken(p, i) != taken)
			return false;
	return true;
}

static void plain_set(plain_t *p, size_t first, size_t frames, bool taken)
{
	for (size_t i = first; i < first + frames; i++) {
		p->taken[i / 64] &= ~(UINT64_C(1) << (i % 64));
		p->taken[i / 64] |= (uint64_t)taken << (i % 64);
	}
}

static bool plain_offline(const plain_t *p, size_t first, size_t frames)
{
	for (size_t i = first / LLFREE_TREE_SIZE;
	     i <= (first + frames - 1) / LLFREE_TREE_SIZE; i++)
		if (p->offline[i])
			return true;
	return false;
}

static size_t plain_free(const plain_t *p, size_t first, size_t frames)
{
	size_t free = 0;

	for (size_t i = first; i < first + frames && i < scenario->frames; i++)
		free += !plain_taken(p, i);
	return free;
}

/* What calls beside a get may have of the memory that it looks at. */
typedef struct {
	size_t frames;
	size_t places; /* that would do for the get, and they spoil */
} claims_t;

/* Does the want fit in this area, whatever the claims are? */
static bool plain_fits_in(const plain_t *p, size_t base, size_t size,
			  size_t frames, unsigned align, claims_t claims)
{
	size_t fits = 0, at = base;

	if (plain_free(p, base, size) < frames + claims.frames)
		return false;
	while (at + frames <= base + size) {
		bool fit = plain_all(p, at, frames, false);

		fits += fit;
		at += fit ? frames : 1;
		at = align_up(at, align);
	}
	return fits > claims.places;
}

static bool plain_fits(const plain_t *p, size_t frames, unsigned align,
		       claims_t claims)
{
	size_t area = frames < LLFREE_HUGE_SIZE ? LLFREE_HUGE_SIZE
						: LLFREE_TREE_SIZE;

	for (size_t tree = 0; tree * LLFREE_TREE_SIZE < scenario->frames;
	     tree++) {
		for (size_t i = 0; i < LLFREE_TREE_SIZE; i += area)
			if (!p->offline[tree] &&
			    plain_fits_in(p, tree * LLFREE_TREE_SIZE + i, area,
					  frames, align, claims))
				return true;
	}
	return false;
}

/* ------------------------------------------------------------------------ */
/* Is there an order?                                                        */

#define MAX_CALLS 24u

static record_t *calls[MAX_CALLS];
static size_t call_count;

/* Those of one bulk call are one after the other, in any order. */
static bool overlap(const record_t *a, const record_t *b)
{
	return a->begin != b->begin && (!b->over || b->end >= a->begin) &&
	       (!a->over || a->end >= b->begin);
}

/* What calls beside this one may have claimed, or not yet given back. */
static claims_t claims_beside(const record_t *record)
{
	size_t frames = op_frames(&record->op);
	claims_t claims = { 0 };

	for (size_t i = 0; i < call_count; i++) {
		size_t beside = op_frames(&calls[i]->op);

		if (!overlap(record, calls[i]))
			continue;
		if (op_gets(&calls[i]->op))
			claims.places += (beside + frames - 1) / frames;
		if (op_gets(&calls[i]->op) || op_puts(&calls[i]->op))
			claims.frames += beside;
	}
	return claims;
}

/* Frames free in all that is online. */
static size_t plain_all_free(const plain_t *p)
{
	size_t free = 0;

	for (size_t tree = 0; tree * LLFREE_TREE_SIZE < scenario->frames;
	     tree++)
		if (!p->offline[tree])
			free += plain_free(p, tree * LLFREE_TREE_SIZE,
					   LLFREE_TREE_SIZE);
	return free;
}

static bool get_fails(const plain_t *p, const record_t *record)
{
	const op_t *op = &record->op;
	size_t frames = op_frames(op);
	unsigned align = op->kind == OP_RANGE && frames >= LLFREE_HUGE_SIZE
				 ? LLFREE_HUGE_ORDER
				 : op->order;
	claims_t claims = claims_beside(record);

	if (scenario->wrong)
		return true; /* frames put twice may be out of circulation */
	if (op->kind == OP_GET_AT || op->kind == OP_RANGE_AT)
		return claims.frames > 0 ||
		       plain_offline(p, op->frame, frames) ||
		       !plain_all(p, op->frame, frames, false);
	if (frames == 1)
		return plain_all_free(p) <= claims.frames;
	return !plain_fits(p, frames, align, claims);
}

/* Has a get that failed in the end held frames beside this call? */
static bool held_beside(const record_t *record)
{
	for (size_t i = 0; i < call_count; i++)
		if (op_gets(&calls[i]->op) && overlap(record, calls[i]) &&
		    !llfree_is_ok(calls[i]->result))
			return true;
	return false;
}

/* Could the call have had its result now? Its effect, if so. */
static bool plain_apply(plain_t *p, const record_t *record)
{
	const op_t *op = &record->op;
	size_t frames = op_frames(op), at = op->frame;
	bool ok = llfree_is_ok(record->result);

	if (op_gets(op)) {
		if (!ok && record->over)
			return get_fails(p, record);
		at = record->result.frame.value;
		if (plain_offline(p, at, frames) ||
		    !plain_all(p, at, frames, false))
			return false;
		plain_set(p, at, frames, true);
	} else if (op_puts(op)) {
		if (!ok && record->over && scenario->wrong)
			plain_set(p, at, frames, false); /* or part of it */
		else if (!ok && record->over)
			return !plain_all(p, at, frames, true);
		else if (!plain_all(p, at, frames, true))
			return scenario->wrong && held_beside(record);
		plain_set(p, at, frames, false);
	} else if (op->kind == OP_CHANGE && ok &&
		   op->order != LLFREE_TREE_OP_NONE) {
		bool offline = op->order == LLFREE_TREE_OP_OFFLINE;

		at /= LLFREE_TREE_SIZE;
		if (p->offline[at] == offline)
			return false;
		p->offline[at] = offline;
	}
	return true;
}

/* A call whose thread stopped: nothing, or for puts also all of it. */
static bool plain_unfinished(const plain_t *p, const record_t *record,
			     uint32_t left);

static bool order_exists(const plain_t *p, uint32_t left)
{
	if (left == 0)
		return true;
	for (size_t i = 0; i < call_count; i++) {
		bool first = left >> i & 1;

		for (size_t j = 0; j < call_count && first; j++)
			first = !(left >> j & 1) || !calls[j]->over ||
				calls[j]->end >= calls[i]->begin || i == j;
		if (!first)
			continue;

		plain_t next = *p;

		if (!calls[i]->over
			    ? plain_unfinished(p, calls[i], left & ~(1u << i))
			    : plain_apply(&next, calls[i]) &&
				      order_exists(&next, left & ~(1u << i)))
			return true;
	}
	return false;
}

static bool plain_unfinished(const plain_t *p, const record_t *record,
			     uint32_t left)
{
	plain_t next = *p;

	if (order_exists(p, left))
		return true;
	if (op_gets(&record->op) && record->op.kind != OP_GET_AT &&
	    record->op.kind != OP_RANGE_AT)
		return false; /* where is not known, and claims say enough */
	if (op_puts(&record->op) || op_gets(&record->op)) {
		size_t frames = op_frames(&record->op);

		plain_set(&next, record->op.frame, frames,
			  op_gets(&record->op));
		return order_exists(&next, left);
	}
	if (record->op.kind != OP_CHANGE)
		return false;
	next.offline[record->op.frame] = record->op.order ==
					 LLFREE_TREE_OP_OFFLINE;
	return order_exists(&next, left);
}

static void collect_call(record_t *record)
{
	if (call_count == MAX_CALLS)
		abort();
	calls[call_count++] = record;
}

/*
 * A bulk call as calls for one frame each. All gets after the one that fails
 * would fail as well; there are no puts after one that fails.
 */
static void collect_bulk(const record_t *bulk)
{
	static record_t singles[MAX_CALLS];
	bool gets = bulk->op.kind == OP_BULK;

	for (size_t i = 0; i < bulk->op.frames; i++) {
		record_t *single = &singles[call_count % MAX_CALLS];
		bool ok = i < bulk->bulk.count;

		if (bulk->over && !gets && i > bulk->bulk.count)
			return;
		*single = *bulk;
		single->op.kind = gets ? OP_GET : OP_PUT;
		single->op.order = 0;
		single->op.frame = bulk->frames[i].value;
		single->result = ok ? llfree_ok(bulk->frames[i], 0)
				    : llfree_err(bulk->bulk.error);
		collect_call(single);
	}
}

static void collect_calls(void)
{
	call_count = 0;
	for (unsigned t = 0; t < EXPLORE_THREADS; t++)
		for (unsigned i = 0; i < MODEL_OPS; i++) {
			record_t *record = &records[t][i];

			if (record->begun && op_is_bulk(&record->op))
				collect_bulk(record);
			else if (record->begun)
				collect_call(record);
		}
}

/* What the calls took away from what is free, all in all. */
static size_t plain_end_free(void)
{
	size_t free = plain_free(&plain_start, 0, scenario->frames);

	for (size_t i = 0; i < call_count; i++)
		if (llfree_is_ok(calls[i]->result) && op_puts(&calls[i]->op))
			free += op_frames(&calls[i]->op);
	for (size_t i = 0; i < call_count; i++)
		if (llfree_is_ok(calls[i]->result) && op_gets(&calls[i]->op))
			free -= op_frames(&calls[i]->op);
	return free;
}

/* At rest the allocator has exactly what the calls together left. */
static const char *compare(void)
{
	size_t free = plain_end_free();

	llfree_validate(llfree());
	for (size_t i = 0; i < call_count; i++)
		if (calls[i]->op.kind == OP_CHANGE)
			return NULL; /* what is offline is not counted */
	if (llfree_stats(llfree()).free_frames != free)
		return "more or fewer frames are free than the calls left";
	if (llfree_tree_stats(llfree()).free_frames != free)
		return "the trees count other than what is free";
	return NULL;
}

/*
 * After wrong calls frames may be out of circulation, but nothing is counted
 * that is not there.
 */
static const char *compare_wrong(void)
{
	const lower_t *lower = &llfree()->lower;

	for (size_t i = 0; i < scenario->frames / LLFREE_HUGE_SIZE; i++) {
		child_t child = *lower_child(lower, huge_id(i));
		size_t zero = bitfield_free(lower_field(lower, huge_id(i)));

		if (child_is_busy(child))
			return "a huge frame is busy at rest";
		if (child_count(child) > zero)
			return "a huge frame counts more than is free";
	}
	for (size_t i = 0; i < upper_trees(llfree()); i++)
		if (tree_counted(*upper_tree(llfree(), tree_id(i))) >
		    lower_count_in_tree(lower, tree_id(i)))
			return "a tree counts more than is free";
	return NULL;
}

/* The machine stops after this step: what recovery then makes of it. */
static const char *crashes(void *arg)
{
	(void)arg;
	if (scenario->wrong)
		return NULL;
	collect_calls();
	return crash_check(&(crash_t){
		.frames = scenario->frames,
		.taken = plain_start.taken,
		.calls = calls,
		.call_count = call_count,
		.lower = memory.lower,
		.size = lower_size(scenario->frames),
	});
}

static const char *check(void *arg, bool stopped)
{
	const char *wrong = NULL;

	(void)arg;
	collect_calls();
	if (!order_exists(&plain_start, (1u << call_count) - 1))
		return "no order of the calls gives these results";
	if (!stopped)
		wrong = scenario->wrong ? compare_wrong() : compare();
	return wrong;
}

/* ------------------------------------------------------------------------ */
/* Set-up                                                                    */

static void plain_init(void)
{
	memset(&plain_start, 0, sizeof(plain_start));
	for (size_t i = 0; i < scenario->frames; i++)
		plain_set(
			&plain_start, i, 1,
			!llfree_stats_at(llfree(), frame_id(i), 0).free_frames);
	for (size_t i = 0; i * LLFREE_TREE_SIZE < scenario->frames; i++)
		for (const op_t *op = scenario->before; op->kind; op++)
			if (op->kind == OP_CHANGE && op->frame == i)
				plain_start.offline[i] = op->order ==
							 LLFREE_TREE_OP_OFFLINE;
}

static void prepare(const scenario_t *s)
{
	llfree_classing_t classing = llfree_classing_simple(MODEL_SLOTS);
	llfree_meta_t meta = { memory.local, memory.trees, memory.lower };

	scenario = s;
	memset(&memory, 0, sizeof(memory));
	if (!llfree_is_ok(
		    llfree_init(llfree(), s->frames, s->init, meta, &classing)))
		abort();
	for (const op_t *op = s->before; op->kind != OP_END; op++)
		if (!llfree_is_ok(op_call(op, frame_id(op->frame)))) {
			fprintf(stderr, "%s: set-up %zu fails\n", s->name,
				(size_t)(op - s->before));
			abort();
		}
	llfree_validate(llfree());
	plain_init();
	start = memory;
}

static void name_of(const void *p, char *text, size_t size)
{
	const llfree_t *self = llfree();
	size_t at = (size_t)((const uint8_t *)p - memory.local);

	if ((const uint8_t *)p < memory.local ||
	    at >= sizeof(memory) - offsetof(memory_t, local))
		return;
	if (at < sizeof(memory.local))
		snprintf(text, size, "slot %zu+%zu", at / sizeof(local_t),
			 at % sizeof(local_t));
	else if ((const uint8_t *)p < memory.lower)
		snprintf(text, size, "tree %zu",
			 (size_t)((const tree_line_t *)p - self->upper.trees));
	else if ((const void *)p < (const void *)self->lower.children)
		snprintf(text, size, "row %zu",
			 (size_t)((const row_t *)p - self->lower.fields->rows));
	else
		snprintf(text, size, "child %zu",
			 (size_t)((const child_t *)p - self->lower.children));
}

static explore_t exploration(const scenario_t *s, bool stop,
			     unsigned preemptions, uint64_t most)
{
	return (explore_t){ .threads = s->threads,
			    .stop = stop,
			    .preemptions = preemptions,
			    .most = most,
			    .reset = reset,
			    .body = body,
			    .begins = begins,
			    .crashes = stop ? NULL : crashes,
			    .check = check };
}

explore_result_t scenario_explore(const scenario_t *s, bool stop,
				  unsigned preemptions, uint64_t most)
{
	explore_t e = exploration(s, stop, preemptions, most);

	prepare(s);
	return explore(&e);
}

const char *scenario_replay(const scenario_t *s, const char *schedule)
{
	explore_t e = exploration(s, false, UINT_MAX, UINT64_MAX);
	const char *wrong;

	prepare(s);
	explore_name = name_of;
	wrong = explore_replay(&e, schedule);
	for (size_t i = 0; i < call_count; i++)
		printf("# call %zu kind %d order %u frame %zu: %s %u at %zu, "
		       "steps %zu to %zu\n",
		       i, calls[i]->op.kind, calls[i]->op.order,
		       calls[i]->op.frame,
		       calls[i]->over ? "error" : "unfinished",
		       calls[i]->result.error,
		       (size_t)calls[i]->result.frame.value,
		       (size_t)calls[i]->begin, (size_t)calls[i]->end);
	return wrong;
}
