/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "lib/upper.h"

/* After so many trees the best one is taken, if there was one. */
#define SEARCH_WINDOW 32u

/* Tried in this order: the least harm first. */
static const uint8_t policy_types[] = { LLFREE_POLICY_MATCH,
					LLFREE_POLICY_STEAL,
					LLFREE_POLICY_DEMOTE };
#define POLICY_TYPES (sizeof(policy_types) / sizeof(policy_types[0]))

/* A request on its way through the trees. */
typedef struct {
	want_t want;
	uint8_t class;
	local_t *local; /* the own slot, or null */
} ask_t;

/* Which trees a pass of the search may use. */
typedef struct {
	bool reserved; /* those of slots, instead of those of none */
	bool any; /* all, in any way that the policy allows */
	uint8_t type; /* else in this way */
} pass_t;

uint64_t upper_stamp(const llfree_t *self)
{
	uint64_t stamp = 0;

	for (size_t i = 0; i < upper_trees(self); i++)
		stamp = (stamp ^ atom_load_acquire(&self->trees[i].word)) *
				UINT64_C(0x9e3779b97f4a7c15) +
			1;
	return stamp;
}

/* The line on which a request counts. */
static local_t *counters(const llfree_t *self, const local_t *local)
{
	return &self->locals[local ? (size_t)(local - self->locals)
				   : upper_slots(self)];
}

/* ------------------------------------------------------------------------ */
/* Reservations                                                              */

static void unreserve(const llfree_t *self, slot_t slot)
{
	tree_t was, next;

	if (!slot_is_present(slot) || slot_is_guest(slot))
		return;
	(void)atom_update(
		upper_tree(self, slot_tree(slot)), was, next,
		tree_unreserve(&next,
			       lower_tree_frames(&self->lower, slot_tree(slot)),
			       self->default_class));
}

void upper_drain(const llfree_t *self, local_t *local)
{
	unreserve(self, local_replace(local, 0));
}

/* The class becomes another, if it is still what the policy was asked about. */
static bool set_class(const llfree_t *self, tree_id_t id, uint8_t from,
		      uint8_t to)
{
	tree_t was, next;

	return atom_update(upper_tree(self, id), was, next,
			   !tree_is_reserved(next) && !tree_is_offline(next) &&
				   tree_class(next) == from &&
				   tree_set_class(&next, to));
}

/* The tree in which a request has just succeeded, for the slot. */
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

/* Goes on in the tree of another slot, as long as it has something. */
static void visit(const llfree_t *self, local_t *local, tree_id_t id)
{
	unreserve(self, local_replace(local, slot_of(id) | SLOT_GUEST));
}

/* Whatever slot has this tree loses it. */
static void evict(const llfree_t *self, tree_id_t id)
{
	for (size_t i = 0; i < upper_slots(self); i++)
		if (local_lose(&self->locals[i], id))
			unreserve(self, slot_of(id));
}

/* A tree that a slot has, found by a request for which nothing else was left. */
static void settle_reserved(const llfree_t *self, const ask_t *ask,
			    uint8_t type, tree_id_t id)
{
	if (type == LLFREE_POLICY_DEMOTE)
		evict(self, id);
	else if (type == LLFREE_POLICY_MATCH && ask->local &&
		 !slot_holds(atom_load(&ask->local->slot), id))
		visit(self, ask->local, id);
	atom_add(&counters(self, ask->local)->raids, 1);
}

/*
 * What becomes of a tree after a request succeeded in it, when it was as it
 * `was`; its class then.
 */
static uint8_t settle(const llfree_t *self, const ask_t *ask, uint8_t type,
		      tree_id_t id, tree_t was)
{
	local_t *count = counters(self, ask->local);
	bool demotes = type == LLFREE_POLICY_DEMOTE, taken = false;
	uint8_t class = tree_class(was);

	if (tree_is_reserved(was))
		settle_reserved(self, ask, type, id);
	if (type == LLFREE_POLICY_STEAL)
		atom_add(&count->steals, 1);
	else if (ask->local && (demotes || !tree_is_reserved(was)))
		taken = reserve(self, ask->local, id, class, ask->class);
	else if (demotes)
		taken = set_class(self, id, class, ask->class);
	if (demotes && taken)
		atom_add(&count->demotions, 1);
	return taken ? ask->class : class;
}

/* ------------------------------------------------------------------------ */
/* Search                                                                    */

static llfree_policy_t policy_of(const llfree_t *self, uint8_t class,
				 tree_t tree)
{
	return self->policy(class, tree_class(tree), tree_free(tree));
}

