/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "lib/upper.h"

/* In the order in which a search uses them. */
static const uint8_t policy_types[] = { LLFREE_POLICY_MATCH,
					LLFREE_POLICY_STEAL,
					LLFREE_POLICY_DEMOTE };
#define POLICY_TYPES (sizeof(policy_types) / sizeof(policy_types[0]))

/* The search of one request. */
typedef struct {
	run_t run;
	uint8_t class;
	local_t *local; /* the own slot, or null */
	llfree_result_t result; /* of the search that succeeded */
} search_t;

/* Which trees a pass may use. */
typedef struct {
	bool reserved; /* reserved trees instead of unreserved ones */
	bool any; /* all trees, in any way that the policy allows */
	uint8_t type; /* otherwise only in this way */
} filter_t;

uint64_t upper_stamp(const llfree_t *self)
{
	uint64_t stamp = 0;

	for (size_t i = 0; i < upper_trees(self); i++)
		stamp = (stamp ^
			 atom_load_acquire(&self->upper.trees[i].word)) *
				UINT64_C(0x9e3779b97f4a7c15) +
			1;
	return stamp;
}

/* The slot, or the spare line, that holds the counters of a request. */
static local_t *counters(const llfree_t *self, const local_t *local)
{
	return &self->upper.locals[local ? (size_t)(local - self->upper.locals)
					 : upper_slots(self)];
}

/* ------------------------------------------------------------------------ */
/* Reservations                                                              */

static void unreserve(const llfree_t *self, slot_t slot)
{
	tree_t was, next;

	if (!slot_is_present(slot) || slot_is_borrowed(slot))
		return;
	(void)atom_update(
		upper_tree(self, slot_tree(slot)), was, next,
		tree_unreserve(&next,
			       lower_tree_frames(&self->lower, slot_tree(slot)),
			       self->upper.default_class));
}

void upper_drain(const llfree_t *self, local_t *local)
{
	unreserve(self, local_replace(local, 0));
}

/* Change the class of a tree, if it still has the class `from`. */
static bool set_class(const llfree_t *self, tree_id_t id, uint8_t from,
		      uint8_t to)
{
	tree_t was, next;

	return atom_update(upper_tree(self, id), was, next,
			   !tree_is_reserved(next) && !tree_is_offline(next) &&
				   tree_class(next) == from &&
				   tree_set_class(&next, to));
}

/* Reserve for the slot the tree in which its request has just succeeded. */
static bool reserve(const llfree_t *self, local_t *local, tree_id_t id,
		    uint8_t from, uint8_t to)
{
	tree_t was, next;

	if (!atom_update(upper_tree(self, id), was, next,
			 tree_class(next) == from && tree_reserve(&next, to)))
		return false;
	unreserve(self, local_replace(local, slot_of(id)));
	atom_add(&local->reservations, 1);
	return true;
}

/* Let the slot go on in a tree that another slot has reserved. */
static void borrow(const llfree_t *self, local_t *local, tree_id_t id)
{
	unreserve(self, local_replace(local, slot_of(id) | SLOT_BORROWED));
}

/* Take the tree away from the slot that has reserved it. */
static void evict(const llfree_t *self, tree_id_t id)
{
	for (size_t i = 0; i < upper_slots(self); i++)
		if (local_lose(&self->upper.locals[i], id))
			unreserve(self, slot_of(id));
}

/* After a request found nothing but this reserved tree. */
static void commit_reserved(const llfree_t *self, search_t *s, uint8_t type,
			    tree_id_t id)
{
	if (type == LLFREE_POLICY_DEMOTE)
		evict(self, id);
	else if (type == LLFREE_POLICY_MATCH && s->local &&
		 !slot_holds(atom_load(&s->local->slot), id))
		borrow(self, s->local, id);
	atom_add(&counters(self, s->local)->reserved_steals, 1);
}

/*
 * Reserve a tree, or change its class, after a request succeeded in it. `was`
 * is its word before the claim. Return its class.
 */
static uint8_t commit(const llfree_t *self, search_t *s, uint8_t type,
		      tree_id_t id, tree_t was)
{
	local_t *count = counters(self, s->local);
	bool demotes = type == LLFREE_POLICY_DEMOTE, taken = false;
	uint8_t class = tree_class(was);

	if (tree_is_reserved(was))
		commit_reserved(self, s, type, id);
	if (type == LLFREE_POLICY_STEAL)
		atom_add(&count->steals, 1);
	else if (s->local && (demotes || !tree_is_reserved(was)))
		taken = reserve(self, s->local, id, class, s->class);
	else if (demotes)
		taken = set_class(self, id, class, s->class);
	if (demotes && taken)
		atom_add(&count->demotions, 1);
	return taken ? s->class : class;
}

/* ------------------------------------------------------------------------ */
/* Search                                                                    */

static llfree_policy_t policy_of(const llfree_t *self, uint8_t class,
				 tree_t tree)
{
	return self->upper.policy(class, tree_class(tree), tree_free(tree));
}

/* Claim frames, if this pass may use the tree as it is now. */
static bool claim(const llfree_t *self, search_t *s, filter_t filter,
		  tree_t *tree, uint8_t *type)
{
	if (tree_free(*tree) < s->run.frames ||
	    (!filter.any && tree_is_reserved(*tree) != filter.reserved))
		return false;
	*type = policy_of(self, s->class, *tree).type;
	if (filter.any ? *type == LLFREE_POLICY_INVALID : *type != filter.type)
		return false;
	return tree_claim(tree, s->run.frames);
}

