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

static void line(struct say *say)
{
	say_char(say, '\n');
}

static void heading(struct say *say, const char *text, const char *first,
		    const char *second)
{
	line(say);
	say_text(say, text);
	say_text_at(say, CALLS, first);
	say_text_at(say, BYTES, second);
	line(say);
}

static void row(struct say *say, const char *name, uint64_t calls,
		uint64_t bytes)
{
	say_text(say, "  ");
	say_text(say, name);
	say_u64_at(say, CALLS, calls);
	say_bytes_at(say, BYTES, bytes);
}

static void amount(struct say *say, const char *name, uint64_t frames)
{
	say_text(say, "  ");
	say_text(say, name);
	say_bytes_at(say, CALLS, frames * LLFREE_FRAME_SIZE);
	line(say);
}

static void number(struct say *say, const char *name, uint64_t n)
{
	say_text(say, "  ");
	say_text(say, name);
	say_u64_at(say, CALLS, n);
	line(say);
}

/* ------------------------------------------------------------------------ */

static void title(struct say *say, const struct report_data *d)
{
	const struct hook_result *hooks = hook_result();

	say_text(say, "\n---- llfree: ");
	say_text(say, d->settings->program);
	say_text(say, ", process ");
	say_i64(say, d->pid);
	say_text(say, d->running ? ", running, by " : ", ended by ");
	say_text(say, d->how);
	say_text(say, " ----\n");
	if (!hooks->libc) {
		say_text(say, "Calls inside libc were not seen: ");
		say_text(say, hooks->why_not);
		line(say);
	}
	if (arena_why_off()[0]) {
		say_text(say, "Nothing was served: ");
		say_text(say, arena_why_off());
		line(say);
	}
	if (d->background[0]) {
		say_text(say, "Background thread: ");
		say_text(say, d->background);
		line(say);
	}
}

