/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The arena on a kernel that refuses at will. One arena of a few trees serves
 * all tests; each leaves it with nothing in use, and counted right.
 */
#include "tests/unit/preload/arena.h"

#include "preload/arena/usage.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#define TREES 4u
#define DECAY 1000u /* milliseconds */

/* What the kernel refuses at the moment, with ENOMEM; some kernels have then
 * taken away what was to be mapped over. */
static struct {
	bool mmap, munmap, madvise, mincore, mremap;
	bool takes;
} refuse;
static size_t fresh_mappings, all_mappings; /* asked for */

/* Called once, in the midst of the next call. */
static void (*in_mmap)(void), (*in_madvise)(void), (*in_yield)(void);
static size_t yields;

static void call_once(void (**what)(void))
{
	void (*function)(void) = *what;

	*what = NULL;
	if (function)
		function();
}

static void fake_yield(unsigned tries)
{
	(void)tries;
	yields++;
	call_once(&in_yield);
}

static long fake_mmap(void *addr, size_t len, int prot, int flags, int fd,
		      off_t offset)
{
	call_once(&in_mmap);
	all_mappings++;
	if (refuse.mmap && refuse.takes && flags & MAP_FIXED)
		sys_munmap(addr, len);
	if (refuse.mmap)
		return -ENOMEM;
	fresh_mappings += flags & MAP_FIXED ? 1 : 0;
	return sys_mmap(addr, len, prot, flags, fd, offset);
}

static long fake_munmap(void *addr, size_t len)
{
	return refuse.munmap ? -ENOMEM : sys_munmap(addr, len);
}

static long fake_madvise(void *addr, size_t len, int advice)
{
	call_once(&in_madvise);
	return refuse.madvise ? -ENOMEM : sys_madvise(addr, len, advice);
}

static long fake_mincore(void *addr, size_t len, unsigned char *vec)
{
	return refuse.mincore ? -ENOMEM : sys_mincore(addr, len, vec);
}

static long fake_mremap(void *addr, size_t old_len, size_t new_len, int flags,
			void *new_addr)
{
	return refuse.mremap
		       ? -ENOMEM
		       : sys_mremap(addr, old_len, new_len, flags, new_addr);
}

static size_t requests; /* to the allocator */

/* Called each time that the processor is asked for. */
static void (*in_cpu)(void);

static unsigned fake_cpu(void)
{
	void (*function)(void) = in_cpu;

	requests++;
	in_cpu = NULL;
	if (function)
		function();
	in_cpu = function;
	return 0;
}

static size_t searches; /* for what to purge */

static bool fake_alone(void)
{
	searches++;
	return false;
}

static int start(void **state)
{
	static struct arena_os kernel;
	static const struct arena_options fixed = {
		.bytes = TREES * TREE,
		.page = PAGE,
		.cores = 1,
		.decay = DECAY,
	};
	static struct arena_options options;

	(void)state;
	kernel = real_kernel();
	kernel.mmap = fake_mmap;
	kernel.munmap = fake_munmap;
	kernel.mremap = fake_mremap;
	kernel.madvise = fake_madvise;
	kernel.mincore = fake_mincore;
	kernel.cpu = fake_cpu;
	kernel.alone = fake_alone;
	kernel.yield = fake_yield;
	options = fixed;
	options.hint = getauxval(AT_RANDOM);
	start_arena(&kernel, &options);
	assert_int_equal(arena_bounds.len, TREES * TREE);
	assert_int_equal(arena_bounds.start % TREE, 0);
	return 0;
}

static int nothing_in_use(void **state)
{
	struct arena_snapshot f;

	(void)state;
	memset(&refuse, 0, sizeof(refuse));
	arena_snapshot(&f);
	assert_int_equal(f.live, 0);
	assert_int_equal(f.free_frames + f.leaked, f.frames);
	assert_int_equal(f.fast_free, f.free_frames);
	assert_int_equal(usage_any_dirty(), f.dirty > 0);
	return 0;
}

static bool is_filled(const char *p, size_t len, char value)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != value)
			return false;
	return true;
}

