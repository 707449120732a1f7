/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The public calls: check the arguments, then join lower and upper allocator.
 */
#include "lib/upper.h"

/* ------------------------------------------------------------------------ */
/* Start                                                                     */

/* Return a mask of the configured classes; 0 for an invalid classing. */
static uint8_t classing_mask(const llfree_classing_t *classing)
{
	uint8_t mask = 0;

	if (!classing || !classing->policy || classing->num_classes == 0 ||
	    classing->num_classes > LLFREE_MAX_CLASSES)
		return 0;
	for (size_t i = 0; i < classing->num_classes; i++) {
		uint8_t class = classing->classes[i].class;

		if (class >= LLFREE_MAX_CLASSES || mask >> class & 1 ||
		    classing->classes[i].count >
			    UINT32_MAX / LLFREE_MAX_CLASSES)
			return 0;
		mask |= (uint8_t)(1u << class);
	}
	if (classing->default_class >= LLFREE_MAX_CLASSES ||
	    !(mask >> classing->default_class & 1))
		return 0;
	return mask;
}

/* A limit below which no sum of sizes overflows. */
#define MAX_FRAMES (UINT64_C(1) << 50)

static bool frames_valid(size_t frames)
{
	return frames >= LLFREE_HUGE_SIZE && frames <= MAX_FRAMES;
}

/* One line more than slots: requests without a slot count there. */
static size_t local_size(size_t slots)
{
	return (slots + 1) * sizeof(local_t);
}

static size_t trees_size(size_t frames)
{
	return div_ceil(frames, LLFREE_TREE_SIZE) * sizeof(tree_line_t);
}

llfree_meta_size_t llfree_metadata_size(const llfree_classing_t *classing,
					size_t frames)
{
	size_t slots = 0;

	if (classing_mask(classing) == 0 || !frames_valid(frames))
		return (llfree_meta_size_t){ 0 };
	for (size_t i = 0; i < classing->num_classes; i++)
		slots += classing->classes[i].count;
	return (llfree_meta_size_t){
		.llfree = sizeof(struct llfree),
		.local = local_size(slots),
		.trees = trees_size(frames),
		.lower = lower_size(frames),
	};
}

static bool buffer_valid(const uint8_t *buffer, size_t size)
{
	return buffer && (uintptr_t)buffer % LLFREE_CACHE_SIZE == 0 &&
	       (uintptr_t)buffer + size >= (uintptr_t)buffer;
}

static bool disjoint(const uint8_t *a, size_t a_size, const uint8_t *b,
		     size_t b_size)
{
	return (uintptr_t)a + a_size <= (uintptr_t)b ||
	       (uintptr_t)b + b_size <= (uintptr_t)a;
}

static bool meta_valid(llfree_meta_t meta, llfree_meta_size_t size)
{
	return buffer_valid(meta.local, size.local) &&
	       buffer_valid(meta.trees, size.trees) &&
	       buffer_valid(meta.lower, size.lower) &&
	       disjoint(meta.local, size.local, meta.trees, size.trees) &&
	       disjoint(meta.local, size.local, meta.lower, size.lower) &&
	       disjoint(meta.trees, size.trees, meta.lower, size.lower);
}

static void slots_init(llfree_t *self, const llfree_classing_t *classing)
{
	uint32_t first = 0;

	for (uint8_t class = 0; class < LLFREE_MAX_CLASSES; class ++) {
		self->upper.first_slot[class] = first;
		for (size_t i = 0; i < classing->num_classes; i++)
			if (classing->classes[i].class == class)
				first += (uint32_t)classing->classes[i].count;
	}
	self->upper.first_slot[LLFREE_MAX_CLASSES] = first;
}

/* Set up the volatile half from what the lower allocator has. */
static void upper_init(const llfree_t *self, bool all_free)
{
	memset(self->upper.locals, 0, local_size(upper_slots(self)));
	for (size_t i = 0; i < upper_trees(self); i++) {
		tree_id_t tree = tree_id(i);
		size_t free = all_free
				      ? lower_tree_frames(&self->lower, tree)
				      : lower_count_in_tree(&self->lower, tree);

		atom_store(upper_tree(self, tree),
			   tree_new(free, self->upper.default_class));
	}
}

