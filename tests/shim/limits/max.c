/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * LLFREE_MAX: so many bytes are in use at most; a thread that asks for more gets
 * ENOMEM, and may go on with what there is.
 */
#include "tests/shim/shim.h"

#include <pthread.h>
#include <sys/syscall.h>

#define MIB ((size_t)1 << 20)
#define MOST (16 * MIB)
#define THREADS 4
#define PIECE ((size_t)64 << 10)

static void *try_map(size_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void one_too_many(void)
{
	char *p = map(9 * MIB), *q;
	void *volatile by_malloc; /* or the compiler leaves the call out */

	ok(fails_with(try_map(8 * MIB), ENOMEM), "more than the limit");
	must(munmap(p, 5 * MIB) == 0);
	q = map(8 * MIB);
	ok(all_bytes(q, 8 * MIB, 0), "after a part was unmapped");
	must(munmap(p + 5 * MIB, 4 * MIB) == 0);
	must(munmap(q, 8 * MIB) == 0);
	ok(fails_with(try_map(2048 * MIB), ENOMEM), "far more");
	by_malloc = malloc(2 * MOST);
	ok(!by_malloc && errno == ENOMEM, "by malloc");
	free(by_malloc);
}

static void growth(void)
{
	char *p = map(9 * MIB), *behind = map(MIB);

	memset(p, 'g', 9 * MIB);
	p = mremap(p, 9 * MIB, 13 * MIB, MREMAP_MAYMOVE);
	ok(p != MAP_FAILED && all_bytes(p, 9 * MIB, 'g') &&
		   all_bytes(p + 9 * MIB, 4 * MIB, 0),
	   "mremap counts what is added");
	ok(fails_with(mremap(p, 13 * MIB, 17 * MIB, MREMAP_MAYMOVE), ENOMEM) &&
		   all_bytes(p, 9 * MIB, 'g'),
	   "and fails when that is too much");
	must(munmap(p, 13 * MIB) == 0);
	must(munmap(behind, MIB) == 0);
}

/* Some more than the limit may come from the kernel, where it does not count:
 * while another thread brings a part of the arena online. */
static void *held[THREADS][2 * MOST / PIECE];
static size_t from_arena;

static void *take_all(void *arg)
{
	size_t thread = (size_t)(uintptr_t)arg, count = 0;
	void *p;

	while ((p = try_map(PIECE)) != MAP_FAILED) {
		must(count < 2 * MOST / PIECE - 1);
		held[thread][count++] = p;
		__atomic_fetch_add(&from_arena, in_arena(p), __ATOMIC_RELAXED);
	}
	return NULL;
}

static void by_threads(void)
{
	pthread_t threads[THREADS];

	for (size_t i = 0; i < THREADS; i++)
		must(pthread_create(&threads[i], NULL, take_all,
				    (void *)(uintptr_t)i) == 0);
	for (size_t i = 0; i < THREADS; i++)
		must(pthread_join(threads[i], NULL) == 0);
	for (size_t i = 0; i < THREADS; i++)
		for (size_t n = 0; held[i][n]; n++)
			must(munmap(held[i][n], PIECE) == 0);
	ok(from_arena * PIECE <= MOST, "threads together get no more");
	ok(from_arena * PIECE >= MOST / 4, "and no less than there is");
}

/* While others ask for more than there can be, what fits is never refused. */
static bool over;

static void *ask_for_too_much(void *arg)
{
	while (!__atomic_load_n(&over, __ATOMIC_RELAXED))
		must(try_map(MOST + PIECE) == MAP_FAILED);
	return arg;
}

static void beside_refusals(void)
{
	pthread_t thread;
	size_t refused = 0;

	must(pthread_create(&thread, NULL, ask_for_too_much, NULL) == 0);
	for (size_t i = 0; i < 200000; i++) {
		void *p = try_map(PIECE);

		refused += p == MAP_FAILED;
		must(p == MAP_FAILED || munmap(p, PIECE) == 0);
	}
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	must(pthread_join(thread, NULL) == 0);
	ok(!refused, "what fits is not refused beside what does not");
}

/* ------------------------------------------------------------------------ */
/* Children                                                                  */

static bool in_the_child(void)
{
	char *p = try_map(9 * MIB);

	return p != MAP_FAILED && fails_with(try_map(9 * MIB), ENOMEM) &&
	       munmap(p, 9 * MIB) == 0 && try_map(9 * MIB) != MAP_FAILED;
}

/* A handler that interrupts a call forks, and the child goes on with that
 * call. */
static volatile sig_atomic_t interrupted, is_child, failed;

static void fork_in_handler(int number)
{
	pid_t pid = fork();
	int status = 0;

	(void)number;
	if (!pid) {
		is_child = 1;
		return;
	}
	must(pid > 0 && waitpid(pid, &status, 0) == pid);
	failed = failed || WEXITSTATUS(status);
	interrupted++;
	signal_after(200 + interrupted % 10 * 77);
}

static void forked_amidst(void)
{
	struct sigaction action = { .sa_handler = fork_in_handler };

	must(sigaction(SIGALRM, &action, NULL) == 0);
	signal_after(500);
	while (interrupted < 100) {
		void *p = try_map(MIB / 4);

		/* Used memory takes time to free, and to serve again. */
		if (p != MAP_FAILED && interrupted & 1)
			memset(p, 'i', MIB / 4);
		if (p != MAP_FAILED)
			munmap(p, MIB / 4);
		if (is_child) {
			p = try_map(page_size());
			_exit(p == MAP_FAILED);
		}
	}
	must(setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL) == 0);
	signal(SIGALRM, SIG_IGN);
	ok(!failed, "a child that was forked amidst a call can map");
}

