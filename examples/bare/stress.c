/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A kernel that is nothing but its page allocator and a test of it: every
 * processor gets and puts blocks, ranges and single frames of the machine's
 * own memory. A map has the owner of each frame, and each frame that is held
 * has a mark of its owner written into it. On the command line:
 *
 *   cpus=N    so many processors
 *   rounds=N  so many steps on each
 *   double=1  the first processor puts a block twice
 *   leak=1    the first processor forgets a block
 */
#include <llfree.h>
#include <llfree_platform.h>
#include "examples/bare/machine.h"

#define MOST_EXTENTS 256u
#define MOST_BULK 16u
#define MOST_RANGE 1500u

/* Frames that a processor holds, one behind the other. */
struct extent {
	uint64_t first;
	size_t frames;
};

struct worker {
	unsigned cpu;
	uint64_t random;
	uint64_t calls, refused;
	size_t count;
	struct extent extents[MOST_EXTENTS];
};

/* A frame of the last test holds the number of the one that was got before. */
#define NO_FRAME 0u

static uint8_t handle[2 * LLFREE_CACHE_SIZE]
	__attribute__((aligned(LLFREE_CACHE_SIZE)));
static llfree_t *const allocator = (llfree_t *)handle;
static struct worker workers[MOST_CPUS];
static uint8_t *owners;
static unsigned cpus;
static uint64_t rounds, frames_got;
static bool put_twice, forget;

uint64_t llfree_retries;

void llfree_log(const char *text)
{
	print(text);
}

_Noreturn void llfree_panic(const char *text)
{
	print("# panic: ");
	print(text);
	print("\n");
	machine_exit(false);
}

static _Noreturn void fail(const char *what, uint64_t number)
{
	print_number(what, number);
	machine_exit(false);
}

static void must_be(const char *what, uint64_t found, uint64_t expected)
{
	if (found == expected)
		return;
	print_number("# expected ", expected);
	fail(what, found);
}

static uint64_t below(struct worker *w, uint64_t bound)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (w->random >> 16) % bound;
}

/* ------------------------------------------------------------------------ */
/* Memory                                                                    */

static uint64_t *contents(uint64_t frame)
{
	return (uint64_t *)(frame << LLFREE_FRAME_BITS);
}

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

/* Return the usable memory that holds `address`. */
static struct span memory_around(const struct start_info *info,
				 uint64_t address)
{
	struct span span;

	for (unsigned i = 0; (span = usable_memory(info, i)).end; i++)
		if (span.start <= address && address < span.end)
			return span;
	fail("# no memory there: ", address);
}

static uint64_t end_of_memory(const struct start_info *info)
{
	uint64_t end = 0;
	struct span span;

	for (unsigned i = 0; (span = usable_memory(info, i)).end; i++)
		end = span.end > end ? span.end : end;
	return end;
}

/*
 * Set up the allocator for all frames up to the last one, all allocated, with
 * its metadata behind the kernel. Return where that ends.
 */
static uint64_t place_metadata(const struct start_info *info, size_t frames)
{
	llfree_classing_t classing = llfree_classing_simple(cpus);
	llfree_meta_size_t size = llfree_metadata_size(&classing, frames);
	uint64_t start = round_up(kernel_image().end, LLFREE_FRAME_SIZE);
	llfree_meta_t meta;

	meta.lower = (uint8_t *)start;
	meta.trees = meta.lower + round_up(size.lower, LLFREE_CACHE_SIZE);
	meta.local = meta.trees + round_up(size.trees, LLFREE_CACHE_SIZE);
	start = (uint64_t)meta.local + size.local;
	if (start > memory_around(info, kernel_image().start).end)
		fail("# too much metadata: ", size.lower);
	if (!llfree_is_ok(llfree_init(allocator, frames, LLFREE_INIT_ALLOC,
				      meta, &classing)))
		fail("# cannot manage frames: ", frames);
	return start;
}

