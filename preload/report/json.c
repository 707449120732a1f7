/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/report/data.h"

#include "preload/hook/hook.h"
#include "preload/report/profile.h"
#include "preload/report/stats.h"

#define member_u64 print_json_member_u64

static void begin(struct print *out, const char *key)
{
	print_json_key(out, key);
	print_json_open(out, '{');
}

static void end(struct print *out)
{
	print_json_close(out, '}');
}

static void member_bytes(struct print *out, const char *key, uint64_t frames)
{
	member_u64(out, key, frames * LLFREE_FRAME_SIZE);
}

/* Served and passed, calls and bytes, follow each other among the counters. */
static void member_calls(struct print *out, const char *key, unsigned first)
{
	begin(out, key);
	member_u64(out, "served", stats_sum(first));
	member_u64(out, "served_bytes", stats_sum(first + 1));
	member_u64(out, "passed", stats_sum(first + 2));
	member_u64(out, "passed_bytes", stats_sum(first + 3));
	end(out);
}

static void calls(struct print *out)
{
	begin(out, "calls");
	member_calls(out, "mmap", STAT_MMAP_SERVED);
	member_calls(out, "munmap", STAT_MUNMAP_SERVED);
	member_calls(out, "mremap", STAT_MREMAP_SERVED);
	member_calls(out, "brk", STAT_BRK_SERVED);
	member_u64(out, "madvise", stats_sum(STAT_MADVISE));
	member_u64(out, "mprotect", stats_sum(STAT_MPROTECT));
	end(out);
}

static void passed_because(struct print *out)
{
	begin(out, "passed_because");
	for (unsigned why = REASON_NONE + 1; why < REASON_COUNT; why++) {
		begin(out, reason_key((enum reason)why));
		member_u64(out, "calls", stats_sum(STAT_PASSED + why));
		member_u64(out, "bytes", stats_sum(STAT_PASSED_BYTES + why));
		print_json_member_bool(out, "servable",
				       reason_is_servable((enum reason)why));
		end(out);
	}
	end(out);
}

static void served_by_size(struct print *out)
{
	print_json_key(out, "served_by_size");
	print_json_open(out, '[');
	for (unsigned size = 0; size < STATS_SIZES; size++) {
		print_json_open(out, '{');
		member_u64(out, "pages", UINT64_C(1) << size);
		member_u64(out, "calls", stats_sum(STAT_SIZE + size));
		end(out);
	}
	print_json_close(out, ']');
}

static void memory(struct print *out, const struct arena_snapshot *f)
{
	begin(out, "memory");
	member_bytes(out, "arena", f->frames);
	member_bytes(out, "online", f->online);
	member_bytes(out, "live", f->live);
	member_bytes(out, "live_peak", f->live_peak);
	member_bytes(out, "dirty", f->dirty);
	member_bytes(out, "resident", f->resident);
	member_bytes(out, "returned", stats_sum(STAT_FRAMES_RETURNED));
	member_bytes(out, "zeroed", stats_sum(STAT_FRAMES_ZEROED));
	end(out);
}

static void fragmentation(struct print *out, const struct arena_snapshot *f)
{
	begin(out, "fragmentation");
	member_u64(out, "free_frames", f->free_frames);
	member_u64(out, "free_huge", f->free_huge);
	member_u64(out, "free_trees", f->free_trees);
	member_u64(out, "trees", f->trees);
	print_json_key(out, "free_per_huge_histogram");
	print_json_open(out, '[');
	for (size_t i = 0; i < 9; i++)
		print_json_u64(out, f->per_huge[i]);
	print_json_close(out, ']');
	end(out);
}

/* Without remote_puts: no one can tell a free from another processor from one
 * of our own whose tree has been exchanged since. */
static void allocator(struct print *out, const struct report_data *d)
{
	const llfree_counters_t *c = &d->arena.counters;

	begin(out, "allocator");
	member_u64(out, "get", stats_sum(STAT_GET));
	member_u64(out, "put", stats_sum(STAT_PUT));
	member_u64(out, "get_failed", stats_sum(STAT_GET_FAILED));
	member_u64(out, "slot_hits", report_slot_hits(d));
	member_u64(out, "reservations", c->reservations);
	member_u64(out, "steals", c->steals);
	member_u64(out, "demotions", c->demotions);
	member_u64(out, "raids", c->raids);
	member_u64(out, "cas_retries", c->retries);
	end(out);
}

static void balance(struct print *out, const struct report_data *d)
{
	const struct arena_snapshot *f = &d->arena;

	print_json_member_bool(out, "balanced", d->balanced);
	begin(out, "balance");
	member_u64(out, "inherited", f->inherited);
	member_u64(out, "served", d->served);
	member_u64(out, "live", f->live);
	member_u64(out, "given_back", d->given_back);
	member_u64(out, "frames", f->frames);
	member_u64(out, "lost", f->leaked);
	member_u64(out, "claimed", f->claimed);
	member_u64(out, "free_counted", f->fast_free);
	member_u64(out, "free_scanned", f->free_frames);
	end(out);
}

static void about_hooks(struct print *out)
{
	const struct hook_result *hooks = hook_result();

	begin(out, "hooks");
	print_json_member_bool(out, "libc", hooks->libc);
	print_json_member_bool(out, "brk", hooks->libc && hooks->apart);
	print_json_member_string(out, "why_not", hooks->why_not);
	end(out);
}

void report_json(struct print *out, const struct report_data *d)
{
	print_json_open(out, '{');
	member_u64(out, "version", 1);
	print_json_member_string(out, "program", d->settings->program);
	member_u64(out, "pid", (uint64_t)d->pid);
	print_json_member_string(out, "exit", d->how);
	begin(out, "settings");
	config_dump_json(out, d->settings);
	end(out);
	about_hooks(out);
	print_json_member_string(out, "off", arena_why_off());
	print_json_member_string(out, "background", d->background);
	calls(out);
	passed_because(out);
	served_by_size(out);
	memory(out, &d->arena);
	fragmentation(out, &d->arena);
	allocator(out, d);
	begin(out, "altered");
	member_u64(out, "frames", stats_sum(STAT_FRAMES_ALTERED));
	member_u64(out, "remaps", stats_sum(STAT_REMAPS));
	end(out);
	balance(out, d);
	profile_report(out, d->settings->profile_top, true);
	end(out);
	print_char(out, '\n');
}