/* A claim, if this pass may use the tree as it is now, and how. */
static bool claim(const llfree_t *self, const ask_t *ask, pass_t pass,
		  tree_t *tree, uint8_t *type)
{
	if (tree_free(*tree) < ask->want.frames ||
	    (!pass.any && tree_is_reserved(*tree) != pass.reserved))
		return false;
	*type = policy_of(self, ask->class, *tree).type;
	if (pass.any ? *type == LLFREE_POLICY_INVALID : *type != pass.type)
		return false;
	return tree_claim(tree, ask->want.frames);
}

/* One tree, if the lower allocator seems to have what is wanted there. */
static bool take_tree(const llfree_t *self, const ask_t *ask, pass_t pass,
		      tree_id_t id, llfree_result_t *result)
{
	tree_t was, next;
	uint8_t type;

	if (!lower_may_fit(&self->lower, id, ask->want) ||
	    !atom_update(upper_tree(self, id), was, next,
			 claim(self, ask, pass, &next, &type)))
		return false;

	frame_id_optional_t frame = upper_fulfil(self, id, was, ask->want);

	if (frame.present)
		*result = llfree_ok(frame.value,
				    settle(self, ask, type, id, was));
	return frame.present;
}

/* Where a search begins: near the last tree, or far from the other slots. */
static size_t search_start(const llfree_t *self, const ask_t *ask)
{
	if (!ask->local)
		return 0;

	slot_t slot = atom_load(&ask->local->slot);

	if (slot_is_present(slot))
		return slot_tree(slot).value;
	return (size_t)(ask->local - self->locals) * upper_trees(self) /
	       upper_slots(self);
}

static tree_id_t tree_after(const llfree_t *self, size_t start, size_t i)
{
	size_t at = start + i;

	return tree_id(at < upper_trees(self) ? at : at - upper_trees(self));
}

/*
 * The best tree for this use, by the policy's priority; the nearest of equals.
 * True when one was found that is to be taken at once, and it served.
 */
static bool search_best(const llfree_t *self, const ask_t *ask, pass_t pass,
			size_t start, llfree_result_t *result)
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
		if (tree_is_reserved(tree) ||
		    tree_free(tree) < ask->want.frames)
			continue;
		policy = policy_of(self, ask->class, tree);
		if (policy.type != pass.type)
			continue;
		if (policy.priority == UINT8_MAX) {
			if (take_tree(self, ask, pass, id, result))
				return true;
		} else if (!best.present || policy.priority > best_priority) {
			best = tree_id_some(id);
			best_priority = policy.priority;
		}
	}
	return best.present && take_tree(self, ask, pass, best.value, result);
}

static bool search_all(const llfree_t *self, const ask_t *ask, pass_t pass,
		       size_t start, llfree_result_t *result)
{
	for (size_t i = 0; i < upper_trees(self); i++) {
		tree_id_t id = tree_after(self, start, i);
		tree_t tree = atom_load_acquire(upper_tree(self, id));
		uint8_t type;

		if (claim(self, ask, pass, &tree, &type) &&
		    take_tree(self, ask, pass, id, result))
			return true;
	}
	return false;
}

/* By type: the best tree, or any, and only then what slots have. */
static bool search(const llfree_t *self, const ask_t *ask,
		   llfree_result_t *result)
{
	size_t start = search_start(self, ask);

	for (size_t i = 0; i < POLICY_TYPES; i++) {
		pass_t pass = { .type = policy_types[i] };

		if (search_best(self, ask, pass, start, result) ||
		    search_all(self, ask, pass, start, result))
			return true;
	}
	for (size_t i = 0; i < POLICY_TYPES; i++) {
		pass_t pass = { .reserved = true, .type = policy_types[i] };

		if (search_all(self, ask, pass, start, result))
			return true;
	}
	return false;
}

llfree_result_t upper_get(const llfree_t *self, want_t want, uint8_t class,
			  local_t *local)
{
	ask_t ask = { want, class, local };
	llfree_result_t result;
	const pass_t any = { .any = true };
	uint64_t stamp;

	if (search(self, &ask, &result))
		return result;
	for (unsigned i = 0; i < UPPER_AGAIN; i++) {
		stamp = upper_stamp(self);
		if (search_all(self, &ask, any, 0, &result))
			return result;
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
	upper_unclaim(self, id, frames - found.lost);
	return llfree_err(LLFREE_ERR_MEMORY);
}

bool upper_settle_at(const llfree_t *self, uint8_t class, const local_t *local,
		     tree_id_t id)
{
	tree_t tree = atom_load(upper_tree(self, id));

	if (policy_of(self, class, tree).type != LLFREE_POLICY_DEMOTE ||
	    !set_class(self, id, tree_class(tree), class))
		return false;
	atom_add(&counters(self, local)->demotions, 1);
	return true;
}
