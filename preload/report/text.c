/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/report/data.h"

#include "preload/hook/hook.h"
#include "preload/report/profile.h"
#include "preload/report/stats.h"

/* Columns: where right-aligned values end. */
#define CALLS 44
#define BYTES 58
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
	print_text_at(out, CALLS, first);
	print_text_at(out, BYTES, second);
	line(out);
}

static void row(struct print *out, const char *name, uint64_t calls,
		uint64_t bytes)
{
	print_text(out, "  ");
	print_text(out, name);
	print_u64_at(out, CALLS, calls);
	print_bytes_at(out, BYTES, bytes);
}

static void amount(struct print *out, const char *name, uint64_t frames)
{
	print_text(out, "  ");
	print_text(out, name);
	print_bytes_at(out, CALLS, frames * LLFREE_FRAME_SIZE);
	line(out);
}

static void number(struct print *out, const char *name, uint64_t n)
{
	print_text(out, "  ");
	print_text(out, name);
	print_u64_at(out, CALLS, n);
	line(out);
}

/* ------------------------------------------------------------------------ */

static void title(struct print *out, const struct report_data *d)
{
	const struct hook_result *hooks = hook_result();

	print_text(out, "\n---- llfree: ");
	print_text(out, d->settings->program);
	print_text(out, ", process ");
	print_i64(out, d->pid);
	print_text(out, d->running ? ", running, by " : ", ended by ");
	print_text(out, d->how);
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
	if (d->background[0]) {
		print_text(out, "Background thread: ");
		print_text(out, d->background);
		line(out);
	}
}

static void reasons(struct print *out)
{
	for (unsigned why = REASON_NONE + 1; why < REASON_COUNT; why++) {
		uint64_t calls = stats_sum(STAT_PASSED + why);

		if (!calls)
			continue;
		print_text(out, "  ");
		row(out, reason_text((enum reason)why), calls,
		    stats_sum(STAT_PASSED_BYTES + why));
		line(out);
	}
}

/* Of mmap's counter and those that mremap and brk have for the same. */
static uint64_t sum_of_three(unsigned stat)
{
	return stats_sum(stat) +
	       stats_sum(stat + STAT_MREMAP_SERVED - STAT_MMAP_SERVED) +
	       stats_sum(stat + STAT_BRK_SERVED - STAT_MMAP_SERVED);
}

static uint64_t servable_but_passed(void)
{
	uint64_t bytes = 0;

	for (unsigned why = REASON_NONE + 1; why < REASON_COUNT; why++)
		if (reason_is_servable((enum reason)why))
			bytes += stats_sum(STAT_PASSED_BYTES + why);
	return bytes;
}

static void requests(struct print *out)
{
	uint64_t served = sum_of_three(STAT_MMAP_SERVED_BYTES);
	uint64_t passed = sum_of_three(STAT_MMAP_PASSED_BYTES);
	uint64_t servable = served + servable_but_passed();

	heading(out, "Memory asked for", "calls", "bytes");
	row(out, "served from the arena", sum_of_three(STAT_MMAP_SERVED),
	    served);
	if (servable) {
		print_percent_at(out, SHARE, served, servable);
		print_text(out, " of what could be");
	}
	line(out);
	row(out, "passed to the kernel", sum_of_three(STAT_MMAP_PASSED),
	    passed);
	line(out);
	reasons(out);
}

static void sizes(struct print *out)
{
	if (!stats_sum(STAT_MMAP_SERVED))
		return;
	heading(out, "Served regions of up to", "calls", "");
	for (unsigned size = 0; size < STATS_SIZES; size++) {
		uint64_t calls = stats_sum(STAT_SIZE + size);

		if (!calls)
			continue;
		print_text(out, "  ");
		print_bytes(out, (uint64_t)LLFREE_FRAME_SIZE << size);
		print_u64_at(out, CALLS, calls);
		line(out);
	}
}

/* Only what there was. */
static void call(struct print *out, const char *name, unsigned calls)
{
	if (!stats_sum(calls))
		return;
	row(out, name, stats_sum(calls), stats_sum(calls + 1));
	line(out);
}