/* Hand all usable memory to the allocator, but what is in use: up to `used`. */
static void free_memory(const struct start_info *info, uint64_t used)
{
	llfree_request_t request = llfree_simple_request(cpus, 0, 0);
	struct span span;

	for (unsigned i = 0; (span = usable_memory(info, i)).end; i++) {
		uint64_t start = span.start > used ? span.start : used;
		uint64_t first = round_up(start, LLFREE_FRAME_SIZE) >>
				 LLFREE_FRAME_BITS;
		uint64_t end = span.end >> LLFREE_FRAME_BITS;

		if (first >= end)
			continue;
		if (!llfree_is_ok(llfree_put_range(allocator, frame_id(first),
						   end - first, request)))
			fail("# cannot free memory at frame ", first);
	}
}

/* The map of owners is memory from the allocator like all other. */
static void make_owners(size_t frames)
{
	size_t size = round_up(frames, LLFREE_FRAME_SIZE) >> LLFREE_FRAME_BITS;
	llfree_result_t got =
		llfree_get_range(allocator, frame_id_none(), size,
				 llfree_simple_request(cpus, 0, 0));

	if (!llfree_is_ok(got))
		fail("# no room for the map of owners: ", size);
	owners = (uint8_t *)contents(got.frame.value);
	memset(owners, 0, frames);
}

/* ------------------------------------------------------------------------ */
/* Stress                                                                    */

static uint64_t mark_of(const struct worker *w, uint64_t frame)
{
	return (frame << 8 | w->cpu) * 0x9e3779b97f4a7c15ull;
}

static void own(struct worker *w, struct extent extent)
{
	for (uint64_t f = extent.first; f < extent.first + extent.frames; f++) {
		uint8_t owner = __atomic_exchange_n(
			&owners[f], (uint8_t)(w->cpu + 1), __ATOMIC_ACQ_REL);

		if (owner)
			fail("# got, but has an owner: frame ", f);
		*contents(f) = mark_of(w, f);
	}
	w->extents[w->count++] = extent;
}

static void disown(const struct worker *w, struct extent extent)
{
	for (uint64_t f = extent.first; f < extent.first + extent.frames; f++) {
		if (*contents(f) != mark_of(w, f))
			fail("# written to by another: frame ", f);
		if (__atomic_exchange_n(&owners[f], 0, __ATOMIC_ACQ_REL) !=
		    w->cpu + 1)
			fail("# taken by another: frame ", f);
	}
}

static llfree_request_t request_of(const struct worker *w, unsigned order)
{
	return llfree_simple_request(cpus, (uint8_t)order, w->cpu);
}

static void got(struct worker *w, llfree_result_t result, size_t frames)
{
	if (llfree_is_ok(result))
		own(w, (struct extent){ result.frame.value, frames });
	else
		w->refused++;
	w->calls++;
}

static void get_block(struct worker *w)
{
	unsigned order = (unsigned)below(w, 1 + below(w, LLFREE_MAX_ORDER + 1));

	got(w, llfree_get(allocator, frame_id_none(), request_of(w, order)),
	    (size_t)1 << order);
}

static void get_range(struct worker *w)
{
	size_t frames = 1 + below(w, MOST_RANGE);

	got(w,
	    llfree_get_range(allocator, frame_id_none(), frames,
			     request_of(w, 0)),
	    frames);
}

static void get_bulk(struct worker *w)
{
	frame_id_t frames[MOST_BULK];
	llfree_bulk_t bulk =
		llfree_get_bulk(allocator, frames, MOST_BULK, request_of(w, 0));

	for (size_t i = 0; i < bulk.count; i++)
		own(w, (struct extent){ frames[i].value, 1 });
	w->refused += bulk.error != LLFREE_ERR_OK;
	w->calls++;
}

static void put_extent(struct worker *w, struct extent extent)
{
	llfree_result_t result;

	if (extent.frames == 1)
		result = llfree_put(allocator, frame_id(extent.first),
				    request_of(w, 0));
	else
		result = llfree_put_range(allocator, frame_id(extent.first),
					  extent.frames, request_of(w, 0));
	if (!llfree_is_ok(result))
		fail("# cannot put what is held: frame ", extent.first);
	w->calls++;
}