static void reasons(struct say *say)
{
	for (unsigned why = ROUTE_SERVE + 1; why < ROUTE_COUNT; why++) {
		uint64_t calls = stats_sum(STAT_PASSED + why);

		if (!calls)
			continue;
		say_text(say, "  ");
		row(say, route_text((enum route)why), calls,
		    stats_sum(STAT_PASSED_BYTES + why));
		line(say);
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

	for (unsigned why = ROUTE_SERVE + 1; why < ROUTE_COUNT; why++)
		if (route_is_servable((enum route)why))
			bytes += stats_sum(STAT_PASSED_BYTES + why);
	return bytes;
}

static void requests(struct say *say)
{
	uint64_t served = sum_of_three(STAT_MMAP_SERVED_BYTES);
	uint64_t passed = sum_of_three(STAT_MMAP_PASSED_BYTES);
	uint64_t servable = served + servable_but_passed();

	heading(say, "Memory asked for", "calls", "bytes");
	row(say, "served from the arena", sum_of_three(STAT_MMAP_SERVED),
	    served);
	if (servable) {
		say_percent_at(say, SHARE, served, servable);
		say_text(say, " of what could be");
	}
	line(say);
	row(say, "passed to the kernel", sum_of_three(STAT_MMAP_PASSED),
	    passed);
	line(say);
	reasons(say);
}

static void sizes(struct say *say)
{
	if (!stats_sum(STAT_MMAP_SERVED))
		return;
	heading(say, "Served regions of up to", "calls", "");
	for (unsigned size = 0; size < STATS_SIZES; size++) {
		uint64_t calls = stats_sum(STAT_SIZE + size);

		if (!calls)
			continue;
		say_text(say, "  ");
		say_bytes(say, (uint64_t)LLFREE_FRAME_SIZE << size);
		say_u64_at(say, CALLS, calls);
		line(say);
	}
}

/* Only what there was. */
static void call(struct say *say, const char *name, unsigned calls)
{
	if (!stats_sum(calls))
		return;
	row(say, name, stats_sum(calls), stats_sum(calls + 1));
	line(say);
}

static void other_calls(struct say *say)
{
	heading(say, "Other calls", "calls", "bytes");
	call(say, "munmap of memory of the arena", STAT_MUNMAP_SERVED);
	call(say, "munmap of the kernel's", STAT_MUNMAP_PASSED);
	call(say, "mremap, among those served", STAT_MREMAP_SERVED);
	call(say, "mremap, among those passed", STAT_MREMAP_PASSED);
	number(say, "madvise", stats_sum(STAT_MADVISE));
	number(say, "mprotect", stats_sum(STAT_MPROTECT));
}

static void memory(struct say *say, const struct arena_figures *f)
{
	heading(say, "Memory of the arena", "bytes", "");
	amount(say, "in use now", f->live);
	amount(say, "in use at the peak", f->live_peak);
	if (f->inherited)
		amount(say, "in use when forked", f->inherited);
	amount(say, "resident now", f->resident);
	amount(say, "free, but not empty yet", f->dirty);
	amount(say, "mapped", f->online);
	amount(say, "largest it could become", f->frames);
	amount(say, "zeroed, in all", stats_sum(STAT_FRAMES_ZEROED));
	amount(say, "returned to the kernel, in all",
	       stats_sum(STAT_FRAMES_RETURNED));
}

/* Only of what is mapped: the rest is free, and says nothing. */
static void fragments(struct say *say, const struct arena_figures *f)
{
	static const char *const names[] = {
		"none",	     "up to 1/8", "up to 1/4",
		"up to 3/8", "up to 1/2", "up to 5/8",
		"up to 3/4", "up to 7/8", "more, or all",
	};
	size_t mapped = f->online / LLFREE_HUGE_SIZE;
	size_t total = f->frames / LLFREE_HUGE_SIZE;

	heading(say, "2 MiB pages mapped, by free part", "number", "");
	for (size_t i = 0; i < 9; i++) {
		size_t unmapped = i == 8 ? total - mapped : 0;

		if (f->per_huge[i] > unmapped)
			number(say, names[i], f->per_huge[i] - unmapped);
	}
}

static void allocator(struct say *say, const struct report_data *d)
{
	const llfree_counters_t *c = &d->arena.counters;

	heading(say, "Allocator", "number", "");
	number(say, "gets", stats_sum(STAT_GET));
	number(say, "  by the processor's own slot", report_slot_hits(d));
	number(say, "  that reserved another tree", c->reservations);
	number(say, "  from another class's tree", c->steals);
	number(say, "  from another processor's tree", c->raids);
	number(say, "  that found nothing", stats_sum(STAT_GET_FAILED));
	number(say, "puts", stats_sum(STAT_PUT));
	number(say, "trees that changed their class", c->demotions);
	number(say, "repeated compare-and-swaps", c->retries);
}

static void altered(struct say *say)
{
	if (!stats_sum(STAT_FRAMES_ALTERED) && !stats_sum(STAT_REMAPS))
		return;
	heading(say, "Altered", "number", "");
	number(say, "pages that the program altered",
	       stats_sum(STAT_FRAMES_ALTERED));
	number(say, "mappings made afresh", stats_sum(STAT_REMAPS));
}

static void pair(struct say *say, const char *name, uint64_t n)
{
	say_char(say, ' ');
	say_text(say, name);
	say_char(say, ' ');
	say_u64(say, n);
}

static void balance(struct say *say, const struct report_data *d)
{
	const struct arena_figures *f = &d->arena;

	say_text(say, d->balanced ? "\nThe counters agree."
				  : "\nThe counters do not agree:");
	if (!d->balanced) {
		pair(say, "served", d->served);
		pair(say, "inherited", f->inherited);
		pair(say, "live", f->live);
		pair(say, "given back", d->given_back);
		pair(say, "free by scan", f->free_frames);
		pair(say, "free by counters", f->fast_free);
		pair(say, "claimed", f->claimed);
		pair(say, "lost", f->lost);
		pair(say, "frames", f->frames);
	}
	line(say);
}

void report_text(struct say *say, const struct report_data *d)
{
	title(say, d);
	if (!stats_any()) {
		say_text(say, "No memory was asked for.\n");
		return;
	}
	requests(say);
	sizes(say);
	other_calls(say);
	if (d->arena.online) {
		memory(say, &d->arena);
		fragments(say, &d->arena);
		allocator(say, d);
		altered(say);
		balance(say, d);
	}
	profile_report(say, d->settings->profile_top, false);
}
