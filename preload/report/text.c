/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/report/fields.h"

#include "preload/hook/hook.h"
#include "preload/report/profile.h"

/* Columns: where right-aligned values end. */
#define FIRST 44
#define SECOND 58
#define SHARE 68

static void line(struct print *out)
{
	print_char(out, '\n');
}

static void heading(struct print *out, const char *text, const char *first,
		    const char *second)
{
	line(out);
	print_text(out, text);
	print_text_at(out, FIRST, first);
	if (second[0])
		print_text_at(out, SECOND, second);
	line(out);
}

static void name(struct print *out, const char *words)
{
	print_text(out, "  ");
	print_text(out, words);
}

static void calls_and_bytes(struct print *out, uint64_t calls, uint64_t bytes)
{
	print_u64_at(out, FIRST, calls);
	print_bytes_at(out, SECOND, bytes);
}

static void number(struct print *out, const char *words, uint64_t n)
{
	name(out, words);
	print_u64_at(out, FIRST, n);
	line(out);
}

/* ------------------------------------------------------------------------ */
/* From the table                                                            */

static void row(struct print *out, const struct field *field,
		const struct report *r)
{
	uint64_t value = field_value(field, r);

	if (!value &&
	    (field->unit == UNIT_CALLS || field->unit == UNIT_FRAMES_IF_ANY))
		return;
	name(out, field->words);
	if (field->unit == UNIT_COUNT)
		print_u64_at(out, FIRST, value);
	else if (field->unit == UNIT_CALLS)
		calls_and_bytes(out, value, field_bytes(field, r));
	else
		print_bytes_at(out, FIRST, value * LLFREE_FRAME_SIZE);
	line(out);
}

static void rows(struct print *out, const struct report *r,
		 enum field_group group)
{
	for (const struct field *f = field_next(group, NULL); f;
	     f = field_next(group, f))
		if (f->words[0])
			row(out, f, r);
}

static bool any(const struct report *r, enum field_group group)
{
	const struct field *f = field_next(group, NULL);

	while (f && !field_value(f, r))
		f = field_next(group, f);
	return f;
}

static void group_heading(struct print *out, enum field_group group)
{
	const struct field_group_names *names = &field_groups[group];

	heading(out, names->heading, names->columns[0], names->columns[1]);
}

static void section(struct print *out, const struct report *r,
		    enum field_group group)
{
	group_heading(out, group);
	rows(out, r, group);
}

/* ------------------------------------------------------------------------ */

static void title(struct print *out, const struct report *r)
{
	const struct hook_result *hooks = hook_result();

	print_text(out, "\n---- llfree: ");
	print_text(out, r->settings->program);
	print_text(out, ", process ");
	print_i64(out, r->pid);
	print_text(out, r->running ? ", running, by " : ", ended by ");
	print_text(out, r->trigger);
	print_text(out, " ----\n");
	if (!hooks->libc) {
		print_text(out, "Calls inside libc were not seen: ");
		print_text(out, hooks->why_not);
		line(out);
	}
	if (arena_why_off()[0]) {
		print_text(out, "Nothing was served: ");
		print_text(out, arena_why_off());
		line(out);
	}
	if (r->background[0]) {
		print_text(out, "Background thread: ");
		print_text(out, r->background);
		line(out);
	}
}

static void reasons(struct print *out, const struct report *r)
{
	for (unsigned why = REASON_NONE + 1; why < REASON_COUNT; why++) {
		uint64_t calls = r->counters[STAT_PASSED + why];

		if (!calls)
			continue;
		print_text(out, "  ");
		name(out, reason_text((enum reason)why));
		calls_and_bytes(out, calls,
				r->counters[STAT_PASSED_BYTES + why]);
		line(out);
	}
}

static uint64_t servable_but_passed(const struct report *r)
{
	uint64_t bytes = 0;

	for (unsigned why = REASON_NONE + 1; why < REASON_COUNT; why++)
		if (reason_is_servable((enum reason)why))
			bytes += r->counters[STAT_PASSED_BYTES + why];
	return bytes;
}

