/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Statistics, printing and the check of all invariants. All of it only reads.
 */
#include "lib/upper.h"

/* ------------------------------------------------------------------------ */
/* Exact statistics                                                          */

static tree_t tree_at(const llfree_t *self, tree_id_t tree)
{
	return atom_load(upper_tree(self, tree));
}

static ll_stats_t huge_stats(const llfree_t *self, huge_id_t huge)
{
	size_t free = lower_free_in_huge(&self->lower, huge);

	return (ll_stats_t){ .free_frames = free,
			     .free_huge = free == LLFREE_HUGE_SIZE };
}

static ll_stats_t tree_stats(const llfree_t *self, tree_id_t tree)
{
	huge_id_t huge = huge_of_frame(frame_of_tree(tree));
	ll_stats_t stats = { 0 };

	if (tree_is_offline(tree_at(self, tree)))
		return stats;
	for (size_t i = 0; i < lower_tree_huge(&self->lower, tree); i++) {
		ll_stats_t one = huge_stats(self, huge_id(huge.value + i));

		stats.free_frames += one.free_frames;
		stats.free_huge += one.free_huge;
	}
	stats.free_trees = stats.free_frames ==
			   lower_tree_frames(&self->lower, tree);
	return stats;
}

ll_stats_t llfree_stats(const llfree_t *self)
{
	ll_stats_t stats = { 0 };

	for (size_t i = 0; i < upper_trees(self); i++) {
		ll_stats_t one = tree_stats(self, tree_id(i));

		stats.free_frames += one.free_frames;
		stats.free_huge += one.free_huge;
		stats.free_trees += one.free_trees;
	}
	return stats;
}

ll_stats_t llfree_stats_at(const llfree_t *self, frame_id_t frame, size_t order)
{
	tree_id_t tree = tree_of_frame(frame);

	if (frame.value >= self->lower.frames ||
	    tree_is_offline(tree_at(self, tree)))
		return (ll_stats_t){ 0 };
	if (order == 0)
		return (ll_stats_t){
			.free_frames = lower_is_free(&self->lower, frame),
		};
	if (order == LLFREE_TREE_ORDER)
		return tree_stats(self, tree);
	if (order == LLFREE_HUGE_ORDER)
		return huge_stats(self, huge_of_frame(frame));
	return (ll_stats_t){ 0 };
}

/* ------------------------------------------------------------------------ */
/* Fast statistics                                                           */

static void add_tree(ll_tree_stats_t *stats, uint8_t class, size_t free,
		     size_t managed)
{
	stats->free_frames += free;
	stats->free_trees += free == managed;
	stats->classes[class].free_frames += free;
	stats->classes[class].alloc_frames += managed - free;
}

ll_tree_stats_t llfree_tree_stats(const llfree_t *self)
{
	ll_tree_stats_t stats = { 0 };

	for (size_t i = 0; i < upper_trees(self); i++) {
		tree_t tree = tree_at(self, tree_id(i));

		add_tree(&stats, tree_class(tree), tree_free(tree),
			 lower_tree_frames(&self->lower, tree_id(i)));
	}
	return stats;
}

llfree_counters_t llfree_counters(const llfree_t *self)
{
	llfree_counters_t sum = { .retries = atom_retries() };

	for (size_t i = 0; i <= upper_slots(self); i++) {
		const local_t *local = &self->upper.locals[i];

		sum.reservations += atom_load(&local->reservations);
		sum.steals += atom_load(&local->steals);
		sum.demotions += atom_load(&local->demotions);
		sum.reserved_steals += atom_load(&local->reserved_steals);
	}
	return sum;
}

/* ------------------------------------------------------------------------ */
/* Text                                                                      */

/* One line of text, built without libc. */
typedef struct {
	char text[128];
	size_t length;
} line_t;

static void line_text(line_t *line, const char *text)
{
	while (*text && line->length < sizeof(line->text) - 1)
		line->text[line->length++] = *text++;
	line->text[line->length] = '\0';
}

static void line_number(line_t *line, const char *name, uint64_t number)
{
	char digits[21];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	line_text(line, name);
	line_text(line, &digits[at]);
}

static line_t summary(const llfree_t *self)
{
	ll_stats_t stats = llfree_stats(self);
	line_t line = { .length = 0 };

	line_number(&line, "llfree: frames ", self->lower.frames);
	line_number(&line, " free ", stats.free_frames);
	line_number(&line, " huge ", stats.free_huge);
	line_number(&line, " trees ", stats.free_trees);
	line_text(&line, "\n");
	return line;
}

