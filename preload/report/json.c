/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/report/data.h"

#include "preload/hook/hook.h"
#include "preload/report/profile.h"
#include "preload/report/stats.h"

#define member_u64 say_json_member_u64

static void begin(struct say *say, const char *key)
{
	say_json_key(say, key);
	say_json_open(say, '{');
}

static void end(struct say *say)
{
	say_json_close(say, '}');
}

static void member_bytes(struct say *say, const char *key, uint64_t frames)
{
	member_u64(say, key, frames * LLFREE_FRAME_SIZE);
}

/* Served and passed, calls and bytes, follow each other among the counters. */
static void member_calls(struct say *say, const char *key, unsigned first)
{
	begin(say, key);
	member_u64(say, "served", stats_sum(first));
	member_u64(say, "served_bytes", stats_sum(first + 1));
	member_u64(say, "passed", stats_sum(first + 2));
	member_u64(say, "passed_bytes", stats_sum(first + 3));
	end(say);
}

static void calls(struct say *say)
{
	begin(say, "calls");
	member_calls(say, "mmap", STAT_MMAP_SERVED);
	member_calls(say, "munmap", STAT_MUNMAP_SERVED);
	member_calls(say, "mremap", STAT_MREMAP_SERVED);
	member_calls(say, "brk", STAT_BRK_SERVED);
	member_u64(say, "madvise", stats_sum(STAT_MADVISE));
	member_u64(say, "mprotect", stats_sum(STAT_MPROTECT));
	end(say);
}

static void passed_because(struct say *say)
{
	begin(say, "passed_because");
	for (unsigned why = ROUTE_SERVE + 1; why < ROUTE_COUNT; why++) {
		begin(say, route_key((enum route)why));
		member_u64(say, "calls", stats_sum(STAT_PASSED + why));
		member_u64(say, "bytes", stats_sum(STAT_PASSED_BYTES + why));
		say_json_member_bool(say, "servable",
				     route_is_servable((enum route)why));
		end(say);
	}
	end(say);
}

static void served_by_size(struct say *say)
{
	say_json_key(say, "served_by_size");
	say_json_open(say, '[');
	for (unsigned size = 0; size < STATS_SIZES; size++) {
		say_json_open(say, '{');
		member_u64(say, "pages", UINT64_C(1) << size);
		member_u64(say, "calls", stats_sum(STAT_SIZE + size));
		end(say);
	}
	say_json_close(say, ']');
}

static void memory(struct say *say, const struct arena_figures *f)
{
	begin(say, "memory");
	member_bytes(say, "arena", f->frames);
	member_bytes(say, "online", f->online);
	member_bytes(say, "live", f->live);
	member_bytes(say, "live_peak", f->live_peak);
	member_bytes(say, "dirty", f->dirty);
	member_bytes(say, "resident", f->resident);
	member_bytes(say, "returned", stats_sum(STAT_FRAMES_RETURNED));
	member_bytes(say, "zeroed", stats_sum(STAT_FRAMES_ZEROED));
	end(say);
}

static void fragmentation(struct say *say, const struct arena_figures *f)
{
	begin(say, "fragmentation");
	member_u64(say, "free_frames", f->free_frames);
	member_u64(say, "free_huge", f->free_huge);
	member_u64(say, "free_trees", f->free_trees);
	member_u64(say, "trees", f->trees);
	say_json_key(say, "free_per_huge_histogram");
	say_json_open(say, '[');
	for (size_t i = 0; i < 9; i++)
		say_json_u64(say, f->per_huge[i]);
	say_json_close(say, ']');
	end(say);
}

/* Without remote_puts: no one can tell a free from another processor from one
 * of our own whose tree has been exchanged since. */
static void allocator(struct say *say, const struct report_data *d)
{
	const llfree_counters_t *c = &d->arena.counters;

	begin(say, "allocator");
	member_u64(say, "get", stats_sum(STAT_GET));
	member_u64(say, "put", stats_sum(STAT_PUT));
	member_u64(say, "get_failed", stats_sum(STAT_GET_FAILED));
	member_u64(say, "slot_hits", report_slot_hits(d));
	member_u64(say, "reservations", c->reservations);
	member_u64(say, "steals", c->steals);
	member_u64(say, "demotions", c->demotions);
	member_u64(say, "raids", c->raids);
	member_u64(say, "cas_retries", c->retries);
	end(say);
}

static void balance(struct say *say, const struct report_data *d)
{
	const struct arena_figures *f = &d->arena;

	say_json_member_bool(say, "balanced", d->balanced);
	begin(say, "balance");
	member_u64(say, "inherited", f->inherited);
	member_u64(say, "served", d->served);
	member_u64(say, "live", f->live);
	member_u64(say, "given_back", d->given_back);
	member_u64(say, "frames", f->frames);
	member_u64(say, "lost", f->lost);
	member_u64(say, "claimed", f->claimed);
	member_u64(say, "free_counted", f->fast_free);
	member_u64(say, "free_scanned", f->free_frames);
	end(say);
}

static void about_hooks(struct say *say)
{
	const struct hook_result *hooks = hook_result();

	begin(say, "hooks");
	say_json_member_bool(say, "libc", hooks->libc);
	say_json_member_bool(say, "brk", hooks->libc && hooks->apart);
	say_json_member_string(say, "why_not", hooks->why_not);
	end(say);
}

void report_json(struct say *say, const struct report_data *d)
{
	say_json_open(say, '{');
	member_u64(say, "version", 1);
	say_json_member_string(say, "program", d->settings->program);
	member_u64(say, "pid", (uint64_t)d->pid);
	say_json_member_string(say, "exit", d->how);
	begin(say, "settings");
	config_dump_json(say, d->settings);
	end(say);
	about_hooks(say);
	say_json_member_string(say, "off", arena_why_off());
	say_json_member_string(say, "background", d->background);
	calls(say);
	passed_because(say);
	served_by_size(say);
	memory(say, &d->arena);
	fragmentation(say, &d->arena);
	allocator(say, d);
	begin(say, "altered");
	member_u64(say, "frames", stats_sum(STAT_FRAMES_ALTERED));
	member_u64(say, "remaps", stats_sum(STAT_REMAPS));
	end(say);
	balance(say, d);
	profile_report(say, d->settings->profile_top, true);
	end(say);
	say_char(say, '\n');
}
