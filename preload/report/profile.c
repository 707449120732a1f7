/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/report/profile.h"
#include "preload/report/symbolize.h"
#include "preload/report/unwind.h"
#include "preload/sys/sys.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define DEPTH 8 /* return addresses that make a site */
#define SITES (1u << 14) /* a power of two */
#define PROBES 32 /* entries that a site may be in */

enum { PASSED, SERVED, KINDS };

struct site {
	_Atomic uint64_t hash; /* 0: a free entry; set once */
	_Atomic uint64_t depth; /* number of frames, stored after them */
	uintptr_t frames[DEPTH];
	_Atomic uint64_t bytes[KINDS];
	_Atomic uint64_t calls[KINDS];
};

bool profile_on;
static struct site *sites;
/* Requests that found no free entry, or whose stack is unknown. */
static struct site elsewhere;

static __thread bool busy;

/* ------------------------------------------------------------------------ */
/* Recording                                                                 */

static uint64_t hash_of(const uintptr_t *frames, size_t depth)
{
	uint64_t hash = depth;

	for (size_t i = 0; i < depth; i++) {
		hash = (hash ^ frames[i]) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	return hash ? hash : 1;
}

/* Return whether the entry is the site's. Only the thread that sets the hash
 * writes the frames; other threads may count in the entry before that. */
static bool take_entry(struct site *site, uint64_t hash,
		       const uintptr_t *frames, size_t depth)
{
	uint64_t found = 0;

	if (!atomic_compare_exchange_strong(&site->hash, &found, hash))
		return found == hash;
	for (size_t i = 0; i < depth; i++)
		site->frames[i] = frames[i];
	/* Pairs with the load in frames_of. */
	atomic_store_explicit(&site->depth, depth, memory_order_release);
	return true;
}

static struct site *site_of(const uintptr_t *frames, size_t depth)
{
	uint64_t hash = hash_of(frames, depth);

	if (depth == 0)
		return &elsewhere;
	for (size_t i = 0; i < PROBES; i++) {
		struct site *site = &sites[(hash + i) % SITES];
		uint64_t found =
			atomic_load_explicit(&site->hash, memory_order_relaxed);

		if (found == hash ||
		    (found == 0 && take_entry(site, hash, frames, depth)))
			return site;
	}
	return &elsewhere;
}

/* ------------------------------------------------------------------------ */
/* Walks and forks                                                           */

static atomic_int walks; /* in progress */
static atomic_bool paused; /* a fork is in progress */
static bool unsafe; /* a thread that is gone may hold a lock of libunwind's */

/* A handler may have forked within the walk. */
static void end_walk(void)
{
	int before = atomic_load(&walks);

	while (before > 0 &&
	       !atomic_compare_exchange_strong(&walks, &before, before - 1))
		;
}

static size_t guarded_walk(uintptr_t *frames)
{
	size_t depth = 0;

	if (atomic_load(&paused))
		return 0;
	atomic_fetch_add(&walks, 1);
	if (!atomic_load(&paused)) /* before_fork may not have seen this walk */
		depth = unwind_stack(frames, DEPTH);
	end_walk();
	return depth;
}

void profile_add(bool served, size_t bytes)
{
	uintptr_t frames[DEPTH];
	struct site *site;

	if (busy)
		return;
	busy = true;
	site = site_of(frames, guarded_walk(frames));
	atomic_fetch_add_explicit(&site->bytes[served], bytes,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&site->calls[served], 1,
				  memory_order_relaxed);
	busy = false;
}

#define FORK_WAITS 2000 /* of 50 microseconds each */

static void before_fork(void)
{
	struct timespec wait = { .tv_nsec = 50000 };
	size_t tries = FORK_WAITS;

	atomic_store(&paused, true);
	while (atomic_load(&walks) > 0 && tries-- > 0)
		sys_ppoll(NULL, 0, &wait);
}

static void after_fork_parent(void)
{
	atomic_store(&paused, unsafe);
}

/* ------------------------------------------------------------------------ */
/* Starting                                                                  */

/* Where a walk was in progress, this child and its children walk no more. */
void profile_forked(void)
{
	unsafe = unsafe || atomic_load(&walks) > 0;
	atomic_store(&paused, unsafe);
	atomic_store(&walks, 0);
	if (!sites)
		return;
	sys_madvise(sites, SITES * sizeof(struct site), MADV_DONTNEED);
	for (size_t kind = 0; kind < KINDS; kind++) {
		atomic_store(&elsewhere.bytes[kind], 0);
		atomic_store(&elsewhere.calls[kind], 0);
	}
}

static const char *map_sites(void)
{
	long table = sys_mmap(NULL, SITES * sizeof(struct site),
			      PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (sys_failed(table))
		return "no memory for the table";
	sites = (struct site *)table;
	return NULL;
}

static void print_why_not(const char *why_not)
{
	char buf[256];
	struct print out = print_to(STDERR_FILENO, buf, sizeof(buf));

	print_text(&out, "llfree: LLFREE_PROFILE=1: no call sites: ");
	print_text(&out, why_not);
	print_char(&out, '\n');
	print_flush(&out);
}

void profile_start(void)
{
	const char *why_not;

	busy = true;
	why_not = unwind_start();
	if (!why_not)
		why_not = map_sites();
	if (!why_not) {
		symbolize_start();
		pthread_atfork(before_fork, after_fork_parent, NULL);
	}
	busy = false;
	if (why_not)
		print_why_not(why_not);
	profile_on = !why_not;
}

/* ------------------------------------------------------------------------ */
/* The report                                                                */

struct total {
	uint64_t sites, bytes, calls;
};

static uint64_t bytes_at(size_t index, size_t kind)
{
	return atomic_load_explicit(&sites[index].bytes[kind],
				    memory_order_relaxed);
}

static uint64_t calls_at(size_t index, size_t kind)
{
	return atomic_load_explicit(&sites[index].calls[kind],
				    memory_order_relaxed);
}

static struct total unknown_of(size_t kind)
{
	return (struct total){
		.bytes = atomic_load(&elsewhere.bytes[kind]),
		.calls = atomic_load(&elsewhere.calls[kind]),
	};
}

static struct total total_of(size_t kind)
{
	struct total total = unknown_of(kind);

	for (size_t i = 0; i < SITES; i++) {
		total.sites += calls_at(i, kind) > 0;
		total.bytes += bytes_at(i, kind);
		total.calls += calls_at(i, kind);
	}
	return total;
}

/* A place in the order by bytes, then by index. */
struct rank {
	uint64_t bytes;
	size_t index; /* SITES: before the first site, or behind the last */
};
static const struct rank rank_start = { UINT64_MAX, SITES };

/* Move on to the next site; return false behind the last. */
static bool next_rank(struct rank *rank, size_t kind)
{
	struct rank best = { .index = SITES };

	for (size_t i = 0; i < SITES; i++) {
		uint64_t bytes = bytes_at(i, kind);
		bool later = bytes < rank->bytes ||
			     (bytes == rank->bytes && i > rank->index);

		if (calls_at(i, kind) > 0 && later &&
		    (best.index == SITES || bytes > best.bytes))
			best = (struct rank){ .bytes = bytes, .index = i };
	}
	*rank = best;
	return best.index != SITES;
}

static size_t frames_of(const struct site *site)
{
	/* Pairs with the store in take_entry. */
	return atomic_load_explicit(&site->depth, memory_order_acquire);
}

/* ------------------------------------------------------------------------ */
/* As text                                                                   */

/* A walk gives return addresses: one byte before is in the call. */
static void text_frame(struct print *out, uintptr_t frame)
{
	struct symbol name = symbolize(frame - 1);

	print_text(out, "         ");
	if (name.function) {
		print_text(out, name.function);
		print_char(out, '+');
		print_hex(out, name.function_offset);
		print_pad(out, 44);
	}
	if (name.module) {
		print_text(out, name.module);
		print_char(out, '+');
		print_hex(out, name.module_offset);
	} else {
		print_text(out, "code of no file");
	}
	print_char(out, '\n');
}

static void text_counts(struct print *out, uint64_t bytes, uint64_t calls,
			uint64_t whole)
{
	print_bytes_at(out, 19, bytes);
	print_percent_at(out, 29, bytes, whole);
	print_u64_at(out, 40, calls);
	print_text(out, calls == 1 ? " call" : " calls");
}

static void text_site(struct print *out, struct rank rank, size_t kind,
		      uint64_t whole)
{
	const struct site *site = &sites[rank.index];

	text_counts(out, rank.bytes, calls_at(rank.index, kind), whole);
	print_char(out, '\n');
	for (size_t i = 0; i < frames_of(site); i++)
		text_frame(out, site->frames[i]);
}

static void text_kind(struct print *out, size_t kind, size_t top)
{
	struct total total = total_of(kind), unknown = unknown_of(kind);
	struct rank rank = rank_start;

	print_text(out, kind == SERVED ? "\nCall sites of memory served ("
				       : "\nCall sites of memory passed (");
	print_u64(out, total.sites < top ? total.sites : top);
	print_text(out, " of ");
	print_u64(out, total.sites);
	print_text(out, ")\n");
	for (size_t i = 1; i <= top && next_rank(&rank, kind); i++) {
		print_u64_at(out, 6, i);
		text_site(out, rank, kind, total.bytes);
	}
	if (unknown.calls == 0)
		return;
	text_counts(out, unknown.bytes, unknown.calls, total.bytes);
	print_text(out, " from unknown sites (during a fork, or table full)\n");
}

void profile_text(struct print *out, size_t top)
{
	if (!profile_on)
		return;
	text_kind(out, SERVED, top);
	text_kind(out, PASSED, top);
}

/* ------------------------------------------------------------------------ */
/* As JSON                                                                   */

static void json_frame(struct print *out, uintptr_t frame)
{
	struct symbol name = symbolize(frame - 1);

	print_json_open(out, '{');
	if (name.function)
		print_json_member_string(out, "function", name.function);
	if (name.module) {
		print_json_member_string(out, "module", name.path);
		print_json_member_u64(out, "offset", name.module_offset);
	}
	print_json_member_u64(out, "address", frame - 1);
	print_json_close(out, '}');
}

static void json_site(struct print *out, struct rank rank, size_t kind)
{
	const struct site *site = &sites[rank.index];

	print_json_open(out, '{');
	print_json_member_u64(out, "bytes", rank.bytes);
	print_json_member_u64(out, "calls", calls_at(rank.index, kind));
	print_json_key(out, "frames");
	print_json_open(out, '[');
	for (size_t i = 0; i < frames_of(site); i++)
		json_frame(out, site->frames[i]);
	print_json_close(out, ']');
	print_json_close(out, '}');
}

static void json_kind(struct print *out, size_t kind, size_t top)
{
	struct total total = total_of(kind), unknown = unknown_of(kind);
	struct rank rank = rank_start;

	print_json_key(out, kind == SERVED ? "served" : "passed");
	print_json_open(out, '{');
	print_json_member_u64(out, "sites", total.sites);
	print_json_member_u64(out, "bytes", total.bytes);
	print_json_member_u64(out, "calls", total.calls);
	print_json_member_u64(out, "unknown_bytes", unknown.bytes);
	print_json_member_u64(out, "unknown_calls", unknown.calls);
	print_json_key(out, "top");
	print_json_open(out, '[');
	for (size_t i = 0; i < top && next_rank(&rank, kind); i++)
		json_site(out, rank, kind);
	print_json_close(out, ']');
	print_json_close(out, '}');
}

void profile_json(struct print *out, size_t top)
{
	if (!profile_on)
		return;
	print_json_key(out, "profile");
	print_json_open(out, '{');
	json_kind(out, SERVED, top);
	json_kind(out, PASSED, top);
	print_json_close(out, '}');
}