/* Put an extent, or the first half of it; the rest stays. */
static void put_some(struct worker *w)
{
	size_t i = below(w, w->count);
	struct extent extent = w->extents[i];
	bool half = extent.frames > 1 && below(w, 4) == 0;

	if (half)
		extent.frames /= 2;
	disown(w, extent);
	put_extent(w, extent);
	if (half) {
		w->extents[i].first += extent.frames;
		w->extents[i].frames -= extent.frames;
	} else {
		w->extents[i] = w->extents[--w->count];
	}
}

static void step(struct worker *w)
{
	static void (*const gets[])(struct worker *) = { get_block, get_range,
							 get_bulk };

	if (w->count + MOST_BULK > MOST_EXTENTS ||
	    (w->count && below(w, MOST_EXTENTS) < w->count))
		put_some(w);
	else
		gets[below(w, 3)](w);
}

/* The two mistakes that the checks have to find. */
static void make_mistakes(struct worker *w)
{
	if (w->cpu != 0 || !w->count)
		return;
	if (put_twice)
		put_extent(w, w->extents[0]);
	if (forget) {
		disown(w, w->extents[0]);
		w->extents[0] = w->extents[--w->count];
	}
	put_twice = forget = false;
}

static void stress(struct worker *w)
{
	for (uint64_t i = 0; i < rounds; i++) {
		step(w);
		if (i == rounds / 2)
			make_mistakes(w);
	}
	while (w->count)
		put_some(w);
}

/* Get single frames, linked through themselves, until there are none. */
static void exhaust(struct worker *w)
{
	uint64_t last = NO_FRAME;
	llfree_result_t got;
	uint64_t count = 0;

	while (llfree_is_ok(got = llfree_get(allocator, frame_id_none(),
					     request_of(w, 0)))) {
		own(w, (struct extent){ got.frame.value, 1 });
		w->count = 0;
		contents(got.frame.value)[1] = last;
		last = got.frame.value;
		count++;
	}
	atom_add(&frames_got, count);
	barrier(cpus);
	while (last != NO_FRAME) {
		struct extent extent = { last, 1 };

		last = contents(last)[1];
		disown(w, extent);
		put_extent(w, extent);
	}
}

static void work(unsigned cpu)
{
	struct worker *w = &workers[cpu];

	w->cpu = cpu;
	w->random = (cpu + 1) * 0x9e3779b97f4a7c15ull;
	barrier(cpus);
	stress(w);
	barrier(cpus);
	exhaust(w);
	barrier(cpus);
}

_Noreturn void other_cpu(unsigned cpu)
{
	if (cpu < cpus)
		work(cpu);
	for (;;)
		asm volatile("hlt");
}

static void check(ll_stats_t before)
{
	ll_stats_t after = llfree_stats(allocator);

	llfree_validate(allocator);
	must_be("# free frames: ", after.free_frames, before.free_frames);
	must_be("# free frames by the trees' counters: ",
		llfree_tree_stats(allocator).free_frames, before.free_frames);
	must_be("# free huge frames: ", after.free_huge, before.free_huge);
	must_be("# frames got until there were none: ", frames_got,
		before.free_frames);
}

_Noreturn void first_cpu(const struct start_info *info)
{
	size_t frames = end_of_memory(info) >> LLFREE_FRAME_BITS;
	uint64_t calls = 0, refused = 0;
	ll_stats_t before;

	cpus = (unsigned)parameter(info, "cpus", 1);
	rounds = parameter(info, "rounds", 10000);
	put_twice = parameter(info, "double", 0);
	forget = parameter(info, "leak", 0);
	if (cpus < 1 || cpus > MOST_CPUS)
		fail("# too many processors: ", cpus);
	free_memory(info, place_metadata(info, frames));
	make_owners(frames);
	before = llfree_stats(allocator);
	start_cpus(cpus);
	work(0);
	check(before);
	for (unsigned i = 0; i < cpus; i++) {
		calls += workers[i].calls;
		refused += workers[i].refused;
	}
	print_number("# processors: ", cpus);
	print_number("# frames managed: ", frames);
	print_number("# frames free: ", before.free_frames);
	print_number("# calls: ", calls);
	print_number("# refused: ", refused);
	print_number("# repeated compare-and-swaps: ", atom_retries());
	print("# done\n");
	machine_exit(true);
}