static llfree_result_t init(llfree_t *self, size_t frames, lower_init_t how,
			    llfree_meta_t meta,
			    const llfree_classing_t *classing)
{
	llfree_meta_size_t size = llfree_metadata_size(classing, frames);

	if (!self || size.llfree == 0 || !meta_valid(meta, size))
		return llfree_err(LLFREE_ERR_INIT);
	*self = (llfree_t){
		.upper = {
			.trees = (tree_line_t *)meta.trees,
			.locals = (local_t *)meta.local,
			.policy = classing->policy,
			.configured = classing_mask(classing),
			.default_class = classing->default_class,
		},
	};
	slots_init(self, classing);
	lower_init(&self->lower, frames, meta.lower, how);
	if (how != LOWER_KEEP)
		upper_init(self, how == LOWER_FREE || how == LOWER_FREE_ZEROED);
	return llfree_ok(frame_id(0), self->upper.default_class);
}

llfree_result_t llfree_init(llfree_t *self, size_t frames, uint8_t mode,
			    llfree_meta_t meta,
			    const llfree_classing_t *classing)
{
	switch (mode) {
	case LLFREE_INIT_FREE:
		return init(self, frames, LOWER_FREE, meta, classing);
	case LLFREE_INIT_ALLOC:
		return init(self, frames, LOWER_ALLOC, meta, classing);
	case LLFREE_INIT_RECOVER:
		return init(self, frames, LOWER_RECOVER, meta, classing);
	case LLFREE_INIT_NONE:
		return init(self, frames, LOWER_KEEP, meta, classing);
	default:
		return llfree_err(LLFREE_ERR_INIT);
	}
}

llfree_result_t llfree_init_zeroed(llfree_t *self, size_t frames,
				   llfree_meta_t meta,
				   const llfree_classing_t *classing)
{
	return init(self, frames, LOWER_FREE_ZEROED, meta, classing);
}

llfree_meta_t llfree_metadata(const llfree_t *self)
{
	return (llfree_meta_t){
		.local = (uint8_t *)self->upper.locals,
		.trees = (uint8_t *)self->upper.trees,
		.lower = (uint8_t *)self->lower.fields,
	};
}

llfree_meta_size_t llfree_metadata_size_of(const llfree_t *self)
{
	return (llfree_meta_size_t){
		.llfree = sizeof(struct llfree),
		.local = local_size(upper_slots(self)),
		.trees = trees_size(self->lower.frames),
		.lower = lower_size(self->lower.frames),
	};
}

size_t llfree_frames(const llfree_t *self)
{
	return self->lower.frames;
}

/* ------------------------------------------------------------------------ */
/* Arguments                                                                 */

/* Return whether these frames are all managed. */
static inline bool span_valid(const llfree_t *self, frame_id_t first,
			      size_t frames)
{
	return frames > 0 && frames <= self->lower.frames &&
	       first.value <= self->lower.frames - frames;
}

static inline bool order_valid(const llfree_t *self, frame_id_t first,
			       unsigned order)
{
	return order <= LLFREE_MAX_ORDER && is_aligned(first.value, order) &&
	       span_valid(self, first, (size_t)1 << order);
}

/* ------------------------------------------------------------------------ */
/* Spans, tree by tree                                                       */

static inline llfree_result_t put(const llfree_t *self, local_t *local,
				  frame_id_t frame, size_t frames,
				  uint8_t class)
{
	size_t freed = lower_put(&self->lower, frame, frames);

	if (freed > 0)
		upper_freed(self, local, frame, freed);
	if (freed < frames)
		return llfree_err(LLFREE_ERR_MEMORY);
	return llfree_ok(frame, class);
}