/* Nothing was served from it yet. */
static void no_memory_for_a_tree(void **state)
{
	void *addr;

	(void)state;
	refuse.mmap = true;
	assert_int_equal(arena_get(PAGE, false, &addr), REASON_KERNEL_REFUSED);
	assert_int_equal(arena_get(3 << 20, false, &addr),
			 REASON_KERNEL_REFUSED);
}

static void refused_at_once(void)
{
	void *addr;

	assert_int_equal(arena_get(PAGE, false, &addr), REASON_KERNEL_REFUSED);
}

/* What interrupts whoever brings a tree online goes on without it. */
static void interrupted_tree(void **state)
{
	(void)state;
	in_mmap = refused_at_once;
	yields = 0;
	refuse.mmap = true; /* it stays as it is for the next test */
	refused_at_once();
	assert_null(in_mmap);
	assert_in_range(yields, 1, 100);
}

static sem_t is_late, is_there;
static pthread_t late_thread;

static void wait_until_there(void)
{
	sem_post(&is_late);
	sem_wait(&is_there);
}

static void *come_late(void *arg)
{
	put(get(PAGE), PAGE);
	return arg;
}

static void start_late_thread(void)
{
	in_yield = wait_until_there;
	assert_int_equal(pthread_create(&late_thread, NULL, come_late, NULL),
			 0);
	sem_wait(&is_late);
}

/* A thread that needs a tree which another one brings online is served. */
static void awaited_tree(void **state)
{
	char *mine;

	(void)state;
	assert_true(arena_trim());
	sem_init(&is_late, 0, 0);
	sem_init(&is_there, 0, 0);
	in_mmap = start_late_thread;
	mine = get(PAGE);
	assert_null(in_mmap);
	sem_post(&is_there);
	assert_int_equal(pthread_join(late_thread, NULL), 0);
	put(mine, PAGE);
}

#define HUGE ((size_t)2 << 20)

/* All that there is, in pieces of 2 MiB. */
static size_t get_all(char **all, size_t cap)
{
	enum reason why = REASON_NONE;
	size_t count = 0, refused = 0;
	void *addr;

	while (why != REASON_ARENA_FULL) {
		why = arena_get(HUGE, false, &addr);
		if (why == REASON_NONE) {
			assert_true(count < cap);
			all[count++] = addr;
		} else {
			assert_true(refused++ < 1000);
		}
	}
	return count;
}

/* Someone maps a page in each tree but the last: they are left alone. */
static void trees_of_others(void **state)
{
	struct arena_snapshot f;
	char *theirs[TREES - 1], *all[TREES * TREE / HUGE];
	size_t count;

	(void)state;
	for (size_t i = 0; i < TREES - 1; i++) {
		long at = sys_mmap((char *)arena_bounds.start + i * TREE + PAGE,
				   PAGE, RW,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
				   0);

		theirs[i] = (char *)at;
		theirs[i][0] = 't';
	}
	requests = 0;
	put(get(PAGE), PAGE);
	assert_true(requests < 100);
	count = get_all(all, TREES * TREE / HUGE);
	assert_int_equal(count, TREE / HUGE);
	for (size_t i = 0; i < count; i++) {
		assert_true((uintptr_t)all[i] >= arena_bounds.start + 3 * TREE);
		put(all[i], HUGE);
	}
	for (size_t i = 0; i < TREES - 1; i++) {
		assert_int_equal(theirs[i][0], 't');
		sys_munmap(theirs[i], PAGE);
	}
	arena_snapshot(&f);
	assert_int_equal(f.online, LLFREE_TREE_SIZE);
	assert_int_equal(f.leaked, (TREES - 1) * LLFREE_TREE_SIZE);
}

/* Pages, or what keeps their number bearable when trees are large. */
#define PIECES 4096u
#define PIECE (TREE / PIECES > PAGE ? TREE / PIECES : PAGE)