/* Allocate from one tree, if the lower allocator seems to have the run there. */
static bool take_tree(const llfree_t *self, search_t *s, filter_t filter,
		      tree_id_t id)
{
	tree_t was, next;
	uint8_t type;

	if (!lower_may_fit(&self->lower, id, s->run) ||
	    !atom_update(upper_tree(self, id), was, next,
			 claim(self, s, filter, &next, &type)))
		return false;

	frame_id_optional_t frame = upper_alloc_claimed(self, id, was, s->run);

	if (frame.present)
		s->result =
			llfree_ok(frame.value, commit(self, s, type, id, was));
	return frame.present;
}

/* Begin a search at the last tree of the slot, or else away from other slots. */
static size_t search_start(const llfree_t *self, search_t *s)
{
	if (!s->local)
		return 0;

	slot_t slot = atom_load(&s->local->slot);

	if (slot_is_present(slot))
		return slot_tree(slot).value;
	return (size_t)(s->local - self->upper.locals) * upper_trees(self) /
	       upper_slots(self);
}

static tree_id_t tree_after(const llfree_t *self, size_t start, size_t i)
{
	size_t at = start + i;

	return tree_id(at < upper_trees(self) ? at : at - upper_trees(self));
}

/*
 * Compare the trees of a window by the policy's priority and allocate from the
 * best one; of equal ones, from the nearest. A tree with the highest priority
 * is used at once. Beyond the window, the first tree that fits is the best.
 */
static bool search_best(const llfree_t *self, search_t *s, filter_t filter,
			size_t start)
{
	tree_id_optional_t best = tree_id_none();
	uint8_t best_priority = 0;

	for (size_t i = 0; i < upper_trees(self); i++) {
		tree_id_t id = tree_after(self, start, i);
		llfree_policy_t policy;
		tree_t tree;

		if (best.present && i % SEARCH_WINDOW == 0)
			break;
		tree = atom_load_acquire(upper_tree(self, id));
		if (tree_is_reserved(tree) || tree_free(tree) < s->run.frames)
			continue;
		policy = policy_of(self, s->class, tree);
		if (policy.type != filter.type)
			continue;
		if (policy.priority == UINT8_MAX) {
			if (take_tree(self, s, filter, id))
				return true;
		} else if (!best.present || policy.priority > best_priority) {
			best = tree_id_some(id);
			best_priority = policy.priority;
		}
	}
	return best.present && take_tree(self, s, filter, best.value);
}

static bool search_all(const llfree_t *self, search_t *s, filter_t filter,
		       size_t start)
{
	for (size_t i = 0; i < upper_trees(self); i++) {
		tree_id_t id = tree_after(self, start, i);
		tree_t tree = atom_load_acquire(upper_tree(self, id));
		uint8_t type;

		if (claim(self, s, filter, &tree, &type) &&
		    take_tree(self, s, filter, id))
			return true;
	}
	return false;
}

/* By type, the best tree, then any one; only then the reserved trees. */
static bool search(const llfree_t *self, search_t *s)
{
	size_t start = search_start(self, s);

	for (size_t i = 0; i < POLICY_TYPES; i++) {
		filter_t filter = { .type = policy_types[i] };

		if (search_best(self, s, filter, start) ||
		    search_all(self, s, filter, start))
			return true;
	}
	for (size_t i = 0; i < POLICY_TYPES; i++) {
		filter_t filter = { .reserved = true, .type = policy_types[i] };

		if (search_all(self, s, filter, start))
			return true;
	}
	return false;
}

llfree_result_t upper_get(const llfree_t *self, run_t run, uint8_t class,
			  local_t *local)
{
	search_t s = { .run = run, .class = class, .local = local };
	const filter_t any = { .any = true };
	uint64_t stamp;

	if (search(self, &s))
		return s.result;
	for (unsigned i = 0; i < ALL_PASSES; i++) {
		stamp = upper_stamp(self);
		if (search_all(self, &s, any, 0))
			return s.result;
		if (stamp == upper_stamp(self))
			break;
	}
	return llfree_err(LLFREE_ERR_MEMORY);
}

/* ------------------------------------------------------------------------ */
/* A place that is named                                                     */

bool upper_may_get_at(const llfree_t *self, size_t frames, uint8_t class,
		      frame_id_t first)
{
	tree_t tree = atom_load(upper_tree(self, tree_of_frame(first)));

	return tree_free(tree) >= frames &&
	       policy_of(self, class, tree).type != LLFREE_POLICY_INVALID;
}

llfree_result_t upper_get_at(const llfree_t *self, size_t frames, uint8_t class,
			     frame_id_t first)
{
	tree_id_t id = tree_of_frame(first);
	tree_t was, next;

	if (!atom_update(upper_tree(self, id), was, next,
			 policy_of(self, class, next).type !=
					 LLFREE_POLICY_INVALID &&
				 tree_claim(&next, frames)))
		return llfree_err(LLFREE_ERR_MEMORY);

	found_t found = lower_get_at(&self->lower, first, frames);

	if (found.ok)
		return llfree_ok(first, tree_class(was));
	upper_unclaim(self, id, frames - found.already_freed);
	return llfree_err(LLFREE_ERR_MEMORY);
}

bool upper_commit_at(const llfree_t *self, uint8_t class, const local_t *local,
		     tree_id_t id)
{
	tree_t tree = atom_load(upper_tree(self, id));

	if (policy_of(self, class, tree).type != LLFREE_POLICY_DEMOTE ||
	    !set_class(self, id, tree_class(tree), class))
		return false;
	atom_add(&counters(self, local)->demotions, 1);
	return true;
}