/* Return how many frames of a span lie in the tree of its first frame. */
static size_t tree_part(frame_id_t first, size_t frames)
{
	return size_min(LLFREE_TREE_SIZE - first.value % LLFREE_TREE_SIZE,
			frames);
}

static llfree_result_t put_trees(const llfree_t *self, local_t *local,
				 frame_id_t first, size_t frames, uint8_t class)
{
	llfree_result_t result = llfree_ok(first, class);

	for (size_t part; frames > 0; frames -= part) {
		part = tree_part(first, frames);

		llfree_result_t one = put(self, local, first, part, class);

		if (!llfree_is_ok(one))
			result = one;
		first = frame_plus(first, part);
	}
	return result;
}

/* Let a request that got these frames take their trees over. */
static void commit_trees(const llfree_t *self, local_t *local, frame_id_t first,
			 size_t frames, llfree_result_t *result, uint8_t class)
{
	for (size_t done = 0, part; done < frames; done += part) {
		frame_id_t at = frame_plus(first, done);

		part = tree_part(at, frames - done);
		if (upper_commit_at(self, class, local, tree_of_frame(at)) &&
		    done == 0)
			*result = llfree_ok(first, class);
	}
}

/* Get the frames tree by tree. When one tree fails, put those before it. */
static llfree_result_t get_at(const llfree_t *self, local_t *local,
			      frame_id_t first, size_t frames, uint8_t class)
{
	llfree_result_t result = llfree_err(LLFREE_ERR_MEMORY);

	for (size_t done = 0, part; done < frames; done += part) {
		frame_id_t at = frame_plus(first, done);

		part = tree_part(at, frames - done);

		llfree_result_t one = upper_get_at(self, part, class, at);

		if (!llfree_is_ok(one)) {
			(void)put_trees(self, local, first, done, class);
			return one;
		}
		if (done == 0)
			result = one;
	}
	commit_trees(self, local, first, frames, &result, class);
	return result;
}

/* ------------------------------------------------------------------------ */
/* Powers of two                                                             */

llfree_result_t llfree_get_plain(llfree_t *self, uint64_t at, unsigned order,
				 unsigned class, size_t slot)
{
	frame_id_t frame = frame_id(at == UINT64_MAX ? 0 : at);
	local_t *local;

	if (!order_valid(self, frame, order) ||
	    !upper_find_local(self, class, slot, &local))
		return llfree_err(LLFREE_ERR_ARGUMENT);

	run_t run = { (size_t)1 << order, order };

	if (at != UINT64_MAX)
		return get_at(self, local, frame, run.frames, (uint8_t) class);
	if (local) {
		frame_id_optional_t own =
			upper_get_own(self, local, (uint8_t) class, run);

		if (own.present)
			return llfree_ok(own.value, (uint8_t) class);
	}
	return upper_get(self, run, (uint8_t) class, local);
}

llfree_result_t llfree_put_plain(llfree_t *self, uint64_t frame, unsigned order,
				 unsigned class, size_t slot)
{
	local_t *local;

	if (!order_valid(self, frame_id(frame), order) ||
	    !upper_find_local(self, class, slot, &local))
		return llfree_err(LLFREE_ERR_ARGUMENT);
	return put(self, local, frame_id(frame), (size_t)1 << order,
		   (uint8_t) class);
}

/* ------------------------------------------------------------------------ */
/* Ranges                                                                    */

/* Return whether all trees of a span seem to have enough free frames. */
static bool trees_may_have(const llfree_t *self, frame_id_t first,
			   size_t frames, uint8_t class)
{
	for (size_t part; frames > 0; frames -= part) {
		part = tree_part(first, frames);
		if (!upper_may_get_at(self, part, class, first))
			return false;
		first = frame_plus(first, part);
	}
	return true;
}

/*
 * Search for a range across trees, from huge frame to huge frame. It claims
 * only where all huge frames seem free, so a failed claim means that another
 * thread was faster.
 */
