/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * LLFree: a lock- and log-free page-frame allocator.
 *
 * It hands out aligned runs of 4 KiB frames from one contiguous range. It
 * never touches the frames: all of its state lives in three buffers that the
 * caller provides, of which only `lower` has to persist for a restart.
 *
 * The idea and its evaluation: Wrenger, Rommel, Halbuer, Dietrich, Lohmann,
 * "LLFree: Scalable and Optionally-Persistent Page-Frame Allocation",
 * USENIX ATC 2023. This is an implementation of its own.
 *
 * Units: frame numbers and counts are in 4 KiB frames, counted from the start
 * of the managed range; buffer sizes are in bytes.
 *
 * Concurrency: any functions below may run at the same time, on any number of
 * threads and in signal handlers, also when some threads have stopped for ever.
 * The exceptions say "alone". No call locks, waits or allocates.
 *
 * Errors: LLFREE_ERR_ARGUMENT when the arguments alone show the mistake,
 * LLFREE_ERR_MEMORY when the state does not permit the call, LLFREE_ERR_INIT
 * from llfree_init only. A failed call has changed nothing, except that a bulk
 * call returns how many frames it has done. Only the print functions print.
 */
#pragma once

#include <llfree_types.h>

/* `class` is a keyword in C++, where the fields are called `class_`. */
#ifdef __cplusplus
#define LLFREE_CLASS_FIELD class_
extern "C" {
#else
#define LLFREE_CLASS_FIELD class
#endif

#define LLFREE_MUST_CHECK __attribute__((warn_unused_result))

/* ------------------------------------------------------------------------ */
/* Values                                                                    */

/* Number of a base frame, and of a tree (LLFREE_TREE_SIZE frames). */
typedef struct frame_id {
	uint64_t value;
} frame_id_t;
typedef struct tree_id {
	size_t value;
} tree_id_t;

static inline frame_id_t frame_id(uint64_t value)
{
	frame_id_t id = { value };
	return id;
}

static inline tree_id_t tree_id(size_t value)
{
	tree_id_t id = { value };
	return id;
}

/* Optional values: `value` means something only when `present`. */
typedef struct ll_optional {
	bool present;
	size_t value;
} ll_optional_t;
typedef struct frame_id_optional {
	bool present;
	frame_id_t value;
} frame_id_optional_t;
typedef struct tree_id_optional {
	bool present;
	tree_id_t value;
} tree_id_optional_t;

static inline ll_optional_t ll_some(size_t value)
{
	ll_optional_t some = { true, value };
	return some;
}

static inline ll_optional_t ll_none(void)
{
	ll_optional_t none = { false, 0 };
	return none;
}

static inline frame_id_optional_t frame_id_some(frame_id_t value)
{
	frame_id_optional_t some = { true, value };
	return some;
}

static inline frame_id_optional_t frame_id_none(void)
{
	frame_id_optional_t none = { false, { 0 } };
	return none;
}

static inline tree_id_optional_t tree_id_some(tree_id_t value)
{
	tree_id_optional_t some = { true, value };
	return some;
}

static inline tree_id_optional_t tree_id_none(void)
{
	tree_id_optional_t none = { false, { 0 } };
	return none;
}

/* Error codes of llfree_result_t. */
enum {
	LLFREE_ERR_OK = 0,
	LLFREE_ERR_MEMORY = 1, /* nothing free that fits, or not allocated */
	LLFREE_ERR_ARGUMENT = 2, /* misaligned, out of range, not configured */
	LLFREE_ERR_INIT = 3, /* llfree_init was given what cannot work */
};

/* The result of a call: the first frame and its tree's class, or the error. */
typedef struct llfree_result {
	frame_id_t frame;
	uint8_t LLFREE_CLASS_FIELD;
	uint8_t error;
} llfree_result_t;

static inline llfree_result_t llfree_ok(frame_id_t frame, uint8_t class_id)
{
	llfree_result_t ok = { frame, class_id, LLFREE_ERR_OK };
	return ok;
}

static inline llfree_result_t llfree_err(uint8_t error)
{
	llfree_result_t err = { { 0 }, LLFREE_CLASS_NONE, error };
	return err;
}

static inline bool llfree_is_ok(llfree_result_t result)
{
	return result.error == LLFREE_ERR_OK;
}

/*
 * A request: 2^order frames, for a class, through slot `local` of that class
 * (one per core, for example). Without a slot, the request is served from trees
 * that no slot has reserved. It uses a reserved tree only when nothing else
 * fits, or when it names a place there.
 */
typedef struct llfree_request {
	uint8_t order;
	uint8_t LLFREE_CLASS_FIELD;
	ll_optional_t local;
} llfree_request_t;

static inline llfree_request_t llreq(uint8_t order, uint8_t class_id,
				     ll_optional_t local)
{
	llfree_request_t request = { order, class_id, local };
	return request;
}

/* ------------------------------------------------------------------------ */
/* Classes and policy                                                        */

typedef uint8_t llfree_policy_type_t;
enum llfree_policy_type {
	LLFREE_POLICY_MATCH = 0, /* usable; a reservation changes its class */
	LLFREE_POLICY_STEAL = 1, /* usable; its class stays */
	LLFREE_POLICY_DEMOTE = 2, /* usable; its class becomes the requested */
	LLFREE_POLICY_INVALID = 3, /* not usable */
};

/* Priority: 0 is the worst; UINT8_MAX ends the search, the tree is used. */
typedef struct llfree_policy {
	llfree_policy_type_t type;
	uint8_t priority;
} llfree_policy_t;

/*
 * Return how a request of class `requested` may use a tree of class `target`
 * that has `free` free frames (always its real count). Must be pure.
 */
typedef llfree_policy_t (*llfree_policy_fn)(uint8_t requested, uint8_t target,
					    size_t free);

/* A class and how many slots it has; 0 slots are legal. */
typedef struct llfree_class_conf {
	uint8_t LLFREE_CLASS_FIELD;
	size_t count;
} llfree_class_conf_t;

/* A tree that becomes entirely free returns to `default_class`. */
typedef struct llfree_classing {
	llfree_class_conf_t classes[LLFREE_MAX_CLASSES];
	size_t num_classes;
	uint8_t default_class;
	llfree_policy_fn policy;
} llfree_classing_t;

/*
 * Two classes: 0 small (below a huge frame), 1 huge; `cores` slots each. Here
 * and below, a request uses the slot of its core; with 0 cores it has no slot.
 * The functions that make requests are inline: returning a request from another
 * function costs more than the rest of a get.
 */
llfree_classing_t llfree_classing_simple(size_t cores);
llfree_policy_t llfree_simple_policy(uint8_t requested, uint8_t target,
				     size_t free);

static inline llfree_request_t llfree_simple_request(size_t cores,
						     uint8_t order, size_t core)
{
	return llreq(order, order < LLFREE_HUGE_ORDER ? 0 : 1,
		     cores ? ll_some(core % cores) : ll_none());
}

/* Three classes: 0 immovable, 1 movable, 2 huge; `cores` slots each. */
llfree_classing_t llfree_classing_movable(size_t cores);
llfree_policy_t llfree_movable_policy(uint8_t requested, uint8_t target,
				      size_t free);

static inline llfree_request_t
llfree_movable_request(size_t cores, uint8_t order, size_t core, bool movable)
{
	return llreq(order, order >= LLFREE_HUGE_ORDER ? 2 : (movable ? 1 : 0),
		     cores ? ll_some(core % cores) : ll_none());
}

/* ------------------------------------------------------------------------ */
/* Life                                                                      */

/* The allocator's handle: at most two cache lines, see llfree_metadata_size. */
typedef struct llfree llfree_t;

/* Bytes of the handle and of each buffer. */
typedef struct llfree_meta_size {
	size_t llfree;
	size_t local;
	size_t trees;
	size_t lower;
} llfree_meta_size_t;

/* The buffers: aligned to LLFREE_CACHE_SIZE, not overlapping. */
typedef struct llfree_meta {
	uint8_t *local; /* slots, volatile */
	uint8_t *trees; /* tree entries, volatile */
	uint8_t *lower; /* bitfields and child entries, may be persistent */
} llfree_meta_t;

/* How llfree_init sets up the buffers. */
enum {
	LLFREE_INIT_FREE = 0, /* everything becomes free */
	LLFREE_INIT_ALLOC = 1, /* everything becomes allocated */
	LLFREE_INIT_RECOVER = 2, /* rebuilt from `lower`, also after a crash */
	LLFREE_INIT_NONE = 4, /* all three buffers stay as they are */
	LLFREE_INIT_MAX = 5,
};

/* Bytes to provide for `frames` frames; all 0 when llfree_init would refuse. */
llfree_meta_size_t llfree_metadata_size(const llfree_classing_t *classing,
					size_t frames);

/*
 * Set up `self` to manage `frames` frames. Alone; `self` may be moved
 * afterwards, before any other call.
 *
 * LLFREE_ERR_INIT, and nothing is touched: an invalid size (less than one huge
 * frame, or more than can be numbered), mode, buffer or classing.
 */
LLFREE_MUST_CHECK llfree_result_t
llfree_init(llfree_t *self, size_t frames, uint8_t init, llfree_meta_t meta,
	    const llfree_classing_t *classing);

/*
 * The same as llfree_init with LLFREE_INIT_FREE, for a `lower` buffer that is
 * zero, such as fresh memory from mmap. The bitfields are not written, so their
 * pages need not exist yet.
 */
LLFREE_MUST_CHECK llfree_result_t
llfree_init_zeroed(llfree_t *self, size_t frames, llfree_meta_t meta,
		   const llfree_classing_t *classing);

/* The buffers in use, and their sizes. */
llfree_meta_t llfree_metadata(const llfree_t *self);
llfree_meta_size_t llfree_metadata_size_of(const llfree_t *self);

/* ------------------------------------------------------------------------ */
/* Allocating and freeing                                                    */

/*
 * llfree_get and llfree_put with plain arguments: `at` of UINT64_MAX or `local`
 * of SIZE_MAX means none. A request structure is too large to be passed in
 * registers, which costs a third of a get.
 */
LLFREE_MUST_CHECK llfree_result_t llfree_get_plain(llfree_t *self, uint64_t at,
						   unsigned order,
						   unsigned class_id,
						   size_t local);
llfree_result_t llfree_put_plain(llfree_t *self, uint64_t frame, unsigned order,
				 unsigned class_id, size_t local);

/* A present value never becomes "none": one so large becomes an invalid one. */
static inline size_t llfree_plain_local(ll_optional_t local)
{
	if (!local.present)
		return SIZE_MAX;
	return local.value < SIZE_MAX ? local.value : SIZE_MAX - 1;
}

static inline uint64_t llfree_plain_frame(frame_id_optional_t at)
{
	if (!at.present)
		return UINT64_MAX;
	return at.value.value < UINT64_MAX ? at.value.value : UINT64_MAX - 1;
}

/*
 * Allocate 2^order frames, aligned to their size; with `at`, exactly those.
 * The result's class is the class of the tree that they came from.
 *
 * LLFREE_ERR_ARGUMENT: order above the maximum or larger than the managed
 * range, class not configured, `local` out of range, `at` misaligned or out of
 * range. LLFREE_ERR_MEMORY: no such block is free, or not the one at `at`.
 */
LLFREE_MUST_CHECK static inline llfree_result_t
llfree_get(llfree_t *self, frame_id_optional_t at, llfree_request_t request)
{
	return llfree_get_plain(self, llfree_plain_frame(at), request.order,
				request.LLFREE_CLASS_FIELD,
				llfree_plain_local(request.local));
}

/*
 * Free 2^order frames that are all allocated: a part of an earlier allocation,
 * or several allocations at once.
 *
 * LLFREE_ERR_MEMORY, and nothing has changed: one of the frames is not
 * allocated. When two calls free the same frame at the same time, one of them
 * frees it. The other one may fail after it has freed a part of its frames.
 */
static inline llfree_result_t llfree_put(llfree_t *self, frame_id_t frame,
					 llfree_request_t request)
{
	return llfree_put_plain(self, frame.value, request.order,
				request.LLFREE_CLASS_FIELD,
				llfree_plain_local(request.local));
}

/*
 * Allocate any number of contiguous frames. The first one is aligned to
 * 2^request.order; with `at`, it is exactly that one.
 *
 * Without `at`, a range of less than a huge frame lies within one huge frame.
 * A longer range begins at a huge frame, or at a multiple by request.order. The
 * call allocates all frames or none. After a crash, each frame of a call in
 * flight is allocated or free. Errors as in llfree_get; `frames` of 0 is
 * LLFREE_ERR_ARGUMENT.
 */
LLFREE_MUST_CHECK llfree_result_t llfree_get_range(llfree_t *self,
						   frame_id_optional_t at,
						   size_t frames,
						   llfree_request_t request);

/*
 * Free contiguous frames that are all allocated, by whichever calls.
 * request.order is not used. Errors as in llfree_put.
 */
llfree_result_t llfree_put_range(llfree_t *self, frame_id_t frame,
				 size_t frames, llfree_request_t request);

/*
 * The result of a bulk call: how many frames of the array it has done, from the
 * first one on, and why not the others; LLFREE_ERR_OK when it has done all.
 */
typedef struct llfree_bulk {
	size_t count;
	uint8_t error;
} llfree_bulk_t;

/*
 * Allocate `count` single frames, which need not be neighbours. This takes a
 * small part of the time of `count` calls of llfree_get. request.order must be
 * 0.
 *
 * Equivalent to `count` single calls that stop at the first failure. With
 * LLFREE_ERR_MEMORY, the first result.count entries of `frames` are allocated
 * and belong to the caller; the other entries are unchanged. The policy is
 * asked once for all frames that the call gets from a tree at a time. While the
 * call runs, up to `count` frames count as used. After a crash, each frame of a
 * call in flight is allocated or free. LLFREE_ERR_ARGUMENT as in llfree_get,
 * and for an order that is not 0; nothing has changed.
 */
LLFREE_MUST_CHECK llfree_bulk_t llfree_get_bulk(llfree_t *self,
						frame_id_t *frames,
						size_t count,
						llfree_request_t request);

/*
 * Free `count` single frames, allocated by whichever calls. It is fast where
 * neighbours in the array are near each other in memory, such as those from
 * llfree_get_bulk. request.order must be 0.
 *
 * With LLFREE_ERR_MEMORY, frames[result.count] was not allocated: it was free
 * before, or an earlier entry or another call at the same time has freed it.
 * The call has freed the frames before it and has not touched those behind it,
 * unless that other call frees their whole huge frame. LLFREE_ERR_ARGUMENT as
 * in llfree_put, for any of the frames, and for an order that is not 0; nothing
 * has changed.
 */
llfree_bulk_t llfree_put_bulk(llfree_t *self, const frame_id_t *frames,
			      size_t count, llfree_request_t request);

/* Give up all reservations: every slot becomes empty. */
llfree_result_t llfree_drain(llfree_t *self);

/* ------------------------------------------------------------------------ */
/* Trees                                                                     */

/* Which tree matches: this one or any; of this class, or of any with
 * LLFREE_CLASS_NONE; with at least `free` free frames. A reserved tree never
 * matches. */
typedef struct llfree_tree_match {
	tree_id_optional_t id;
	uint8_t LLFREE_CLASS_FIELD;
	size_t free;
} llfree_tree_match_t;

typedef uint8_t llfree_tree_operation_t;
enum llfree_tree_operation {
	LLFREE_TREE_OP_NONE = 0,
	LLFREE_TREE_OP_ONLINE = 1, /* its free frames can be allocated again */
	LLFREE_TREE_OP_OFFLINE = 2, /* nothing is allocated from it */
};

/* The new class of the tree (LLFREE_CLASS_NONE: unchanged), and its state. */
typedef struct llfree_tree_change {
	uint8_t LLFREE_CLASS_FIELD;
	llfree_tree_operation_t operation;
} llfree_tree_change_t;

/*
 * Change one unreserved tree that matches; when several match, any of them. The
 * result has the first frame of that tree and its class after the change. The
 * frames of an offline tree count as allocated, and only ONLINE matches it.
 * Frames that are put into an offline tree are free once it is online.
 *
 * LLFREE_ERR_MEMORY: no match. LLFREE_ERR_ARGUMENT: a class that is not
 * configured, an unknown operation, a tree out of range.
 */
llfree_result_t llfree_change_tree(llfree_t *self, llfree_tree_match_t match,
				   llfree_tree_change_t change);

/* ------------------------------------------------------------------------ */
/* Statistics                                                                */

/*
 * While other calls run, the figures are not exact, but never exceed what is
 * managed.
 */
typedef struct ll_stats {
	size_t free_frames;
	size_t free_huge; /* huge frames that are entirely free */
	size_t free_trees; /* trees whose managed frames are all free */
} ll_stats_t;

typedef struct ll_class_stats {
	size_t free_frames;
	size_t alloc_frames;
} ll_class_stats_t;

typedef struct ll_tree_stats {
	size_t free_frames;
	size_t free_trees;
	ll_class_stats_t classes[LLFREE_MAX_CLASSES];
} ll_tree_stats_t;

/* Number of managed frames. */
size_t llfree_frames(const llfree_t *self);

/* Exact: scans the bitfields. */
ll_stats_t llfree_stats(const llfree_t *self);

/* The same for the frame, huge frame or tree (order 0, LLFREE_HUGE_ORDER or
 * LLFREE_TREE_ORDER) that contains `frame`; zeros for any other order. */
ll_stats_t llfree_stats_at(const llfree_t *self, frame_id_t frame,
			   size_t order);

/* Fast: from the tree entries and the slots only. */
ll_tree_stats_t llfree_tree_stats(const llfree_t *self);

/* What the allocator did since init: figures for tuning. */
typedef struct llfree_counters {
	uint64_t reservations; /* a slot took another tree */
	uint64_t steals; /* served from a tree of another class */
	uint64_t demotions; /* a tree taken over from another class */
	union { /* two names of one figure */
		/* served from a tree that another slot has reserved */
		uint64_t reserved_steals;
		uint64_t raids;
	};
	uint64_t retries; /* repeated compare-and-swaps, in the process */
} llfree_counters_t;

llfree_counters_t llfree_counters(const llfree_t *self);

/* ------------------------------------------------------------------------ */
/* Debugging                                                                 */

/* Receives a line of text. Some programs declare it the second way. */
typedef void (*llfree_writer_t)(void *arg, const char *text);
typedef void (*llfree_mutable_writer_t)(void *arg, char *text);

/* llfree_print prints a summary through the platform's log; the others pass
 * all trees and slots to `writer`. */
void llfree_print(const llfree_t *self);
void llfree_print_debug(const llfree_t *self, llfree_writer_t writer,
			void *arg);
void llfree_print_debug_mutable(const llfree_t *self,
				llfree_mutable_writer_t writer, void *arg);
#ifndef __cplusplus
/* clang-format off */
#define llfree_print_debug(self, writer, arg)                         \
	_Generic((writer),                                            \
		llfree_mutable_writer_t: llfree_print_debug_mutable,  \
		default: llfree_print_debug)((self), (writer), (arg))
/* clang-format on */
#endif

/*
 * Check every invariant of an allocator at rest. Alone. When one does not hold,
 * stop through the platform's panic hook, in every build; otherwise print
 * nothing.
 */
void llfree_validate(const llfree_t *self);

#ifdef __cplusplus
}
#endif