static void full(void **state)
{
	static char *all[PIECES];
	size_t count = 0;
	void *addr;

	(void)state;
	while (arena_get(PIECE, false, &addr) == REASON_NONE) {
		assert_true(count < PIECES);
		all[count] = addr;
		assert_true(is_filled(all[count], PAGE, 0));
		memset(all[count++], 'f', PAGE);
	}
	assert_int_equal(count, TREE / PIECE);
	assert_int_equal(arena_get(PIECE, false, &addr), REASON_ARENA_FULL);
	for (size_t i = 0; i < count; i++)
		put(all[i], PIECE);
	put(get(TREE), TREE);
}

/* Zeroed with whatever help there is. */
static void zeros(void **state)
{
	static const size_t lengths[] = { PAGE, 31 * PAGE, 32 * PAGE,
					  700 * PAGE, 2048 * PAGE };

	(void)state;
	for (unsigned help = 0; help < 8; help++) {
		refuse.madvise = help & 1;
		refuse.mincore = help & 2;
		for (size_t i = 0; i < 5 && lengths[i] <= TREE; i++) {
			char *p = get(lengths[i]);

			assert_true(is_filled(p, lengths[i], 0));
			if (help & 4)
				memset(p, 'z', lengths[i]);
			else
				for (size_t at = 0; at < lengths[i];
				     at += 3 * PAGE)
					p[at] = 'z';
			put(p, lengths[i]);
		}
	}
}

/* munmap fails when the kernel refuses a fresh mapping, and to do without one:
 * the program keeps all. */
static void no_fresh_mapping(void **state)
{
	struct arena_tally tally = { 0, 0 };
	char *p = get(10 * PAGE);

	(void)state;
	memset(p, 'k', 10 * PAGE);
	arena_remap_later(at(p, 10 * PAGE), REMAP_BEFORE_USE);
	refuse.mmap = refuse.munmap = true;
	assert_int_equal(arena_unmap(at(p, 10 * PAGE), &tally), -ENOMEM);
	assert_int_equal(tally.ours, 0);
	assert_true(arena_is_live(at(p, 10 * PAGE)));
	assert_true(is_filled(p, 10 * PAGE, 'k'));
	refuse.mmap = refuse.munmap = false;
	put(p, 10 * PAGE);
}

/* No room for one mapping more: none until the frames serve again. */
static void no_mapping_at_all(void **state)
{
	struct arena_tally tally = { 0, 0 };
	unsigned char vec[10];
	char *p = get(10 * PAGE);

	(void)state;
	memset(p, 'k', 10 * PAGE);
	arena_remap_later(at(p, 10 * PAGE), REMAP_BEFORE_USE);
	refuse.mmap = true;
	assert_int_equal(arena_unmap(at(p, 10 * PAGE), &tally), 0);
	assert_int_equal(tally.ours, 10 * PAGE);
	assert_int_equal(sys_mincore(p, 10 * PAGE, vec), -ENOMEM);
	refuse.mmap = false;
	assert_ptr_equal(get(10 * PAGE), p);
	assert_true(is_filled(p, 10 * PAGE, 0));
	put(p, 10 * PAGE);
}

/* What was only moved can go without. */
static void moved_without_fresh_mapping(void **state)
{
	char *p = get(10 * PAGE);

	(void)state;
	memset(p, 'm', 10 * PAGE);
	arena_remap_later(at(p, 10 * PAGE), REMAP_ON_FREE);
	refuse.mmap = true;
	put(p, 10 * PAGE);
	p = get(10 * PAGE);
	assert_true(is_filled(p, 10 * PAGE, 0));
	refuse.mmap = false;
	put(p, 10 * PAGE);
}

/* One fresh mapping for altered neighbours. */
static void neighbours_together(void **state)
{
	char *p = get(64 * PAGE), *other = get(PAGE);

	(void)state;
	arena_remap_later(at(p + 8 * PAGE, 16 * PAGE), REMAP_BEFORE_USE);
	fresh_mappings = 0;
	put(p, 64 * PAGE);
	assert_int_equal(fresh_mappings, 1);
	put(other, PAGE);
}

/* How many mappings the kernel has in the arena. */
static size_t mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	uintptr_t from;
	size_t count = 0;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		count += sscanf(line, "%" SCNxPTR "-", &from) == 1 &&
			 from - arena_bounds.start < arena_bounds.len;
	fclose(maps);
	return count;
}