static llfree_result_t search_trees(const llfree_t *self, run_t run,
				    uint8_t class, local_t *local)
{
	frame_id_t first = frame_id(0);

	while (lower_find_whole(&self->lower, &first, run)) {
		if (trees_may_have(self, first, run.frames, class)) {
			llfree_result_t result =
				get_at(self, local, first, run.frames, class);

			if (llfree_is_ok(result))
				return result;
		}
		first = frame_plus(first, (size_t)1 << run.align);
	}
	return llfree_err(LLFREE_ERR_MEMORY);
}

static llfree_result_t get_range(const llfree_t *self, run_t run, uint8_t class,
				 local_t *local)
{
	llfree_result_t result = llfree_err(LLFREE_ERR_MEMORY);
	uint64_t stamp;

	if (run.frames <= LLFREE_TREE_SIZE)
		result = upper_get(self, run, class, local);
	if (llfree_is_ok(result) || run.frames < LLFREE_HUGE_SIZE)
		return result;
	for (unsigned i = 0; i < ALL_PASSES; i++) {
		stamp = upper_stamp(self);
		result = search_trees(self, run, class, local);
		if (llfree_is_ok(result) || stamp == upper_stamp(self))
			break;
	}
	return result;
}

llfree_result_t llfree_get_range(llfree_t *self, frame_id_optional_t at,
				 size_t frames, llfree_request_t request)
{
	frame_id_t first = at.present ? at.value : frame_id(0);
	run_t run = { frames, request.order };
	local_t *local;

	if (request.order > LLFREE_MAX_ORDER ||
	    !is_aligned(first.value, request.order) ||
	    !span_valid(self, first, frames) ||
	    !upper_find_local(self, request.class,
			      llfree_plain_local(request.local), &local))
		return llfree_err(LLFREE_ERR_ARGUMENT);
	if (at.present)
		return get_at(self, local, first, frames, request.class);
	if (frames >= LLFREE_HUGE_SIZE && request.order < LLFREE_HUGE_ORDER)
		run.align = LLFREE_HUGE_ORDER;
	if (local && frames <= LLFREE_TREE_SIZE) {
		frame_id_optional_t own =
			upper_get_own(self, local, request.class, run);

		if (own.present)
			return llfree_ok(own.value, request.class);
	}
	return get_range(self, run, request.class, local);
}

llfree_result_t llfree_put_range(llfree_t *self, frame_id_t frame,
				 size_t frames, llfree_request_t request)
{
	local_t *local;

	if (!span_valid(self, frame, frames) ||
	    !upper_find_local(self, request.class,
			      llfree_plain_local(request.local), &local))
		return llfree_err(LLFREE_ERR_ARGUMENT);
	if (tree_part(frame, frames) < frames &&
	    !lower_is_allocated(&self->lower, frame, frames))
		return llfree_err(LLFREE_ERR_MEMORY);
	return put_trees(self, local, frame, frames, request.class);
}

/* ------------------------------------------------------------------------ */
/* Slots and trees                                                           */

llfree_result_t llfree_drain(llfree_t *self)
{
	for (size_t i = 0; i < upper_slots(self); i++)
		upper_drain(self, &self->upper.locals[i]);
	return llfree_ok(frame_id(0), self->upper.default_class);
}

llfree_result_t llfree_change_tree(llfree_t *self, llfree_tree_match_t match,
				   llfree_tree_change_t change)
{
	size_t first = match.id.present ? match.id.value.value : 0;
	size_t end = match.id.present ? first + 1 : upper_trees(self);

	if (first >= upper_trees(self) ||
	    change.operation > LLFREE_TREE_OP_OFFLINE ||
	    (change.class != LLFREE_CLASS_NONE &&
	     !upper_has_class(self, change.class)))
		return llfree_err(LLFREE_ERR_ARGUMENT);
	for (size_t i = first; i < end; i++) {
		tree_t was, next;

		if (atom_update(upper_tree(self, tree_id(i)), was, next,
				tree_change(&next, match, change)))
			return llfree_ok(frame_of_tree(tree_id(i)),
					 tree_class(next));
	}
	return llfree_err(LLFREE_ERR_MEMORY);
}
