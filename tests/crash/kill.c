/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A process whose threads work on a pool is killed at a random moment, again
 * and again. After each time the pool is opened and compared with a journal
 * that the threads keep in memory which outlives them:
 *
 *   - what a completed call allocated is allocated, and belongs to one thread
 *   - what a completed call freed is free
 *   - all other frames that are allocated lie within what calls that were under
 *     way asked for or were to free, each call for itself; calls that are
 *     indivisible show all or nothing
 *
 * Then the next process goes on with what there is. The kill also hits open
 * with its recovery, and close.
 *
 *   kill [ROUNDS [SEED]]
 */

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <llfree_pool.h>

#define WORKERS 3
#define MOST_EXTENTS 2048
#define MOST_CALLS 5000 /* of a process, until it is killed */
#define MOST_ORDER ((unsigned)LLFREE_HUGE_ORDER + 3)
#define TREES_HUGE (LLFREE_TREE_CHILDREN > 8 ? 8 : LLFREE_TREE_CHILDREN)
/* Two trees and a partial one, but not of the largest sizes. */
#define FRAMES ((2 * TREES_HUGE + 1) * (size_t)LLFREE_HUGE_SIZE + 77)

/* ------------------------------------------------------------------------ */
/* Journal                                                                   */

/* The last but one: it has returned, and its frames are being marked. */
enum { NO_CALL, A_GET, GOT, A_PUT };

/* The call under way; a get's first frame is known when it has returned. */
struct flight {
	_Atomic uint32_t call;
	uint64_t first;
	uint64_t frames;
	bool block; /* a power of two, aligned */
};

/* Shared between all processes. Owners are 1 and up, 0 is nobody. */
static struct journal {
	_Atomic uint8_t owner[FRAMES];
	struct flight flights[WORKERS];
	_Atomic uint64_t calls[WORKERS];
} * journal;

static uint64_t seed = 1;
static uint64_t kill_round;
static char folder[64], path[80];
static pid_t parent;

static void remove_files(void)
{
	if (getpid() != parent)
		return;
	(void)unlink(path);
	(void)rmdir(folder);
}

static _Noreturn void fail(const char *what, uint64_t number)
{
	printf("not ok 1 - %s (%" PRIu64 ")\n# round %" PRIu64
	       " of seed %" PRIu64 "\n1..1\n",
	       what, number, kill_round, seed);
	fflush(stdout);
	remove_files();
	_exit(1);
}