enum { APART = 128 };

/* Each second of the regions gets its pages while both neighbours differ from
 * it: so the kernel keeps them apart for ever. */
static void take_pieces(char *p[APART])
{
	for (size_t i = 0; i < APART; i++)
		p[i] = get(4 * PAGE);
	for (size_t i = 0; i < APART; i += 2) {
		arena_remap_later(at(p[i], 4 * PAGE), REMAP_BEFORE_USE);
		madvise(p[i], 4 * PAGE, MADV_DONTFORK);
		memset(p[i], 'p', 4 * PAGE);
	}
	for (size_t i = 1; i < APART; i += 2) {
		arena_remap_later(at(p[i], 4 * PAGE), REMAP_ON_FREE);
		put(p[i], 4 * PAGE);
		assert_true(arena_get_at(at(p[i], 4 * PAGE)));
		memset(p[i], 'p', 4 * PAGE);
	}
}

/* With something in use amidst them, and when all is free. */
static void pieces_become_one(void **state)
{
	char *p[APART], *stays;
	size_t before;

	(void)state;
	put(get(PAGE), PAGE);
	before = mappings();
	take_pieces(p);
	assert_true(mappings() >= before + APART / 2);
	stays = p[APART / 2 + 1];
	for (size_t i = 0; i < APART; i++)
		if (p[i] != stays)
			put(p[i], 4 * PAGE);
	assert_true(mappings() <= before + APART / 4);
	assert_true(is_filled(stays, 4 * PAGE, 'p'));
	put(stays, 4 * PAGE);
	assert_true(mappings() <= before);
}

/* When the kernel says that there are too many. */
static void pieces_that_are_counted(void **state)
{
	char *p = get(3 * PAGE);
	size_t before = mappings();

	(void)state;
	arena_remap_later(at(p, PAGE), REMAP_BEFORE_USE);
	madvise(p, PAGE, MADV_DONTFORK);
	memset(p + PAGE, 'p', PAGE);
	put(p, 2 * PAGE);
	arena_trim();
	assert_true(mappings() <= before);
	put(p + 2 * PAGE, PAGE);
}

static void exact_places(void **state)
{
	char *p = get(8 * PAGE);

	(void)state;
	assert_false(arena_get_at(at(p, PAGE)));
	put(p + 4 * PAGE, 4 * PAGE);
	assert_true(arena_get_at(at(p + 4 * PAGE, 2 * PAGE)));
	assert_true(arena_is_live(at(p, 6 * PAGE)));
	assert_false(arena_is_live(at(p, 8 * PAGE)));
	assert_false(arena_get_at(region(region_end(arena_bounds), PAGE)));
	put(p, 8 * PAGE);
}

/* A pipe may have its pages: when they cannot be mapped afresh they go. */
static void moved_and_refused(void **state)
{
	char *p = get(2 * PAGE);

	(void)state;
	memset(p, 'm', 2 * PAGE);
	arena_remap_later(at(p, PAGE), REMAP_ON_FREE);
	refuse.mmap = true;
	put(p, PAGE);
	refuse.mmap = false;
	assert_true(is_filled(p, PAGE, 0));
	put(p + PAGE, PAGE);
}

/* Nothing is mapped where a mapping was refused: what is served there is. */
static void moved_and_taken(void **state)
{
	char *p = get(2 * PAGE);

	(void)state;
	arena_remap_later(at(p, 2 * PAGE), REMAP_ON_FREE);
	refuse.mmap = refuse.takes = true;
	put(p, 2 * PAGE);
	refuse.mmap = false;
	assert_true(arena_get_at(at(p, 2 * PAGE)));
	assert_int_equal(sys_madvise(p, 2 * PAGE, MADV_NORMAL), 0);
	put(p, 2 * PAGE);
}