static void other_calls(struct print *out)
{
	heading(out, "Other calls", "calls", "bytes");
	call(out, "munmap of memory of the arena", STAT_MUNMAP_SERVED);
	call(out, "munmap of the kernel's", STAT_MUNMAP_PASSED);
	call(out, "mremap, among those served", STAT_MREMAP_SERVED);
	call(out, "mremap, among those passed", STAT_MREMAP_PASSED);
	number(out, "madvise", stats_sum(STAT_MADVISE));
	number(out, "mprotect", stats_sum(STAT_MPROTECT));
}

static void memory(struct print *out, const struct arena_snapshot *f)
{
	heading(out, "Memory of the arena", "bytes", "");
	amount(out, "in use now", f->live);
	amount(out, "in use at the peak", f->live_peak);
	if (f->inherited)
		amount(out, "in use when forked", f->inherited);
	amount(out, "resident now", f->resident);
	amount(out, "free, but not empty yet", f->dirty);
	amount(out, "mapped", f->online);
	amount(out, "largest it could become", f->frames);
	amount(out, "zeroed, in all", stats_sum(STAT_FRAMES_ZEROED));
	amount(out, "returned to the kernel, in all",
	       stats_sum(STAT_FRAMES_RETURNED));
}

/* Only of what is mapped: the rest is free, and says nothing. */
static void fragments(struct print *out, const struct arena_snapshot *f)
{
	static const char *const names[] = {
		"none",	     "up to 1/8", "up to 1/4",
		"up to 3/8", "up to 1/2", "up to 5/8",
		"up to 3/4", "up to 7/8", "more, or all",
	};
	size_t mapped = f->online / LLFREE_HUGE_SIZE;
	size_t total = f->frames / LLFREE_HUGE_SIZE;

	heading(out, "2 MiB pages mapped, by free part", "number", "");
	for (size_t i = 0; i < 9; i++) {
		size_t unmapped = i == 8 ? total - mapped : 0;

		if (f->per_huge[i] > unmapped)
			number(out, names[i], f->per_huge[i] - unmapped);
	}
}

static void allocator(struct print *out, const struct report_data *d)
{
	const llfree_counters_t *c = &d->arena.counters;

	heading(out, "Allocator", "number", "");
	number(out, "gets", stats_sum(STAT_GET));
	number(out, "  by the processor's own slot", report_slot_hits(d));
	number(out, "  that reserved another tree", c->reservations);
	number(out, "  from another class's tree", c->steals);
	number(out, "  from another processor's tree", c->raids);
	number(out, "  that found nothing", stats_sum(STAT_GET_FAILED));
	number(out, "puts", stats_sum(STAT_PUT));
	number(out, "trees that changed their class", c->demotions);
	number(out, "repeated compare-and-swaps", c->retries);
}

static void altered(struct print *out)
{
	if (!stats_sum(STAT_FRAMES_ALTERED) && !stats_sum(STAT_REMAPS))
		return;
	heading(out, "Altered", "number", "");
	number(out, "pages that the program altered",
	       stats_sum(STAT_FRAMES_ALTERED));
	number(out, "mappings made afresh", stats_sum(STAT_REMAPS));
}

static void pair(struct print *out, const char *name, uint64_t n)
{
	print_char(out, ' ');
	print_text(out, name);
	print_char(out, ' ');
	print_u64(out, n);
}

static void balance(struct print *out, const struct report_data *d)
{
	const struct arena_snapshot *f = &d->arena;

	print_text(out, d->balanced ? "\nThe counters agree."
				    : "\nThe counters do not agree:");
	if (!d->balanced) {
		pair(out, "served", d->served);
		pair(out, "inherited", f->inherited);
		pair(out, "live", f->live);
		pair(out, "given back", d->given_back);
		pair(out, "free by scan", f->free_frames);
		pair(out, "free by counters", f->fast_free);
		pair(out, "claimed", f->claimed);
		pair(out, "lost", f->leaked);
		pair(out, "frames", f->frames);
	}
	line(out);
}

void report_text(struct print *out, const struct report_data *d)
{
	title(out, d);
	if (!stats_any()) {
		print_text(out, "No memory was asked for.\n");
		return;
	}
	requests(out);
	sizes(out);
	other_calls(out);
	if (d->arena.online) {
		memory(out, &d->arena);
		fragments(out, &d->arena);
		allocator(out, d);
		altered(out);
		balance(out, d);
	}
	profile_report(out, d->settings->profile_top, false);
}