/* Bytes in use of what the kernel has mapped from `from` to `to`, of which the
 * arena's free memory is a hole to a program. */
static size_t in_use_between(uintptr_t from, uintptr_t to)
{
	size_t page = page_size(), len = 0;
	unsigned char vec;

	for (uintptr_t at = from; in_arena((void *)at) && at < to; at += page)
		if (!mincore((void *)at, page, &vec))
			len += page;
	return len;
}

/* Without a call for memory. Lines of /proc/self/maps begin "from-to ". */
static size_t in_use(void)
{
	static char maps[1 << 16];
	int fd = open("/proc/self/maps", O_RDONLY);
	size_t len = 0, filled = 0;
	ssize_t n;

	must(fd >= 0);
	while ((n = read(fd, maps + filled, sizeof(maps) - 1 - filled)) > 0)
		filled += (size_t)n;
	close(fd);
	for (char *line = maps, *end; *line; line = strchr(end, '\n') + 1) {
		uintptr_t from = strtoul(line, &end, 16);

		len += in_use_between(from, strtoul(end + 1, &end, 16));
	}
	return len;
}

/* All that is not in use can be had, and no more: what a thread of the parent
 * was about to get or to give back does not count. */
static bool has_the_rest(void)
{
	size_t rest = MOST - in_use();

	return try_map(rest) != MAP_FAILED &&
	       fails_with(try_map(page_size()), ENOMEM);
}

static void *come_and_go(void *arg)
{
	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		char *p = try_map(12 * MIB);

		must(p != MAP_FAILED);
		memset(p, 't', 12 * MIB);
		must(munmap(p, 12 * MIB) == 0);
	}
	return arg;
}

/* By libc, or without its knowledge. */
static bool has_the_rest_in_child(bool by_libc)
{
	int status;
	pid_t pid;

	if (by_libc)
		return in_child(has_the_rest);
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0L, 0L, 0L, 0L);
	if (pid == 0)
		_exit(has_the_rest() ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void of_threads(bool by_libc, const char *what)
{
	pthread_t thread;
	size_t bad = 0;

	over = false;
	must(pthread_create(&thread, NULL, come_and_go, NULL) == 0);
	for (size_t i = 0; i < 50; i++)
		bad += !has_the_rest_in_child(by_libc);
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	must(pthread_join(thread, NULL) == 0);
	ok(!bad, "a child of %s whose parent's thread maps and unmaps", what);
}

int main(void)
{
	if (!have_shim()) {
		printf("1..0 # SKIP a setting of the library\n");
		return 0;
	}
	with_setting("LLFREE_MAX", "16M");
	one_too_many();
	growth();
	by_threads();
	beside_refusals();
	ok(in_child(in_the_child), "a child of fork has the same limit");
	forked_amidst();
	of_threads(true, "fork");
	of_threads(false, "a bare clone");
	return done();
}