static void tidied_and_taken(void **state)
{
	char *p = get(3 * PAGE);

	(void)state;
	arena_remap_later(at(p, PAGE), REMAP_BEFORE_USE);
	put(p, 2 * PAGE);
	refuse.mmap = refuse.takes = true;
	arena_trim();
	refuse.mmap = false;
	assert_true(arena_get_at(at(p, 2 * PAGE)));
	assert_int_equal(sys_madvise(p, 2 * PAGE, MADV_NORMAL), 0);
	put(p, 3 * PAGE);
}

static void holes_detached(void **state)
{
	char *p = get(8 * PAGE);
	struct arena_detached claimed;

	(void)state;
	memset(p, 'c', 8 * PAGE);
	put(p + 2 * PAGE, 2 * PAGE);
	assert_true(arena_is_free(at(p + 2 * PAGE, 2 * PAGE)));
	assert_false(arena_is_free(at(p + 2 * PAGE, 3 * PAGE)));
	claimed = arena_detach(at(p, 8 * PAGE));
	assert_true(arena_is_live(at(p, 8 * PAGE)));
	arena_reattach(&claimed, false);
	assert_true(arena_is_free(at(p + 2 * PAGE, 2 * PAGE)));
	assert_true(is_filled(p, 2 * PAGE, 'c'));
	put(p, 8 * PAGE);
}

/* The kernel has room for no mapping, and leaves all as it is: so do we. */
static void detached_and_refused(void **state)
{
	char *p = get(4 * PAGE);
	uintptr_t hole = (uintptr_t)p + PAGE;
	struct arena_detached claimed;

	(void)state;
	memset(p, 'c', 4 * PAGE);
	put(p + PAGE, 2 * PAGE);
	refuse.mmap = refuse.munmap = true;
	claimed = arena_detach(region(hole, 2 * PAGE));
	arena_reattach(&claimed, false);
	assert_true(arena_is_free(region(hole, 2 * PAGE)));
	claimed = arena_detach_free(region(hole, 2 * PAGE));
	arena_reattach(&claimed, false);
	assert_true(arena_is_free(region(hole, 2 * PAGE)));
	assert_true(arena_get_at(region(hole, 2 * PAGE)));
	assert_true(is_filled(p + PAGE, 2 * PAGE, 0));
	refuse.mmap = refuse.munmap = false;
	put(p, 4 * PAGE);
}

/* A refusal costs as much for a large region as for a small one. */
static void detached_much(void **state)
{
	char *p = get(TREE / 2);
	struct arena_detached claimed = arena_detach(at(p, TREE / 2));
	size_t before = all_mappings;

	(void)state;
	arena_reattach(&claimed, false);
	assert_true(all_mappings < before + 8);
	assert_true(arena_is_live(at(p, TREE / 2)));
	put(p, TREE / 2);
}

/* The kernel takes memory away; in one place it is faster than we. */
static void reclaims(void **state)
{
	char *p = get(8 * PAGE);

	(void)state;
	memset(p, 'r', 8 * PAGE);
	sys_munmap(p + PAGE, 4 * PAGE);
	assert_int_equal(sys_mmap(p + 2 * PAGE, PAGE, RW,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
				  0),
			 (uintptr_t)p + 2 * PAGE);
	p[2 * PAGE] = 'o';
	arena_reclaim_unmapped(at(p, 8 * PAGE));
	assert_true(arena_is_free(at(p + PAGE, PAGE)));
	assert_true(arena_is_live(at(p + 2 * PAGE, PAGE)));
	assert_true(arena_is_free(at(p + 3 * PAGE, 2 * PAGE)));
	assert_int_equal(p[2 * PAGE], 'o');
	assert_true(is_filled(p + 5 * PAGE, 3 * PAGE, 'r'));
	put(p, 8 * PAGE);
}

/* Two threads unmap overlapping parts: the frames are freed once. */
static char *disputed;
static pthread_barrier_t together;

static void *unmapper(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		struct arena_tally *tally = arg;

		pthread_barrier_wait(&together);
		arena_unmap(at(disputed, 100 * PAGE), tally);
		pthread_barrier_wait(&together);
	}
	return NULL;
}