/* The calls that ask for memory, or their bytes. */
static uint64_t sum(const struct report *r, enum counter mmap,
		    enum counter mremap, enum counter brk)
{
	return r->counters[mmap] + r->counters[mremap] + r->counters[brk];
}

static void requests(struct print *out, const struct report *r)
{
	uint64_t served = sum(r, STAT_MMAP_SERVED_BYTES,
			      STAT_MREMAP_SERVED_BYTES, STAT_BRK_SERVED_BYTES);
	uint64_t servable = served + servable_but_passed(r);

	heading(out, "Memory requested", "calls", "bytes");
	name(out, "served from the arena");
	calls_and_bytes(out,
			sum(r, STAT_MMAP_SERVED, STAT_MREMAP_SERVED,
			    STAT_BRK_SERVED),
			served);
	if (servable) {
		print_percent_at(out, SHARE, served, servable);
		print_text(out, " of servable memory");
	}
	line(out);
	name(out, "passed to the kernel");
	calls_and_bytes(out,
			sum(r, STAT_MMAP_PASSED, STAT_MREMAP_PASSED,
			    STAT_BRK_PASSED),
			sum(r, STAT_MMAP_PASSED_BYTES, STAT_MREMAP_PASSED_BYTES,
			    STAT_BRK_PASSED_BYTES));
	line(out);
	reasons(out, r);
}

static void sizes(struct print *out, const struct report *r)
{
	if (!r->counters[STAT_MMAP_SERVED])
		return;
	heading(out, "Served regions of up to", "calls", "");
	for (unsigned size = 0; size < STATS_SIZES; size++) {
		uint64_t calls = r->counters[STAT_SIZE + size];

		if (!calls)
			continue;
		print_text(out, "  ");
		print_bytes(out, (uint64_t)LLFREE_FRAME_SIZE << size);
		print_u64_at(out, FIRST, calls);
		line(out);
	}
}

static void other_calls(struct print *out, const struct report *r)
{
	group_heading(out, FIELD_CALLS);
	for (enum field_group g = FIELD_MMAP; g <= FIELD_CALLS; g++)
		rows(out, r, g);
}

/* Unmapped huge frames are left out: all of them are free. */
static void fragmentation(struct print *out, const struct report *r)
{
	const struct arena_snapshot *f = &r->arena;
	static const char *const parts[] = {
		"none",	     "up to 1/8", "up to 1/4",
		"up to 3/8", "up to 1/2", "up to 5/8",
		"up to 3/4", "up to 7/8", "more than 7/8",
	};
	size_t mapped = f->online / LLFREE_HUGE_SIZE;
	size_t total = f->frames / LLFREE_HUGE_SIZE;

	group_heading(out, FIELD_FRAGMENTATION);
	for (size_t i = 0; i < 9; i++) {
		size_t unmapped = i == 8 ? total - mapped : 0;

		if (f->per_huge[i] > unmapped)
			number(out, parts[i], f->per_huge[i] - unmapped);
	}
	rows(out, r, FIELD_FRAGMENTATION);
}

static void balance(struct print *out, const struct report *r)
{
	print_text(out, r->balanced ? "\nThe counters agree."
				    : "\nThe counters do not agree:");
	for (const struct field *f = field_next(FIELD_BALANCE, NULL);
	     f && !r->balanced; f = field_next(FIELD_BALANCE, f)) {
		print_char(out, ' ');
		print_text(out, f->words);
		print_char(out, ' ');
		print_u64(out, field_value(f, r));
	}
	line(out);
}

void report_text(struct print *out, const struct report *r)
{
	title(out, r);
	if (!r->any) {
		print_text(out, "No memory was requested.\n");
		return;
	}
	requests(out, r);
	sizes(out, r);
	other_calls(out, r);
	if (r->arena.online) {
		section(out, r, FIELD_MEMORY);
		fragmentation(out, r);
		section(out, r, FIELD_ALLOCATOR);
		if (any(r, FIELD_ALTERED))
			section(out, r, FIELD_ALTERED);
		balance(out, r);
	}
	profile_text(out, r->settings->profile_top);
}
