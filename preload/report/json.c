/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/report/fields.h"

#include "preload/hook/hook.h"
#include "preload/report/profile.h"

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

static void member(struct print *out, const struct field *field,
		   const struct report *r)
{
	uint64_t value = field_value(field, r);
	bool frames = field->unit == UNIT_FRAMES;

	member_u64(out, field->key, frames ? value * LLFREE_FRAME_SIZE : value);
	if (field->unit == UNIT_CALLS)
		member_u64(out, field->bytes_key, field_bytes(field, r));
}

static void members(struct print *out, const struct report *r,
		    enum field_group group)
{
	for (unsigned place = 1; place <= FIELD_LAST; place++)
		for (const struct field *f = field_next(group, NULL); f;
		     f = field_next(group, f))
			if (f->place == place && f->key[0])
				member(out, f, r);
}

static void object(struct print *out, const struct report *r,
		   enum field_group group)
{
	begin(out, field_groups[group].key);
	members(out, r, group);
	end(out);
}

static void calls(struct print *out, const struct report *r)
{
	begin(out, "calls");
	object(out, r, FIELD_MMAP);
	object(out, r, FIELD_MUNMAP);
	object(out, r, FIELD_MREMAP);
	object(out, r, FIELD_BRK);
	members(out, r, FIELD_CALLS);
	end(out);
}

static void passed_because(struct print *out, const struct report *r)
{
	begin(out, "passed_because");
	for (unsigned why = REASON_NONE + 1; why < REASON_COUNT; why++) {
		begin(out, reason_key((enum reason)why));
		member_u64(out, "calls", r->counters[STAT_PASSED + why]);
		member_u64(out, "bytes", r->counters[STAT_PASSED_BYTES + why]);
		print_json_member_bool(out, "servable",
				       reason_is_servable((enum reason)why));
		end(out);
	}
	end(out);
}

static void served_by_size(struct print *out, const struct report *r)
{
	print_json_key(out, "served_by_size");
	print_json_open(out, '[');
	for (unsigned size = 0; size < STATS_SIZES; size++) {
		print_json_open(out, '{');
		member_u64(out, "pages", UINT64_C(1) << size);
		member_u64(out, "calls", r->counters[STAT_SIZE + size]);
		end(out);
	}
	print_json_close(out, ']');
}

static void fragmentation(struct print *out, const struct report *r)
{
	begin(out, "fragmentation");
	members(out, r, FIELD_FRAGMENTATION);
	print_json_key(out, "free_per_huge_histogram");
	print_json_open(out, '[');
	for (size_t i = 0; i < 9; i++)
		print_json_u64(out, r->arena.per_huge[i]);
	print_json_close(out, ']');
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

void report_json(struct print *out, const struct report *r)
{
	print_json_open(out, '{');
	member_u64(out, "version", 1);
	print_json_member_string(out, "program", r->settings->program);
	member_u64(out, "pid", (uint64_t)r->pid);
	print_json_member_string(out, "exit", r->trigger);
	begin(out, "settings");
	config_dump_json(out, r->settings);
	end(out);
	about_hooks(out);
	print_json_member_string(out, "off", arena_why_off());
	print_json_member_string(out, "background", r->background);
	calls(out, r);
	passed_because(out, r);
	served_by_size(out, r);
	object(out, r, FIELD_MEMORY);
	fragmentation(out, r);
	object(out, r, FIELD_ALLOCATOR);
	object(out, r, FIELD_ALTERED);
	print_json_member_bool(out, "balanced", r->balanced);
	object(out, r, FIELD_BALANCE);
	profile_json(out, r->settings->profile_top);
	end(out);
	print_char(out, '\n');
}