static void freed_once(void **state)
{
	struct arena_tally other = { 0, 0 }, mine = { 0, 0 };
	pthread_t thread;

	(void)state;
	pthread_barrier_init(&together, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, unmapper, &other), 0);
	for (int i = 0; i < 2000; i++) {
		disputed = get(100 * PAGE);
		pthread_barrier_wait(&together);
		arena_unmap(at(disputed, 100 * PAGE), &mine);
		pthread_barrier_wait(&together);
	}
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&together);
	assert_int_equal(mine.ours + other.ours, (size_t)2000 * 100 * PAGE);
	assert_int_equal(mine.kernel + other.kernel, 0);
}

/* While a thread frees them, frames can be had by no other, until they count as
 * dirty and as free. */
static struct region being_freed;
static size_t looks;

static void look_at_freed(void)
{
	looks++;
	assert_false(arena_get_at(being_freed));
}

static void freed_at_last(void **state)
{
	char *p = get(100 * PAGE);

	(void)state;
	memset(p, 'f', 100 * PAGE);
	being_freed = at(p, 100 * PAGE);
	looks = 0;
	in_cpu = look_at_freed;
	in_madvise = look_at_freed;
	arena_free(being_freed, LEAVE_DIRTY);
	in_cpu = in_madvise = NULL;
	assert_in_range(looks, 1, 100);
	assert_true(arena_get_at(being_freed));
	assert_true(is_filled(p, 100 * PAGE, 0));
	put(p, 100 * PAGE);
}

static void parts(void **state)
{
	char *p = get(4 * PAGE);
	uintptr_t base = arena_bounds.start, end = base + arena_bounds.len;
	struct arena_part part;
	size_t count = 0;

	(void)state;
	put(p + PAGE, PAGE);
	part = arena_part(region((uintptr_t)p, end - (uintptr_t)p));
	assert_int_equal(part.kind, PART_LIVE);
	assert_int_equal(part.region.len, PAGE);
	part = arena_part(region((uintptr_t)p + PAGE, TREE));
	assert_int_equal(part.kind, PART_HOLE);
	assert_int_equal(part.region.len, PAGE);
	part = arena_part(region(base - PAGE, 3 * PAGE));
	assert_int_equal(part.kind, PART_KERNEL);
	part = arena_part(region(end, PAGE));
	assert_int_equal(part.kind, PART_KERNEL);
	assert_int_equal(part.region.len, PAGE);
	for_each_part(each, at(p, 4 * PAGE))
		count += each.kind == PART_LIVE ? 1 : 10;
	assert_int_equal(count, 12);
	assert_true(arena_touches(region(base - PAGE, PAGE + 1)));
	assert_false(arena_touches(region(base - PAGE, PAGE)));
	assert_true(arena_touches(region(end - 1, 1)));
	assert_false(arena_touches(region(end, PAGE)));
	assert_false(arena_touches(region(base, 0)));
	put(p, 4 * PAGE);
}

static void locked(void **state)
{
	char *p = get(PAGE);
	void *addr;

	(void)state;
	arena_lock_all(true);
	assert_int_equal(arena_get(PAGE, false, &addr), REASON_LOCK_ALL);
	put(p, PAGE);
	arena_lock_all(false);
	p = get(PAGE);
	p[0] = 'l';
	put(p, PAGE);
}

/* mlockall while a region is on its way to someone: it is locked as well, and
 * mapped afresh when it is freed. */
static void locked_on_the_way(void **state)
{
	char *p = get(PAGE);

	(void)state;
	arena_remap_later(at(p, PAGE), REMAP_BEFORE_USE);
	refuse.mmap = true;
	put(p, PAGE);
	refuse.mmap = false;
	in_mmap = arena_locked;
	assert_true(arena_get_at(at(p, PAGE)));
	assert_null(in_mmap);
	assert_false(arena_is_plain(at(p, PAGE)));
	put(p, PAGE);
}

/* ------------------------------------------------------------------------ */
/* Giving back                                                               */

static uint64_t now; /* for arena_age */

static void later(uint64_t ms)
{
	now += ms;
	arena_age(now, SIZE_MAX);
}

/* Two rounds, after which nothing is old, or dirty; nor in pieces, which would be
 * mapped afresh when there are a few more. */