void llfree_print(const llfree_t *self)
{
	line_t line = summary(self);

	llfree_log(line.text);
}

static line_t tree_line(const llfree_t *self, tree_id_t id)
{
	tree_t tree = tree_at(self, id);
	line_t line = { .length = 0 };

	line_number(&line, "tree ", id.value);
	line_number(&line, " class ", tree_class(tree));
	line_number(&line, " counted ", tree_counted(tree));
	line_number(&line, " at ", tree_hint(tree));
	line_number(&line, " free ", lower_free_in_tree(&self->lower, id));
	line_text(&line, tree_is_reserved(tree) ? " reserved" : "");
	line_text(&line, tree_is_offline(tree) ? " offline\n" : "\n");
	return line;
}

static line_t slot_line(const llfree_t *self, size_t i)
{
	slot_t slot = atom_load(&self->upper.locals[i].slot);
	line_t line = { .length = 0 };

	line_number(&line, "slot ", i);
	if (slot_is_present(slot))
		line_number(&line, " tree ", slot_tree(slot).value);
	line_text(&line, slot_is_borrowed(slot) ? " borrowed" : "");
	line_text(&line, "\n");
	return line;
}

void(llfree_print_debug)(const llfree_t *self, llfree_writer_t writer,
			 void *arg)
{
	line_t line = summary(self);

	writer(arg, line.text);
	for (size_t i = 0; i < upper_trees(self); i++) {
		line = tree_line(self, tree_id(i));
		writer(arg, line.text);
	}
	for (size_t i = 0; i < upper_slots(self); i++) {
		line = slot_line(self, i);
		writer(arg, line.text);
	}
}

/* A writer that may change the text gets a copy of the line. */
typedef struct {
	llfree_mutable_writer_t writer;
	void *arg;
} mutable_t;

static void write_mutable(void *arg, const char *text)
{
	const mutable_t *mutable = arg;
	line_t line = { .length = 0 };

	line_text(&line, text);
	mutable->writer(mutable->arg, line.text);
}

void llfree_print_debug_mutable(const llfree_t *self,
				llfree_mutable_writer_t writer, void *arg)
{
	mutable_t mutable = { writer, arg };

	(llfree_print_debug)(self, write_mutable, &mutable);
}

/* ------------------------------------------------------------------------ */
/* Invariants                                                                */

static size_t holders(const llfree_t *self, tree_id_t tree)
{
	size_t count = 0;

	for (size_t i = 0; i < upper_slots(self); i++)
		count += slot_holds(atom_load(&self->upper.locals[i].slot),
				    tree);
	return count;
}

static const char *tree_broken(const llfree_t *self, tree_id_t id)
{
	tree_t tree = tree_at(self, id);

	if (holders(self, id) != tree_is_reserved(tree))
		return "a tree is reserved by not exactly the slots that have "
		       "it";
	if (tree_is_reserved(tree) && tree_is_offline(tree))
		return "an offline tree is reserved";
	if (!upper_has_class(self, tree_class(tree)))
		return "a tree has a class that is not configured";
	if (tree_counted(tree) != lower_count_in_tree(&self->lower, id))
		return "a tree's count is not the sum of its children's";
	return NULL;
}

static const char *slot_broken(const llfree_t *self, size_t i, uint8_t class)
{
	slot_t slot = atom_load(&self->upper.locals[i].slot);

	if (!slot_is_present(slot) || slot_is_borrowed(slot))
		return NULL;
	if (slot_tree(slot).value >= upper_trees(self))
		return "a slot has a tree past the end";
	if (tree_class(tree_at(self, slot_tree(slot))) != class)
		return "a slot has a tree of another class";
	return NULL;
}

static const char *upper_broken(const llfree_t *self)
{
	const char *broken = NULL;

	for (size_t i = 0; i < upper_trees(self) && !broken; i++)
		broken = tree_broken(self, tree_id(i));
	for (uint8_t class = 0; class < LLFREE_MAX_CLASSES; class ++)
		for (size_t i = self->upper.first_slot[class];
		     i < self->upper.first_slot[class + 1] && !broken; i++)
			broken = slot_broken(self, i, class);
	return broken;
}

void llfree_validate(const llfree_t *self)
{
	const char *broken = lower_broken(&self->lower);

	if (!broken)
		broken = upper_broken(self);
	if (broken)
		llfree_panic(broken);
}
