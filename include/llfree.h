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
 * Who may call what: every function below may run beside every other one on
 * any number of threads, in signal handlers and with threads stopped for ever,
 * except where its comment says "alone". No call locks, waits or allocates.
 *
 * Errors: LLFREE_ERR_ARGUMENT when the arguments alone show the mistake,
 * LLFREE_ERR_MEMORY when the state says no, LLFREE_ERR_INIT from llfree_init
 * only. A call that fails has changed nothing, but for bulk calls, which say
 * how far they came. Nothing is ever printed unless a print function is called.
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
typedef struct {
	uint64_t value;
} frame_id_t;
typedef struct {
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
typedef struct {
	bool present;
	size_t value;
} ll_optional_t;
typedef struct {
	bool present;
	frame_id_t value;
} frame_id_optional_t;
typedef struct {
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

/* What a call did: the first frame and its tree's class, or the error. */
typedef struct {
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
 * What is asked for: 2^order frames, for a class, through slot `local` of that
 * class (one per core, say). Without a slot the request works on the shared
 * trees and touches others' reservations only when nothing else fits, or when
 * the place asked for is theirs.
 */
typedef struct {
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

enum {
	LLFREE_POLICY_MATCH = 0, /* usable; once reserved it takes the class */
	LLFREE_POLICY_STEAL = 1, /* usable, but its class stays */
	LLFREE_POLICY_DEMOTE = 2, /* usable, its class becomes the requested */
	LLFREE_POLICY_INVALID = 3, /* not usable */
};

/* Priority: 0 worst, UINT8_MAX means take at once without looking further. */
typedef struct {
	uint8_t type;
	uint8_t priority;
} llfree_policy_t;

/*
 * Says how a request of class `requested` may use a tree of class `target`
 * that has `free` free frames (always its real count). Must be pure.
 */
typedef llfree_policy_t (*llfree_policy_fn)(uint8_t requested, uint8_t target,
					    size_t free);

/* A class and how many slots it has; 0 slots are legal. */
typedef struct {
	uint8_t LLFREE_CLASS_FIELD;
	size_t count;
} llfree_class_conf_t;

/* A tree that becomes entirely free returns to `default_class`. */
typedef struct {
	llfree_class_conf_t classes[LLFREE_MAX_CLASSES];
	size_t num_classes;
	uint8_t default_class;
	llfree_policy_fn policy;
} llfree_classing_t;

/*
 * Two classes: 0 small (below a huge frame), 1 huge; `cores` slots each. Here
 * and below, a request's slot is its core's; with 0 cores it has none. They
 * are inline since a request that another function returns costs more than
 * all the rest of a get.
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
typedef struct {
	size_t llfree;
	size_t local;
	size_t trees;
	size_t lower;
} llfree_meta_size_t;

/* The buffers: aligned to LLFREE_CACHE_SIZE, not overlapping. */
typedef struct {
	uint8_t *local; /* slots, volatile */
	uint8_t *trees; /* tree entries, volatile */
	uint8_t *lower; /* bitfields and child entries, may be persistent */
} llfree_meta_t;

/* How llfree_init finds the buffers. */
enum {
	LLFREE_INIT_FREE = 0, /* everything becomes free */
	LLFREE_INIT_ALLOC = 1, /* everything becomes allocated */
	LLFREE_INIT_RECOVER = 2, /* rebuilt from `lower`, also after a crash */
	LLFREE_INIT_NONE = 4, /* all three taken as they are */
	LLFREE_INIT_MAX = 5,
};

/* Bytes to provide for `frames` frames; all 0 when llfree_init would refuse. */
llfree_meta_size_t llfree_metadata_size(const llfree_classing_t *classing,
					size_t frames);

/*
 * Sets up `self` to manage `frames` frames. Alone; `self` may be moved
 * afterwards, before any other call.
 *
 * LLFREE_ERR_INIT, with nothing touched, for a bad size (less than one huge
 * frame, more than can be numbered), mode, buffer or classing.
 */
LLFREE_MUST_CHECK llfree_result_t
llfree_init(llfree_t *self, size_t frames, uint8_t init, llfree_meta_t meta,
	    const llfree_classing_t *classing);

/*
 * As llfree_init with LLFREE_INIT_FREE, for a `lower` buffer that is known to
 * be zero (fresh from mmap, say): the bitfields are not written, so their
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
 * The two calls below with plain arguments: `at` or `local` of UINT64_MAX or
 * SIZE_MAX means none. Requests are too large to be passed in registers, and
 * that costs a third of a get.
 */
LLFREE_MUST_CHECK llfree_result_t llfree_get_plain(llfree_t *self, uint64_t at,
						   unsigned order,
						   unsigned class_id,
						   size_t local);
llfree_result_t llfree_put_plain(llfree_t *self, uint64_t frame, unsigned order,
				 unsigned class_id, size_t local);

/* A value that is there is never taken for none: so large it is an error. */
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
 * Allocates 2^order frames, aligned to their size; with `at`, exactly those.
 * The result's class is the class of the tree that they came from.
 *
 * LLFREE_ERR_ARGUMENT: order above the maximum or larger than the managed
 * range, class not configured, `local` out of range, `at` misaligned or out of
 * range. LLFREE_ERR_MEMORY: nothing (or not that place) is free.
 */
LLFREE_MUST_CHECK static inline llfree_result_t
llfree_get(llfree_t *self, frame_id_optional_t at, llfree_request_t request)
{
	return llfree_get_plain(self, llfree_plain_frame(at), request.order,
				request.LLFREE_CLASS_FIELD,
				llfree_plain_local(request.local));
}

/*
 * Frees 2^order frames that are entirely allocated, whichever calls allocated
 * them: part of an earlier allocation, or several of them at once.
 *
 * LLFREE_ERR_MEMORY, and nothing changed, when a frame of them is not
 * allocated. Of two calls that free the same frame at once, one succeeds for
 * it; the other may fail with part of its other frames freed.
 */
static inline llfree_result_t llfree_put(llfree_t *self, frame_id_t frame,
					 llfree_request_t request)
{
	return llfree_put_plain(self, frame.value, request.order,
				request.LLFREE_CLASS_FIELD,
				llfree_plain_local(request.local));
}

/*
 * Allocates `frames` contiguous frames, any number. The first one is aligned
 * to 2^request.order; with `at`, it is exactly that one.
 *
 * Without `at`, a range of less than a huge frame lies within one huge frame,
 * and a longer one begins at a huge frame (or a multiple, by request.order).
 * All or nothing. After a crash each frame of a call in flight is allocated or
 * free. Errors as llfree_get; `frames` of 0 is LLFREE_ERR_ARGUMENT.
 */
LLFREE_MUST_CHECK llfree_result_t llfree_get_range(llfree_t *self,
						   frame_id_optional_t at,
						   size_t frames,
						   llfree_request_t request);

/*
 * Frees `frames` contiguous frames that are entirely allocated, whichever
 * calls allocated them. request.order is not used. Errors as llfree_put.
 */
llfree_result_t llfree_put_range(llfree_t *self, frame_id_t frame,
				 size_t frames, llfree_request_t request);

/*
 * What a bulk call did: the first `count` frames of the array, and why it did
 * not do the others, or LLFREE_ERR_OK when it did all.
 */
typedef struct {
	size_t count;
	uint8_t error;
} llfree_bulk_t;

/*
 * Allocates `count` single frames, which need not be neighbours, at a small
 * part of the price of so many llfree_get. request.order must be 0.
 *
 * As so many calls, of which the first that fails is the last: with
 * LLFREE_ERR_MEMORY, the first result.count entries of `frames` are allocated,
 * and are the caller's; the other entries are as they were. What the policy
 * says of a tree counts for all frames that the call then gets there. Up to
 * `count` frames count as used while the call runs. After a crash each frame
 * of a call in flight is allocated or free.
 * LLFREE_ERR_ARGUMENT as llfree_get, and for an order; nothing has changed.
 */
LLFREE_MUST_CHECK llfree_bulk_t llfree_get_bulk(llfree_t *self,
						frame_id_t *frames,
						size_t count,
						llfree_request_t request);

/*
 * Frees `count` single frames, whichever calls allocated them. It is fast
 * where neighbours in the array are near each other in memory, as those from
 * llfree_get_bulk are. request.order must be 0.
 *
 * With LLFREE_ERR_MEMORY, frames[result.count] is not allocated (or was freed
 * by an earlier entry, or at the same time by another call): those before it
 * have been freed, those behind it have not been touched, unless that other
 * call freed the whole huge frame of them. LLFREE_ERR_ARGUMENT as llfree_put,
 * for any of the frames, and for an order; nothing has changed.
 */
llfree_bulk_t llfree_put_bulk(llfree_t *self, const frame_id_t *frames,
			      size_t count, llfree_request_t request);

/* Gives up all reservations: every slot becomes empty. */
llfree_result_t llfree_drain(llfree_t *self);

/* ------------------------------------------------------------------------ */
/* Trees                                                                     */

/* Which tree: this one or any, of this class or LLFREE_CLASS_NONE for any,
 * with at least `free` free frames. Reserved trees never match. */
typedef struct {
	tree_id_optional_t id;
	uint8_t LLFREE_CLASS_FIELD;
	size_t free;
} llfree_tree_match_t;

typedef uint8_t llfree_tree_operation_t;
enum {
	LLFREE_TREE_OP_NONE = 0,
	LLFREE_TREE_OP_ONLINE = 1, /* its free frames can be allocated again */
	LLFREE_TREE_OP_OFFLINE = 2, /* nothing is allocated from it */
};

/* What becomes of it: its class (LLFREE_CLASS_NONE: kept), its state. */
typedef struct {
	uint8_t LLFREE_CLASS_FIELD;
	llfree_tree_operation_t operation;
} llfree_tree_change_t;

/*
 * Changes the first unreserved tree that matches, in any order of search. The
 * result's frame is the first frame of that tree, its class the class it has
 * now. The frames of an offline tree count as allocated, and only ONLINE
 * matches it; what is freed into it meanwhile is free once it is online.
 *
 * LLFREE_ERR_MEMORY: no match. LLFREE_ERR_ARGUMENT: a class that is not
 * configured, an unknown operation, a tree out of range.
 */
llfree_result_t llfree_change_tree(llfree_t *self, llfree_tree_match_t match,
				   llfree_tree_change_t change);

/* ------------------------------------------------------------------------ */
/* Statistics                                                                */

/*
 * Beside running calls the figures are not exact, but never more than what is
 * managed.
 */
typedef struct {
	size_t free_frames;
	size_t free_huge; /* huge frames that are entirely free */
	size_t free_trees; /* trees of which all that is managed is free */
} ll_stats_t;

typedef struct {
	size_t free_frames;
	size_t free_trees;
	struct {
		size_t free_frames;
		size_t alloc_frames;
	} classes[LLFREE_MAX_CLASSES];
} ll_tree_stats_t;

/* Number of managed frames. */
size_t llfree_frames(const llfree_t *self);

/* Exact: scans the bitfields. */
ll_stats_t llfree_stats(const llfree_t *self);

/* The same for the one frame, huge frame or tree (order 0, LLFREE_HUGE_ORDER,
 * LLFREE_TREE_ORDER) that holds `frame`; zeros for anything else. */
ll_stats_t llfree_stats_at(const llfree_t *self, frame_id_t frame,
			   size_t order);

/* Fast: from the tree entries and the slots only. */
ll_tree_stats_t llfree_tree_stats(const llfree_t *self);

/* What the allocator did since init, for those who tune it. */
typedef struct {
	uint64_t reservations; /* a slot took another tree */
	uint64_t steals; /* served from a tree of another class */
	uint64_t demotions; /* a tree taken over from another class */
	uint64_t raids; /* served from what a slot had reserved, not the own */
	uint64_t retries; /* repeated compare-and-swaps, in the process */
} llfree_counters_t;

llfree_counters_t llfree_counters(const llfree_t *self);

/* ------------------------------------------------------------------------ */
/* Debugging                                                                 */

/* Takes a line of text; the second is how some programs declare it. */
typedef void (*llfree_writer_t)(void *arg, const char *text);
typedef void (*llfree_mutable_writer_t)(void *arg, char *text);

/* One summary through the platform's log; all trees and slots to `writer`. */
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
 * Checks every invariant of an allocator at rest. Alone. Silent when all is
 * well; otherwise stops through the platform's panic hook, in every build.
 */
void llfree_validate(const llfree_t *self);

#ifdef __cplusplus
}
#endif