static void all_back(void)
{
	arena_trim();
	later(10 * DECAY);
	later(10 * DECAY);
}

static size_t dirty_pages(void)
{
	struct arena_snapshot f;

	arena_snapshot(&f);
	return f.dirty;
}

static void use(size_t len)
{
	char *p = get(len);

	memset(p, 'u', len);
	put(p, len);
}

static void old_goes_back(void **state)
{
	(void)state;
	all_back();
	use(100 * PAGE);
	assert_int_equal(dirty_pages(), 100);
	later(DECAY);
	later(DECAY - 1);
	assert_int_equal(dirty_pages(), 100);
	later(1);
	assert_int_equal(dirty_pages(), 0);
}

/* As the background thread does; when it would look again. */
static uint64_t turns(void)
{
	uint64_t due;

	do
		due = arena_age_step(now);
	while (due == now);
	return due;
}

static void by_turns(void **state)
{
	(void)state;
	all_back();
	use(100 * PAGE);
	now += DECAY;
	assert_int_equal(turns(), now + DECAY);
	assert_int_equal(dirty_pages(), 100);
	now += DECAY;
	arena_quiesce();
	arena_quiesce();
	arena_resume();
	assert_true(turns() < now + DECAY);
	assert_int_equal(dirty_pages(), 100);
	arena_resume();
	assert_int_equal(turns(), now + DECAY);
	assert_int_equal(dirty_pages(), 0);
	now += 2 * DECAY - 1;
	assert_int_equal(turns(), now + DECAY);
}

/* A thread that needs what is borrowed waits until it is returned. */
static struct region wanted;

static void *get_wanted(void *unused)
{
	bool got = arena_get_at(wanted);

	(void)unused;
	sem_post(&is_late);
	return got ? &wanted : NULL;
}

static void start_other_thread(void)
{
	in_yield = wait_until_there;
	assert_int_equal(pthread_create(&late_thread, NULL, get_wanted, NULL),
			 0);
	sem_wait(&is_late);
}

static void borrowed_is_awaited(void **state)
{
	char *p;
	void *got;

	(void)state;
	all_back();
	p = get(100 * PAGE);
	memset(p, 'b', 100 * PAGE);
	put(p, 100 * PAGE);
	now += DECAY;
	turns();
	now += DECAY;
	sem_init(&is_late, 0, 0);
	sem_init(&is_there, 0, 0);
	wanted = at(p + 10 * PAGE, PAGE);
	in_madvise = start_other_thread;
	turns();
	assert_null(in_madvise);
	sem_post(&is_there);
	assert_int_equal(pthread_join(late_thread, &got), 0);
	in_yield = NULL;
	assert_ptr_equal(got, &wanted);
	put(p + 10 * PAGE, PAGE);
}

static void what_is_used_again_stays(void **state)
{
	char *p = get(100 * PAGE);

	(void)state;
	all_back();
	memset(p, 'u', 100 * PAGE);
	put(p, 100 * PAGE);
	later(DECAY);
	assert_true(arena_get_at(at(p, 40 * PAGE)));
	assert_true(is_filled(p, 40 * PAGE, 0));
	put(p, 40 * PAGE);
	later(DECAY);
	assert_int_equal(dirty_pages(), 40);
	assert_true(arena_get_at(at(p, 100 * PAGE)));
	assert_true(is_filled(p, 100 * PAGE, 0));
	put(p, 100 * PAGE);
	all_back();
}

/* What the tests before have left is one tree. */
static void needs_huge_frames(void)
{
	if (LLFREE_TREE_CHILDREN >= 4)
		return;
	print_message("# skipped: a tree has few huge frames\n");
	skip();
}

static void in_portions(void **state)
{
	size_t before, after, calls = 0;

	(void)state;
	needs_huge_frames();
	all_back();
	for (int i = 0; i < 3; i++)
		use(HUGE);
	before = dirty_pages();
	assert_true(before >= 512);
	later(DECAY);
	for (now += DECAY; before; before = after) {
		arena_age(now, ARENA_PURGE);
		after = dirty_pages();
		assert_true(after <= before && before - after <= 512);
		assert_true(calls++ < 2 * LLFREE_TREE_CHILDREN);
	}
}

