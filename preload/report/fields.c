/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/report/fields.h"

_Static_assert(sizeof(size_t) == sizeof(uint64_t), "members are read as one");

/* Gets that found a frame in the tree that their slot had reserved. */
static uint64_t slot_hits(const struct report *report)
{
	const llfree_counters_t *c = &report->arena.counters;
	uint64_t others = c->reservations + c->steals + c->reserved_steals;
	uint64_t gets = report->counters[STAT_GET];

	return gets > others ? gets - others : 0;
}

const struct field_group_names field_groups[FIELD_GROUPS] = {
	[FIELD_MMAP] = { "calls", "mmap", "", { "", "" } },
	[FIELD_MUNMAP] = { "calls", "munmap", "", { "", "" } },
	[FIELD_MREMAP] = { "calls", "mremap", "", { "", "" } },
	[FIELD_BRK] = { "calls", "brk", "", { "", "" } },
	[FIELD_CALLS] = { "", "calls", "Other calls", { "calls", "bytes" } },
	[FIELD_MEMORY] = { "", "memory", "Arena memory", { "bytes", "" } },
	[FIELD_FRAGMENTATION] = { "",
				  "fragmentation",
				  "Mapped 2 MiB pages, by free part",
				  { "number", "" } },
	[FIELD_ALLOCATOR] = { "", "allocator", "Allocator", { "number", "" } },
	[FIELD_ALTERED] = { "", "altered", "Altered pages", { "number", "" } },
	[FIELD_BALANCE] = { "", "balance", "", { "", "" } },
};

#define LAST FIELD_LAST
#define COUNTER(name) .offset = offsetof(struct report, counters[name])
#define COUNTERS(name) COUNTER(name)
#define MEMBER(name) .offset = offsetof(struct report, name)
#define FUNCTION(name) .function = name
#define FIELD(group, place, key, words, unit, from) \
	{ FIELD_##group, place, key, key "_bytes", words, UNIT_##unit, from },

static const struct field fields[] = {
#include "preload/report/fields.def"
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

const struct field *field_next(enum field_group group, const struct field *last)
{
	const struct field *field = last ? last + 1 : fields;

	while (field < fields + FIELDS && field->group != group)
		field++;
	return field < fields + FIELDS ? field : NULL;
}

static uint64_t value_at(const struct report *report, size_t offset)
{
	return *(const uint64_t *)(const void *)((const char *)report + offset);
}

uint64_t field_value(const struct field *field, const struct report *report)
{
	return field->function ? field->function(report)
			       : value_at(report, field->offset);
}

uint64_t field_bytes(const struct field *field, const struct report *report)
{
	return value_at(report, field->offset + sizeof(uint64_t));
}
