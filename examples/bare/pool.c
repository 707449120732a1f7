/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A kernel with a pool in persistent memory, which is killed at any moment: the
 * next one recovers the allocator from its lower metadata and compares it with a
 * journal beside it. Then its processors go on: each puts a block that is its
 * own or gets another one, for ever.
 *
 *   - what a completed get returned is allocated, and has its owner's mark
 *   - what a completed put freed is free, or another's
 *   - all else that is allocated is what gets under way asked for, all of it or
 *     nothing, or in blocks that were being put
 *
 * On the command line: cpus=N; check=1, only check; mistake=1, a processor
 * forgets to put what it gives up.
 */
#include <llfree.h>
#include <llfree_platform.h>
#include "examples/bare/machine.h"

#define POOL_ADDRESS (4ull << 30) /* where QEMU puts an NVDIMM */
#define POOL_MAGIC 0x4c4f4f5045455246ull
#define CPUS 8u
#define FRAMES 8192u
#define NOBODY 0u

/* What a processor is at. In GOT it marks what a get has returned. */
enum { NO_CALL, A_GET, GOT, A_PUT };

struct flight {
	uint64_t call;
	uint64_t first;
	uint64_t order;
	uint64_t calls;
} __attribute__((aligned(LLFREE_CACHE_SIZE)));

struct pool {
	uint64_t magic;
	uint64_t starts;
	struct flight flights[CPUS];
	uint8_t owners[FRAMES];
	uint8_t lower[64 * 1024] __attribute__((aligned(4096)));
	uint64_t frames[FRAMES][LLFREE_FRAME_SIZE / 8];
};

static struct pool *const pool = (struct pool *)POOL_ADDRESS;
static uint8_t handle[2 * LLFREE_CACHE_SIZE]
	__attribute__((aligned(LLFREE_CACHE_SIZE)));
static uint8_t trees[4096],
	local[4096] __attribute__((aligned(LLFREE_CACHE_SIZE)));
static llfree_t *const allocator = (llfree_t *)handle;
static bool doubtful[FRAMES];
static unsigned cpus;
static bool forgetting;

/* Orders that one atomic step gets: a kill shows all of it or nothing. */
static uint64_t order_of(uint64_t random)
{
	static const uint8_t orders[] = { 0, 0, 0, 3, 6, 9, 10 };

	return orders[random % sizeof(orders)];
}

static llfree_request_t request(unsigned cpu, uint64_t order)
{
	return llfree_simple_request(CPUS, (uint8_t)order, cpu);
}

static uint64_t mark_of(uint64_t frame, unsigned owner)
{
	return (frame << 8 | owner) * 0x9e3779b97f4a7c15ull;
}

/* ------------------------------------------------------------------------ */
/* Work                                                                      */

static void set_owner(uint64_t first, uint64_t order, unsigned owner)
{
	for (uint64_t f = first; f < first + (1ull << order); f++) {
		if (owner != NOBODY) {
			pool->frames[f][0] = mark_of(f, owner);
			persist(&pool->frames[f][0], sizeof(uint64_t));
		}
		atom_store_release(&pool->owners[f], (uint8_t)owner);
	}
	persist(&pool->owners[first], 1ull << order);
}

static bool all_owned(uint64_t first, uint64_t order, unsigned owner)
{
	for (uint64_t f = first; f < first + (1ull << order); f++)
		if (atom_load(&pool->owners[f]) != owner)
			return false;
	return true;
}

/* The call last: until then the others are those of no call. */
static void fly(struct flight *flight, uint64_t call, uint64_t first,
		uint64_t order)
{
	atom_store_release(&flight->first, first);
	atom_store_release(&flight->order, order);
	atom_store_release(&flight->call, call);
	persist(flight, sizeof(*flight));
}

static void land(struct flight *flight)
{
	atom_store_release(&flight->call, NO_CALL);
	flight->calls++;
	persist(flight, sizeof(*flight));
}

static void get(unsigned cpu, struct flight *flight, uint64_t order)
{
	llfree_result_t got;

	fly(flight, A_GET, 0, order);
	got = llfree_get(allocator, frame_id_none(), request(cpu, order));
	if (llfree_is_ok(got)) {
		atom_store_release(&flight->first, got.frame.value);
		atom_store_release(&flight->call, GOT);
		persist(flight, sizeof(*flight));
		set_owner(got.frame.value, order, cpu + 1);
	}
	land(flight);
}

static void put(unsigned cpu, struct flight *flight, uint64_t first,
		uint64_t order)
{
	fly(flight, A_PUT, first, order);
	set_owner(first, order, NOBODY);
	if (!forgetting && !llfree_is_ok(llfree_put(allocator, frame_id(first),
						    request(cpu, order))))
		fail("cannot put what is owned: frame ", first);
	land(flight);
}