#define must(condition) \
	((condition) ? (void)0 : fail(#condition " does not hold", __LINE__))

static uint64_t xorshift(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1dull >> 20;
}

static size_t below(uint64_t *state, size_t bound)
{
	return (size_t)(xorshift(state) % bound);
}

static size_t size_least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* ------------------------------------------------------------------------ */
/* Workers                                                                   */

/* Frames of a worker that are contiguous. */
struct extent {
	size_t first;
	size_t frames;
};

struct worker {
	size_t id;
	uint64_t random;
	llfree_t *self;
	bool large; /* huge frames only */
	size_t count;
	struct extent extents[MOST_EXTENTS];
	pthread_t thread;
};

static llfree_pool_t *pool;
static struct worker workers[WORKERS];
static atomic_bool stopping;

static llfree_request_t request(const struct worker *w, unsigned order)
{
	return llfree_simple_request(WORKERS, (uint8_t)order, w->id);
}

static void begin(const struct worker *w, uint32_t call, struct flight flight)
{
	struct flight *mine = &journal->flights[w->id];

	mine->first = flight.first;
	mine->frames = flight.frames;
	mine->block = flight.block;
	atomic_store(&mine->call, call);
}

static void end(const struct worker *w)
{
	atomic_store(&journal->flights[w->id].call, NO_CALL);
	atomic_fetch_add(&journal->calls[w->id], 1);
}

static uint8_t owner_change(size_t frame, uint8_t owner)
{
	uint8_t was = atomic_load_explicit(&journal->owner[frame],
					   memory_order_relaxed);

	atomic_store_explicit(&journal->owner[frame], owner,
			      memory_order_relaxed);
	return was;
}

/*
 * Who is there must be nobody. Two that own the same frame at the same time
 * notice at the latest when they free it. Cheap, so that most kills hit the
 * allocator.
 */
static void own(const struct worker *w, struct extent extent)
{
	for (size_t f = extent.first; f < extent.first + extent.frames; f++)
		if (owner_change(f, (uint8_t)(w->id + 1)))
			fail("a frame is owned twice", f);
}

static void disown(const struct worker *w, struct extent extent)
{
	for (size_t f = extent.first; f < extent.first + extent.frames; f++)
		if (owner_change(f, 0) != w->id + 1)
			fail("a frame has lost its owner", f);
}

/* Small ones mostly. */
static unsigned random_order(struct worker *w)
{
	unsigned most = MOST_ORDER < LLFREE_MAX_ORDER ? MOST_ORDER
						      : LLFREE_MAX_ORDER;

	if (w->large)
		return LLFREE_HUGE_ORDER +
		       (unsigned)below(&w->random,
				       most - LLFREE_HUGE_ORDER + 1);
	if (below(&w->random, 8))
		return (unsigned)below(&w->random, 8);
	return (unsigned)below(&w->random, most + 1);
}

static void work_get(struct worker *w)
{
	unsigned order = random_order(w);
	bool block = w->large || below(&w->random, 4) != 0;
	size_t frames = block ? (size_t)1 << order
			      : 1 + below(&w->random, 2 << order);
	frame_id_optional_t at = frame_id_none();
	llfree_result_t got;

	if (!block)
		order = 0;
	if (frames > FRAMES)
		return;
	if (below(&w->random, 4) == 0)
		at = frame_id_some(
			frame_id(below(&w->random, FRAMES - frames + 1) >>
				 order << order));
	begin(w, A_GET, (struct flight){ .frames = frames, .block = block });
	got = block ? llfree_get(w->self, at, request(w, order))
		    : llfree_get_range(w->self, at, frames, request(w, 0));
	if (llfree_is_ok(got)) {
		struct extent extent = { (size_t)got.frame.value, frames };

		journal->flights[w->id].first = extent.first;
		atomic_store(&journal->flights[w->id].call, GOT);
		own(w, extent);
		w->extents[w->count++] = extent;
	} else if (got.error != LLFREE_ERR_MEMORY) {
		fail("a get failed with error", got.error);
	}
	end(w);
}

/* A part of an extent: any, or a block that could be put as one. */
static struct extent random_part(struct worker *w, struct extent whole,
				 bool block)
{
	size_t at = below(&w->random, whole.frames);
	struct extent part = { whole.first + at, 1 };
	unsigned order = 0;

	if (!block) {
		part.frames += below(&w->random, whole.frames - at);
		return below(&w->random, 2) ? whole : part;
	}
	while (order < LLFREE_MAX_ORDER && below(&w->random, 4)) {
		size_t size = (size_t)2 << order;
		size_t first = part.first / size * size;

		if (first < whole.first ||
		    first + size > whole.first + whole.frames)
			break;
		part = (struct extent){ first, size };
		order++;
	}
	return part;
}

static void keep(struct worker *w, size_t first, size_t end_frame)
{
	if (first < end_frame)
		w->extents[w->count++] =
			(struct extent){ first, end_frame - first };
}

static void work_put(struct worker *w)
{
	size_t which = below(&w->random, w->count);
	struct extent whole = w->extents[which], part;
	bool block = !w->large && below(&w->random, 2);
	llfree_result_t result;

	part = w->large ? whole : random_part(w, whole, block);
	w->extents[which] = w->extents[--w->count];
	keep(w, whole.first, part.first);
	keep(w, part.first + part.frames, whole.first + whole.frames);
	begin(w, A_PUT,
	      (struct flight){ .first = part.first,
			       .frames = part.frames,
			       .block = block });
	disown(w, part);
	result = block ? llfree_put(w->self, frame_id(part.first),
				    request(w, (unsigned)__builtin_ctzll(
						       part.frames)))
		       : llfree_put_range(w->self, frame_id(part.first),
					  part.frames, request(w, 0));
	if (!llfree_is_ok(result))
		fail("a put failed with error", result.error);
	end(w);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (w->large && w->count > 0)
		work_put(w);
	while (!atomic_load(&stopping)) {
		bool full = w->count + 3 > MOST_EXTENTS;

		if (w->count > 0 && (full || below(&w->random, 2)))
			work_put(w);
		else
			work_get(w);
	}
	return NULL;
}

/* What the journal says is this worker's. */
static void inherit(struct worker *w, llfree_t *self)
{
	struct extent extent = { 0, 0 };

	w->self = self;
	w->count = 0;
	for (size_t f = 0; f <= FRAMES; f++) {
		if (f < FRAMES && journal->owner[f] == w->id + 1) {
			extent.first = extent.frames++ ? extent.first : f;
			continue;
		}
		if (extent.frames > 0 && w->count < MOST_EXTENTS)
			w->extents[w->count++] = extent;
		extent.frames = 0;
	}
}

static uint64_t all_calls(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < WORKERS; i++)
		sum += journal->calls[i];
	return sum;
}

static void nap(size_t us)
{
	struct timespec pause = { .tv_nsec = (long)us * 1000 };

	nanosleep(&pause, NULL);
}

/* The process that is killed, or closes the pool after so many calls. */
static _Noreturn void live(uint64_t last_call)
{
	llfree_classing_t classing = llfree_classing_simple(WORKERS);

	must(llfree_pool_open(&pool, path, &classing, 0) == LLFREE_POOL_OK);
	for (size_t i = 0; i < WORKERS; i++) {
		inherit(&workers[i], llfree_pool_allocator(pool));
		must(pthread_create(&workers[i].thread, NULL, work,
				    &workers[i]) == 0);
	}
	while (all_calls() < last_call)
		nap(100);
	atomic_store(&stopping, true);
	for (size_t i = 0; i < WORKERS; i++)
		must(pthread_join(workers[i].thread, NULL) == 0);
	must(llfree_pool_close(pool) == LLFREE_POOL_OK);
	_exit(0);
}

/* ------------------------------------------------------------------------ */
/* Check                                                                     */

/* Frames that are allocated; doubtful are those of nobody. */
static uint8_t allocated[FRAMES], doubtful[FRAMES];

/* Allocated frames from there on that are nobody's. */
static size_t unowned(size_t first, size_t frames)
{
	size_t count = 0;

	for (size_t f = first; f < size_least(first + frames, FRAMES); f++)
		count += allocated[f] && !journal->owner[f];
	return count;
}

/* One step of the allocator makes it, and a kill may not show a part. */
static bool indivisible(size_t frames)
{
	size_t huge = LLFREE_HUGE_SIZE;

	return frames <= LLFREE_ATOMIC_SIZE ||
	       (frames >= huge && frames <= 4 * huge);
}

static bool overlap(const struct flight *a, const struct flight *b)
{
	return a->first < b->first + b->frames &&
	       b->first < a->first + a->frames;
}

/* Has no one else been at what is being freed? */
static bool undisturbed(const struct flight *put)
{
	for (size_t i = 0; i < WORKERS; i++) {
		const struct flight *other = &journal->flights[i];

		if (other == put || other->call == NO_CALL)
			continue;
		if (other->call == A_GET || overlap(other, put))
			return false;
	}
	for (size_t f = put->first; f < put->first + put->frames; f++)
		if (journal->owner[f])
			return false;
	return true;
}

/* What is being freed may be so, and even be someone else's already. */
static void check_put(const struct flight *put)
{
	size_t left = unowned(put->first, put->frames);

	memset(doubtful + put->first, 0, put->frames);
	if (put->block && put->frames <= LLFREE_ATOMIC_SIZE && left != 0 &&
	    left != put->frames && undisturbed(put))
		fail("a small block is freed in part", put->first);
}

/* A get that has returned has all of its frames. */
static void check_got(const struct flight *got, size_t id)
{
	for (size_t f = got->first; f < got->first + got->frames; f++)
		if (!allocated[f] ||
		    (journal->owner[f] && journal->owner[f] != id + 1))
			fail("a get's frame is not its own", f);
	memset(doubtful + got->first, 0, got->frames);
}

/* Can all that is doubtful be what these gets (a set) were at? */
static bool explained(unsigned gets, size_t from)
{
	while (from < FRAMES && !doubtful[from])
		from++;
	if (from == FRAMES)
		return true;
	for (size_t i = 0; i < WORKERS; i++) {
		const struct flight *get = &journal->flights[i];
		size_t first = from;

		if (!(gets >> i & 1))
			continue;
		if (get->block)
			first = from / get->frames * get->frames;
		if (get->block && indivisible(get->frames) &&
		    unowned(first, get->frames) != get->frames)
			continue;
		if (explained(gets & ~(1u << i), first + get->frames))
			return true;
	}
	return false;
}

static void check_flights(void)
{
	unsigned gets = 0;

	for (size_t i = 0; i < WORKERS; i++) {
		const struct flight *flight = &journal->flights[i];

		if (flight->call == A_GET)
			gets |= 1u << i;
		else if (flight->call == GOT)
			check_got(flight, i);
		else if (flight->call == A_PUT)
			check_put(flight);
	}
	if (!explained(gets, 0))
		fail("frames are allocated that no call asked for", gets);
}

static void check_statistics(const llfree_t *self)
{
	size_t free_frames = llfree_stats(self).free_frames;

	llfree_validate(self);
	for (size_t f = 0; f < FRAMES; f++)
		free_frames += allocated[f];
	must(free_frames == FRAMES);
	must(llfree_tree_stats(self).free_frames ==
	     llfree_stats(self).free_frames);
}

/* Nobody's frames become free: that is what an owner would do. */
static void free_unowned(llfree_t *self)
{
	llfree_request_t any = llfree_simple_request(WORKERS, 0, 0);

	for (size_t f = 0; f < FRAMES; f++)
		if (allocated[f] && !journal->owner[f])
			must(llfree_is_ok(llfree_put(self, frame_id(f), any)));
	for (size_t i = 0; i < WORKERS; i++)
		journal->flights[i].call = NO_CALL;
}

/* Returns whether the pool had to be recovered. */
static bool check(bool closed)
{
	llfree_classing_t classing = llfree_classing_simple(WORKERS);
	bool recovered;
	llfree_t *self;

	must(llfree_pool_open(&pool, path, &classing, 0) == LLFREE_POOL_OK);
	recovered = llfree_pool_found(pool) == LLFREE_POOL_RECOVERED;
	must(!closed || !recovered);
	self = llfree_pool_allocator(pool);
	for (size_t f = 0; f < FRAMES; f++) {
		allocated[f] =
			llfree_stats_at(self, frame_id(f), 0).free_frames == 0;
		doubtful[f] = allocated[f] && !journal->owner[f];
		if (journal->owner[f] && !allocated[f])
			fail("a frame that is owned is free", f);
	}
	check_flights();
	check_statistics(self);
	free_unowned(self);
	must(llfree_pool_close(pool) == LLFREE_POOL_OK);
	return recovered;
}

/* ------------------------------------------------------------------------ */
/* Rounds                                                                    */

struct score {
	uint64_t killed, recovered;
};

/* Until the child has made them, or has ended. */
static void await_calls(pid_t child, uint64_t calls)
{
	siginfo_t ended = { .si_pid = 0 };

	while (all_calls() < calls && !ended.si_pid) {
		nap(100);
		must(!waitid(P_PID, (id_t)child, &ended,
			     WEXITED | WNOHANG | WNOWAIT));
	}
}

static void round_of(uint64_t *random, struct score *score)
{
	bool while_opening = below(random, 8) == 0;
	bool closes = !while_opening && below(random, 3) == 0;
	uint64_t call = all_calls() + 1 + below(random, MOST_CALLS);
	int status = 0;
	pid_t child;

	for (size_t i = 0; i < WORKERS; i++) {
		workers[i].id = i;
		workers[i].random = xorshift(random) | 1;
		workers[i].large = kill_round % 2;
	}
	fflush(stdout);
	child = fork();
	if (child == 0)
		live(closes ? call : UINT64_MAX);
	must(child > 0);
	await_calls(child, while_opening ? 0 : call);
	nap(below(random, 1000));
	(void)kill(child, SIGKILL);
	must(waitpid(child, &status, 0) == child);
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
		remove_files();
		exit(1);
	}
	must(!WIFSIGNALED(status) || WTERMSIG(status) == SIGKILL);
	score->killed += WIFSIGNALED(status) != 0;
	score->recovered += check(WIFEXITED(status));
}