static void whole_ones_first(void **state)
{
	char *p, *q;

	(void)state;
	needs_huge_frames();
	p = get(100 * PAGE);
	all_back();
	for (int i = 0; i < 3; i++)
		use(HUGE);
	q = get(HUGE);
	put(p + 50 * PAGE, 50 * PAGE);
	put(q, HUGE);
	later(DECAY);
	now += DECAY;
	assert_int_equal(dirty_pages(), 512 + 50);
	for (size_t calls = 0; dirty_pages() == 512 + 50; calls++) {
		assert_true(calls < 2 * LLFREE_TREE_CHILDREN);
		arena_age(now, ARENA_PURGE);
	}
	assert_int_equal(dirty_pages(), 50);
	put(p, 50 * PAGE);
	all_back();
}

/* Others go back when there are too many, and what is freed stays. */
static void too_many(void **state)
{
	char *p[20];

	(void)state;
	needs_huge_frames();
	all_back();
	for (size_t i = 0; i < 20; i++)
		p[i] = get(100 * PAGE);
	for (size_t i = 0; i < 20; i++)
		put(p[i], 100 * PAGE);
	assert_in_range(dirty_pages(), 1, 500);
	all_back();
}

/* What is dirty in the hands of others cannot be had: no call after the other
 * goes round for it in vain. */
static void too_many_elsewhere(void **state)
{
	(void)state;
	all_back();
	usage_add(0, 0, 5000);
	searches = 0;
	for (size_t i = 0; i < 500; i++)
		put(get(PAGE), PAGE);
	assert_in_range(searches, 1, 100);
	usage_add(0, 0, -5000);
	too_many(state);
}

static void refuses_to_take_it(void **state)
{
	(void)state;
	all_back();
	use(100 * PAGE);
	refuse.madvise = true;
	later(DECAY);
	later(DECAY);
	assert_int_equal(dirty_pages(), 100);
	refuse.madvise = false;
	later(DECAY);
	assert_int_equal(dirty_pages(), 0);
}

/* Trees that were in use before come first. */
static void same_trees_again(void **state)
{
	struct arena_snapshot before, after;

	(void)state;
	needs_huge_frames();
	use(TREE);
	arena_snapshot(&before);
	for (int i = 0; i < 10; i++)
		use(TREE / 2 + PAGE);
	arena_snapshot(&after);
	assert_int_equal(after.online, before.online);
}

#define TEST(name) cmocka_unit_test_teardown(name, nothing_in_use)

/* Its run-time library owns the addresses that the arena would live at. */
extern void __tsan_init(void) __attribute__((weak));

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_memory_for_a_tree),
		TEST(interrupted_tree),
		TEST(trees_of_others),
		TEST(full),
		TEST(zeros),
		TEST(no_fresh_mapping),
		TEST(moved_without_fresh_mapping),
		TEST(neighbours_together),
		TEST(pieces_become_one),
		TEST(pieces_that_are_counted),
		TEST(exact_places),
		TEST(moved_and_refused),
		TEST(tidied_and_taken),
		TEST(moved_and_taken),
		TEST(holes_detached),
		TEST(detached_and_refused),
		TEST(detached_much),
		TEST(reclaims),
		TEST(freed_once),
		TEST(freed_at_last),
		TEST(parts),
		TEST(locked),
		TEST(locked_on_the_way),
		TEST(old_goes_back),
		TEST(by_turns),
		TEST(borrowed_is_awaited),
		TEST(what_is_used_again_stays),
		TEST(in_portions),
		TEST(whole_ones_first),
		TEST(too_many),
		TEST(too_many_elsewhere),
		TEST(refuses_to_take_it),
		TEST(no_mapping_at_all),
		TEST(same_trees_again),
		TEST(awaited_tree),
	};

	if (__tsan_init) {
		puts("1..0 # SKIP the thread sanitizer leaves no place");
		return 0;
	}
	return cmocka_run_group_tests(tests, start, NULL);
}