static _Noreturn void work(unsigned cpu)
{
	struct flight *flight = &pool->flights[cpu];
	uint64_t random = (pool->starts * CPUS + cpu + 1) * 0x9e3779b97f4a7c15;

	for (;;) {
		uint64_t order, first;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		order = order_of(random >> 8);
		first = (random >> 16) % FRAMES >> order << order;
		if (all_owned(first, order, cpu + 1))
			put(cpu, flight, first, order);
		else if ((random >> 40) % (2 * cpus) == 0)
			get(cpu, flight, order);
	}
}

/* ------------------------------------------------------------------------ */
/* Check                                                                     */

static bool is_allocated(uint64_t frame)
{
	return llfree_stats_at(allocator, frame_id(frame), 0).free_frames == 0;
}

static void check_owners(void)
{
	for (uint64_t f = 0; f < FRAMES; f++) {
		unsigned owner = pool->owners[f];

		doubtful[f] = owner == NOBODY && is_allocated(f);
		if (owner == NOBODY)
			continue;
		if (!is_allocated(f))
			fail("a frame is owned, but free: ", f);
		if (pool->frames[f][0] != mark_of(f, owner))
			fail("a frame has not its owner's mark: ", f);
	}
}

static void settle(const struct flight *flight, unsigned cpu)
{
	uint64_t end = flight->first + (1ull << flight->order);

	for (uint64_t f = flight->first; f < end; f++) {
		if (flight->call == GOT &&
		    (!is_allocated(f) ||
		     (pool->owners[f] != NOBODY && pool->owners[f] != cpu + 1)))
			fail("a get returned it, but it is free: frame ", f);
		doubtful[f] = false;
	}
}

static bool all_doubtful(uint64_t first, uint64_t order)
{
	for (uint64_t f = first; f < first + (1ull << order); f++)
		if (!doubtful[f])
			return false;
	return true;
}

/* Can all that is doubtful from there on be what these gets (a set) got? */
static bool explained(unsigned gets, uint64_t from)
{
	while (from < FRAMES && !doubtful[from])
		from++;
	if (from == FRAMES)
		return true;
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		uint64_t order = pool->flights[cpu].order;

		if (gets >> cpu & 1 && from % (1ull << order) == 0 &&
		    all_doubtful(from, order) &&
		    explained(gets & ~(1u << cpu), from + (1ull << order)))
			return true;
	}
	return false;
}

static void check(void)
{
	unsigned gets = 0;

	check_owners();
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		const struct flight *flight = &pool->flights[cpu];

		if (flight->call == A_GET)
			gets |= 1u << cpu;
		else if (flight->call != NO_CALL)
			settle(flight, cpu);
	}
	if (!explained(gets, 0))
		fail("frames are allocated that no call asked for: ", gets);
	llfree_validate(allocator);
}

/* What nobody owns becomes free: that is what an owner would do. */
static void free_unowned(void)
{
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		atom_store_release(&pool->flights[cpu].call, NO_CALL);
	for (uint64_t f = 0; f < FRAMES; f++)
		if (pool->owners[f] == NOBODY && is_allocated(f) &&
		    !llfree_is_ok(
			    llfree_put(allocator, frame_id(f), request(0, 0))))
			fail("cannot free frame ", f);
}

/* ------------------------------------------------------------------------ */

static void open_pool(void)
{
	llfree_classing_t classing = llfree_classing_simple(CPUS);
	llfree_meta_size_t size = llfree_metadata_size(&classing, FRAMES);
	llfree_meta_t meta = { local, trees, pool->lower };
	bool is_new = pool->magic != POOL_MAGIC;

	if (size.lower > sizeof(pool->lower) || size.trees > sizeof(trees) ||
	    size.local > sizeof(local))
		fail("too much metadata: ", size.lower);
	if (!llfree_is_ok(
		    llfree_init(allocator, FRAMES,
				is_new ? LLFREE_INIT_FREE : LLFREE_INIT_RECOVER,
				meta, &classing)))
		fail("cannot open the pool of frames: ", FRAMES);
	atom_store_release(&pool->magic, POOL_MAGIC);
	persist(&pool->magic, sizeof(pool->magic));
}

static void print_pool(void)
{
	uint64_t calls = 0, owned = 0;

	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		calls += pool->flights[cpu].calls;
	for (uint64_t f = 0; f < FRAMES; f++)
		owned += pool->owners[f] != NOBODY;
	print_number("starts: ", pool->starts);
	print_number("calls: ", calls);
	print_number("frames owned: ", owned);
}

_Noreturn void other_cpu(unsigned cpu)
{
	work(cpu);
}

_Noreturn void first_cpu(const struct start_info *info)
{
	cpus = (unsigned)parameter(info, "cpus", 1);
	forgetting = parameter(info, "mistake", 0);
	if (cpus < 1 || cpus > CPUS)
		fail("too many processors: ", cpus);
	open_pool();
	check();
	print_pool();
	if (parameter(info, "check", 0)) {
		print("# done\n");
		machine_exit(true);
	}
	free_unowned();
	pool->starts++;
	persist(&pool->starts, sizeof(pool->starts));
	print("# working\n");
	start_cpus(cpus);
	work(0);
}