/* In memory if possible: what is on the medium makes no difference here. */
static void make_files(void)
{
	llfree_classing_t classing = llfree_classing_simple(WORKERS);
	const char *base = getenv("TMPDIR");

	if (!base)
		base = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	parent = getpid();
	snprintf(folder, sizeof(folder), "%s/llfree-kill-XXXXXX", base);
	must(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/pool", folder);
	must(llfree_pool_create(&pool, path, FRAMES, &classing, 0) ==
	     LLFREE_POOL_OK);
	must(llfree_pool_close(pool) == LLFREE_POOL_OK);
	journal = mmap(NULL, sizeof(*journal), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(journal != MAP_FAILED);
}

int main(int argc, char **argv)
{
	uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 0) : 200;
	struct score score = { 0, 0 };
	uint64_t random;

	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL);
	random = seed * 2 + 1;
	make_files();
	for (kill_round = 0; kill_round < rounds; kill_round++)
		round_of(&random, &score);
	remove_files();
	printf("# %" PRIu64 " rounds, %" PRIu64 " kills, %" PRIu64
	       " recoveries, %" PRIu64 " calls, seed %" PRIu64 "\n",
	       rounds, score.killed, score.recovered, all_calls(), seed);
	must(score.recovered > rounds / 10 && all_calls() > rounds);
	puts("ok 1 - what completed before a kill is there after it\n1..1");
	return 0;
}
