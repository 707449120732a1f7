/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "lib/upper.h"

/* How many trees are looked at for a better one once one was found. */
#define SEARCH_WINDOW 1024u

/* Tried in this order: the least harm first. */
static const uint8_t policy_types[] = { LLFREE_POLICY_MATCH,
					LLFREE_POLICY_STEAL,
					LLFREE_POLICY_DEMOTE };
#define POLICY_TYPES (sizeof(policy_types) / sizeof(policy_types[0]))

/* In the end any use will do, also if the class of a tree just changed. */
#define POLICY_ANY UINT8_MAX

static bool allows(uint8_t wanted, uint8_t type)
{
	return type == wanted ||
	       (wanted == POLICY_ANY && type != LLFREE_POLICY_INVALID);
}

/* A request on its way through the trees. */
typedef struct {
	want_t want;
	uint8_t class;
	local_t *local; /* the own slot, or null */
} ask_t;

static uint64_t stamp_add(uint64_t stamp, uint64_t word)
{
	return (stamp ^ word) * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

static uint64_t slots_stamp(const llfree_t *self, uint64_t stamp)
{
	for (size_t i = 0; i < upper_slots(self); i++)
		stamp = stamp_add(stamp,
				  atom_load_acquire(&self->locals[i].slot));
	return stamp;
}

uint64_t upper_stamp(const llfree_t *self)
{
	uint64_t stamp = 0;

	for (size_t i = 0; i < upper_trees(self); i++)
		stamp = stamp_add(stamp, atom_load_acquire(&self->trees[i]));
	return slots_stamp(self, stamp);
}

uint64_t upper_tree_stamp(const llfree_t *self, tree_id_t tree)
{
	return slots_stamp(self, atom_load_acquire(&self->trees[tree.value]));
}

/* The line on which a request counts. */
static local_t *counters(const llfree_t *self, const local_t *local)
{
	return &self->locals[local ? (size_t)(local - self->locals) :
				     upper_slots(self)];
}

static uint8_t slot_class(const llfree_t *self, const local_t *local)
{
	size_t slot = (size_t)(local - self->locals);
	uint8_t class = 0;

	while (self->first_slot[class + 1] <= slot)
		class++;
	return class;
}

/* ------------------------------------------------------------------------ */
/* Between entries and slots                                                 */

/* A reserved tree goes back to its entry, with what its slot had left. */
static void release(const llfree_t *self, slot_t slot)
{
	tree_id_t tree = slot_tree(slot);
	tree_t was, next;

	if (!slot_is_present(slot))
		return;
	(void)atom_update(&self->trees[tree.value], was, next,
			  tree_unreserve(&next, slot_free(slot),
					 lower_tree_frames(&self->lower, tree),
					 self->default_class));
}

void upper_drain(const llfree_t *self, local_t *local)
{
	slot_t was, next;

	(void)atom_update(&local->slot, was, next, slot_empty(&next));
	release(self, was);
}

/* The tree of `at`, in which a request has just succeeded, for the slot. */
static bool reserve(const llfree_t *self, const ask_t *ask, frame_id_t at)
{
	local_t *local = ask->local;
	slot_t slot, slot_next;
	tree_t was, next;

	if (!atom_update(&self->trees[tree_of_frame(at).value], was, next,
			 tree_reserve(&next, ask->class)))
		return false;
	(void)atom_update(&local->slot, slot, slot_next,
			  slot_replace(&slot_next, at, tree_counted(was)));
	release(self, slot);
	atom_add(&local->reservations, 1);
	return true;
}

/* A slot takes what others freed into its tree, if that makes it enough. */
static bool collect(const llfree_t *self, local_t *local, size_t frames)
{
	slot_t slot = atom_load(&local->slot), slot_next;
	tree_id_t tree = slot_tree(slot);
	tree_t was, next;

	if (!slot_is_present(slot) ||
	    !atom_update(&self->trees[tree.value], was, next,
			 tree_is_reserved(next) &&
				 tree_collect(&next, slot_free(slot), frames)))
		return false;
	if (!atom_update(&local->slot, slot, slot_next,
			 slot_give(&slot_next, tree, tree_free(was))))
		upper_give_tree(self, tree, tree_free(was));
	return true;
}

/* A tree takes the class of a request, unless a slot has it. */
static bool set_class(const llfree_t *self, const ask_t *ask, tree_id_t tree)
{
	tree_t was, next;

	return atom_update(&self->trees[tree.value], was, next,
			   !tree_is_reserved(next) &&
				   (tree_set_class(&next, ask->class), true));
}

/* A slot loses its tree to another class. */
static void evict(const llfree_t *self, const ask_t *ask, local_t *local,
		  frame_id_t at)
{
	tree_id_t tree = tree_of_frame(at);
	slot_t was, next;

	if (!atom_update(&local->slot, was, next,
			 slot_holds(next, tree) && slot_empty(&next)))
		return;
	release(self, was);
	(void)set_class(self, ask, tree);
}

/* ------------------------------------------------------------------------ */
/* Unreserved trees                                                          */

static llfree_policy_t policy_of(const llfree_t *self, const ask_t *ask,
				 tree_t tree)
{
	return self->policy(ask->class, tree_class(tree), tree_free(tree));
}

/* A claim, if the policy allows the wanted use of the tree as it is now. */
static bool claim(const llfree_t *self, const ask_t *ask, uint8_t wanted,
		  tree_t *tree, uint8_t *type)
{
	if (tree_is_reserved(*tree) || tree_free(*tree) < ask->want.frames)
		return false;
	*type = policy_of(self, ask, *tree).type;
	return allows(wanted, *type) && tree_claim(tree, ask->want.frames);
}

/* What becomes of a tree after a request succeeded in it; its class then. */
static uint8_t settle(const llfree_t *self, const ask_t *ask, uint8_t type,
		      frame_id_t at, uint8_t class)
{
	local_t *count = counters(self, ask->local);
	bool taken = false;

	if (type == LLFREE_POLICY_STEAL) {
		atom_add(&count->steals, 1);
		return class;
	}
	if (ask->local)
		taken = reserve(self, ask, at);
	else if (type == LLFREE_POLICY_DEMOTE)
		taken = set_class(self, ask, tree_of_frame(at));
	if (type == LLFREE_POLICY_DEMOTE && taken)
		atom_add(&count->demotions, 1);
	return taken ? ask->class : class;
}

static bool take_tree(const llfree_t *self, const ask_t *ask, uint8_t wanted,
		      tree_id_t tree, llfree_result_t *result)
{
	tree_t was, next;
	uint8_t type;

	if (!atom_update(&self->trees[tree.value], was, next,
			 claim(self, ask, wanted, &next, &type)))
		return false;

	found_t found = lower_get(&self->lower, frame_of_tree(tree), ask->want);

	if (!found.ok) {
		upper_give_tree(self, tree, ask->want.frames - found.lost);
		return false;
	}
	*result = llfree_ok(found.first, settle(self, ask, type, found.first,
						tree_class(was)));
	return true;
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

/*
 * The best tree for this type of use, by the policy's priority; the nearest of
 * equals. True when one was found that is to be taken at once and served.
 */
static bool search_best(const llfree_t *self, const ask_t *ask, uint8_t wanted,
			size_t start, llfree_result_t *result)
{
	size_t trees = upper_trees(self);
	tree_id_optional_t best = tree_id_none();
	uint8_t best_priority = 0;

	for (size_t i = 0; i < trees; i++) {
		tree_id_t at = tree_id((start + i) % trees);
		tree_t tree = atom_load(&self->trees[at.value]);

		if (best.present && i % SEARCH_WINDOW == 0)
			break;
		if (tree_is_reserved(tree) ||
		    tree_free(tree) < ask->want.frames)
			continue;

		llfree_policy_t policy = policy_of(self, ask, tree);

		if (policy.type != wanted)
			continue;
		if (policy.priority == UINT8_MAX) {
			if (take_tree(self, ask, wanted, at, result))
				return true;
		} else if (!best.present || policy.priority > best_priority) {
			best = tree_id_some(at);
			best_priority = policy.priority;
		}
	}
	return best.present && take_tree(self, ask, wanted, best.value, result);
}

/* Every tree, when the best did not work out. */
static bool search_all(const llfree_t *self, const ask_t *ask, uint8_t wanted,
		       size_t start, llfree_result_t *result)
{
	size_t trees = upper_trees(self);

	for (size_t i = 0; i < trees; i++) {
		tree_id_t at = tree_id((start + i) % trees);
		tree_t tree = atom_load(&self->trees[at.value]);

		uint8_t type;

		if (claim(self, ask, wanted, &tree, &type) &&
		    lower_may_fit(&self->lower, at, ask->want) &&
		    take_tree(self, ask, wanted, at, result))
			return true;
	}
	return false;
}

/* The likely places first, which may cost a claim that does not work out. */
static bool search(const llfree_t *self, const ask_t *ask,
		   llfree_result_t *result)
{
	size_t start = search_start(self, ask);

	for (size_t i = 0; i < POLICY_TYPES; i++)
		if (search_best(self, ask, policy_types[i], start, result) ||
		    search_all(self, ask, policy_types[i], start, result))
			return true;
	return false;
}

/* ------------------------------------------------------------------------ */
/* Reserved trees                                                            */

/*
 * Claims from a slot or from the entry of its tree, whichever has enough, or
 * from both together.
 */
static bool claim_reserved(const llfree_t *self, local_t *local,
			   tree_id_t tree, size_t frames)
{
	slot_t was, next;
	tree_t entry, entry_next;

	if (atom_update(&self->trees[tree.value], entry, entry_next,
			tree_claim(&entry_next, frames)))
		return true;
	if (slot_free(atom_load(&local->slot)) < frames)
		(void)collect(self, local, frames);
	return atom_update(&local->slot, was, next,
			   slot_holds(next, tree) && slot_claim(&next, frames));
}

/* What the tree of a slot has: with the slot, and freed by others. */
static size_t reserved_free(const llfree_t *self, slot_t slot)
{
	return slot_free(slot) +
	       tree_free(atom_load(&self->trees[slot_tree(slot).value]));
}

static bool raid_slot(const llfree_t *self, const ask_t *ask, uint8_t wanted,
		      local_t *local, llfree_result_t *result)
{
	slot_t slot = atom_load(&local->slot);
	uint8_t class = slot_class(self, local);
	tree_id_t tree = slot_tree(slot);

	if (!slot_is_present(slot) ||
	    reserved_free(self, slot) < ask->want.frames ||
	    self->policy(ask->class, class, reserved_free(self, slot)).type !=
		    wanted ||
	    !lower_may_fit(&self->lower, tree, ask->want) ||
	    !claim_reserved(self, local, tree, ask->want.frames))
		return false;

	found_t found = lower_get(&self->lower, slot_frame(slot), ask->want);

	if (!found.ok) {
		upper_unclaim(self, local, tree, ask->want.frames - found.lost);
		return false;
	}
	if (local != ask->local)
		atom_add(&counters(self, ask->local)->raids, 1);
	if (wanted == LLFREE_POLICY_DEMOTE) {
		evict(self, ask, local, found.first);
		class = settle(self, ask, wanted, found.first, class);
	}
	*result = llfree_ok(found.first, class);
	return true;
}

static bool raid(const llfree_t *self, const ask_t *ask,
		 llfree_result_t *result)
{
	for (size_t i = 0; i < POLICY_TYPES; i++)
		for (size_t slot = 0; slot < upper_slots(self); slot++)
			if (raid_slot(self, ask, policy_types[i],
				      &self->locals[slot], result))
				return true;
	return false;
}

/* ------------------------------------------------------------------------ */
/* The whole way                                                             */

/* Is there more in the own tree than its slot knew of? */
static bool get_collected(const llfree_t *self, const ask_t *ask,
			  llfree_result_t *result)
{
	frame_id_optional_t own;

	if (!ask->local || !collect(self, ask->local, ask->want.frames))
		return false;
	own = upper_get_own(self, ask->local, ask->want);
	*result = llfree_ok(own.value, ask->class);
	return own.present;
}

/* All places, claiming only where the lower allocator seems to have it. */
static bool search_again(const llfree_t *self, const ask_t *ask,
			 llfree_result_t *result)
{
	return search_all(self, ask, POLICY_ANY, 0, result) ||
	       raid(self, ask, result);
}

llfree_result_t upper_get(const llfree_t *self, want_t want, uint8_t class,
			  local_t *local)
{
	ask_t ask = { want, class, local };
	llfree_result_t result;
	uint64_t stamp;

	if (get_collected(self, &ask, &result) || search(self, &ask, &result) ||
	    raid(self, &ask, &result))
		return result;
	do {
		stamp = upper_stamp(self);
		if (search_again(self, &ask, &result))
			return result;
	} while (stamp != upper_stamp(self));
	return llfree_err(LLFREE_ERR_MEMORY);
}

/* ------------------------------------------------------------------------ */
/* A place that is named                                                     */

/* The slot that has a tree, the own one first. */
static local_t *holder(const llfree_t *self, local_t *own, tree_id_t tree)
{
	if (own && slot_holds(atom_load(&own->slot), tree))
		return own;
	for (size_t i = 0; i < upper_slots(self); i++)
		if (slot_holds(atom_load(&self->locals[i].slot), tree))
			return &self->locals[i];
	return NULL;
}

/* Where a claim for a place was found. */
typedef struct {
	local_t *from; /* null: the entry */
	uint8_t class;
	uint8_t type;
} place_t;

/* Claims wherever the tree's frames are counted. */
static bool claim_place(const llfree_t *self, const ask_t *ask, tree_id_t tree,
			place_t *place)
{
	tree_t was, next;
	local_t *local;

	*place = (place_t){ .type = LLFREE_POLICY_INVALID };
	if (atom_update(&self->trees[tree.value], was, next,
			(place->type = policy_of(self, ask, next).type) !=
					LLFREE_POLICY_INVALID &&
				tree_claim(&next, ask->want.frames))) {
		place->class = tree_class(was);
		return true;
	}
	local = tree_is_reserved(was) ? holder(self, ask->local, tree) : NULL;
	if (!local)
		return false;
	place->from = local;
	place->class = slot_class(self, local);
	place->type = self->policy(ask->class, place->class,
				   reserved_free(self, atom_load(&local->slot)))
			      .type;
	return place->type != LLFREE_POLICY_INVALID &&
	       claim_reserved(self, local, tree, ask->want.frames);
}

bool upper_may_get_at(const llfree_t *self, size_t frames, uint8_t class,
		      frame_id_t first)
{
	tree_t tree = atom_load(&self->trees[tree_of_frame(first).value]);
	local_t *local = tree_is_reserved(tree) ?
				 holder(self, NULL, tree_of_frame(first)) :
				 NULL;
	size_t free = local ? reserved_free(self, atom_load(&local->slot)) :
			      tree_free(tree);

	return free >= frames &&
	       self->policy(class, tree_class(tree), free).type !=
		       LLFREE_POLICY_INVALID;
}

/* A place taken from a tree of another class may demote the tree. */
static uint8_t settle_place(const llfree_t *self, const ask_t *ask,
			    tree_id_t tree, place_t place)
{
	if (place.type != LLFREE_POLICY_DEMOTE ||
	    !set_class(self, ask, tree))
		return place.class;
	atom_add(&counters(self, ask->local)->demotions, 1);
	return ask->class;
}

llfree_result_t upper_get_at(const llfree_t *self, want_t want, uint8_t class,
			     local_t *local, frame_id_t first)
{
	ask_t ask = { want, class, local };
	tree_id_t tree = tree_of_frame(first);
	place_t place;
	uint64_t stamp;

	do {
		stamp = upper_tree_stamp(self, tree);
		if (!claim_place(self, &ask, tree, &place))
			continue;

		found_t found = lower_get_at(&self->lower, first, want.frames);

		if (found.ok)
			return llfree_ok(first, settle_place(self, &ask, tree,
							     place));
		upper_unclaim(self, place.from, tree, want.frames - found.lost);
		break;
	} while (stamp != upper_tree_stamp(self, tree));
	return llfree_err(LLFREE_ERR_MEMORY);
}
