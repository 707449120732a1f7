/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * LLFREE_BACKGROUND: an idle program's memory goes back, and its thread is in
 * no one's way: not of a fork, which finds nothing borrowed, nor of calls for
 * certain addresses, of signals, of the process's end, or of what a process
 * with one thread may do.
 */
#include "tests/shim/shim.h"

#include <dirent.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define MIB ((size_t)1 << 20)
#define LARGE (24 * MIB)
#define ROUNDS 15

int unshare(int flags);

/* Reads the figure by system calls only: no call about memory. */
static bool has_fallen(size_t bytes)
{
	return resident() <= bytes;
}

static bool falls_to(size_t bytes)
{
	return eventually(has_fallen, bytes);
}

static char *use(size_t len)
{
	char *p = map(len);

	memset(p, 'u', len);
	must(munmap(p, len) == 0);
	return p;
}

/* Where the last one was. */
static char *use_often(size_t len)
{
	use(len);
	use(len);
	return use(len);
}

static void use_heap_often(void)
{
	for (int i = 0; i < 3; i++) {
		char *p = sbrk((intptr_t)LARGE);

		must(p != (void *)-1);
		memset(p, 'h', LARGE);
		must(sbrk(-(intptr_t)LARGE) != (void *)-1);
	}
}

/* ------------------------------------------------------------------------ */
/* Memory goes back                                                          */

static bool idle(void)
{
	size_t before = resident();

	use_often(LARGE);
	return falls_to(before + 4 * MIB);
}

static bool idle_heap(void)
{
	size_t before = resident();

	use_heap_often();
	return falls_to(before + 4 * MIB);
}

static bool grandchild(void)
{
	return in_child(idle) && idle();
}

static bool stays_without(void)
{
	size_t before = resident();

	use_often(LARGE);
	nap(500000);
	return resident() > before + LARGE / 2;
}

/* The same program, without the setting. */
static bool runs_without(void)
{
	setenv("LLFREE_BACKGROUND", "0", 1);
	setenv("LLFREE_DECAY_MS", "200", 1);
	execl("/proc/self/exe", "background", "without", NULL);
	return false;
}

static void goes_back(void)
{
	FILE *warm = fopen("/proc/self/statm", "r"); /* stdio's own memory */

	if (warm)
		fclose(warm);
	ok(idle(), "an idle program's memory goes back");
	ok(idle_heap(), "and its heap's");
	ok(in_child(idle), "that of a child of fork");
	ok(in_child(grandchild), "and of a child's child");
	if (have_shim())
		ok(in_child(runs_without), "but not without the setting");
	else
		skip("but not without the setting", "the library is not there");
}

/* ------------------------------------------------------------------------ */
/* The thread                                                                */

/* Another thread than the first, 0 when there is none; *count is of all. */
static pid_t other_thread(size_t *count)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	pid_t other = 0;

	*count = 0;
	must(tasks != NULL);
	while ((entry = readdir(tasks))) {
		pid_t tid = atoi(entry->d_name);

		*count += tid > 0;
		if (tid > 0 && tid != getpid())
			other = tid;
	}
	closedir(tasks);
	return other;
}

static long wakes(pid_t tid)
{
	char path[64], line[256];
	long number = -1;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int)tid);
	status = fopen(path, "r");
	must(status != NULL);
	while (fgets(line, sizeof(line), status))
		sscanf(line, "voluntary_ctxt_switches: %ld", &number);
	fclose(status);
	return number;
}

/* At most fifty times a second, over half a second. */
static bool wakes_seldom(size_t tid)
{
	long before = wakes((pid_t)tid);
	double begin = clock_now();

	nap(500000);
	return (double)(wakes((pid_t)tid) - before) <
	       50 * (clock_now() - begin);
}

static void sleeps(void)
{
	size_t count;
	pid_t tid = other_thread(&count);

	if (!have_shim()) {
		skip("a thread that sleeps", "the library is not there");
		return;
	}
	must(tid != 0 && count == 2);
	ok(eventually(wakes_seldom, (size_t)tid),
	   "when nothing is dirty it sleeps");
}

static volatile pid_t handled_by;

static void handler(int number)
{
	(void)number;
	handled_by = (pid_t)syscall(SYS_gettid);
}

static void signals(void)
{
	struct sigaction action = { .sa_handler = handler };
	sigset_t all, pending;

	must(sigaction(SIGUSR1, &action, NULL) == 0);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	kill(getpid(), SIGUSR1);
	nap(50000);
	sigpending(&pending);
	ok(!handled_by && sigismember(&pending, SIGUSR1),
	   "a signal that the program blocks waits");
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	ok(handled_by == getpid(), "for a thread of the program");
}

static bool is_single(void)
{
	size_t count;

	return !other_thread(&count) && count == 1;
}

/* Refused to processes with several threads. */
static bool unshares(void)
{
	return unshare(CLONE_THREAD) == 0 && is_single();
}

static bool enters_sandbox(void)
{
	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && is_single();
}

static bool works_with_less(size_t bytes)
{
	for (int n = 0; n < 10; n++)
		use(page_size());
	return resident() <= bytes;
}

/* By its calls, as without the setting. */
static bool goes_by_calls(void)
{
	size_t before = resident();

	use_often(LARGE);
	return eventually(works_with_less, before + 4 * MIB);
}

static bool goes_on(void)
{
	return unshares() && goes_by_calls();
}

/* Libc knows nothing of it, and no handler of fork runs. */
static bool in_bare_child(bool (*body)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0L, 0L, 0L, 0L);
	if (pid == 0)
		_exit(body() ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void *lasts_longer(void *unused)
{
	nap(50000);
	return unused;
}

static bool leaves_first(void)
{
	pthread_t thread;

	alarm(patience());
	must(!pthread_create(&thread, NULL, lasts_longer, NULL));
	pthread_exit(NULL);
}

static void gone_in_time(void)
{
	ok(setgid(getgid()) == 0, "a change of group reaches all threads");
	ok(in_child(unshares), "unshare finds one thread");
	ok(in_child(enters_sandbox), "and so does a sandbox");
	ok(in_child(goes_on), "memory goes back all the same");
	ok(in_bare_child(goes_by_calls), "and where a bare clone left it");
	ok(in_child(leaves_first),
	   "the process ends with the program's last thread");
}

/* ------------------------------------------------------------------------ */
/* Not in the way                                                            */

static size_t had;

/* Takes pages from the arena until there is none; true when it has had `most`. A
 * few may be borrowed at this moment by this process's own thread. */
static bool has_pages(size_t most)
{
	for (; had < most; had++) {
		void *p = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		must(p != MAP_FAILED);
		if (in_arena(p))
			continue;
		must(munmap(p, page_size()) == 0);
		return false;
	}
	return true;
}

/* All that there are, or a few less. */
static size_t count_pages(void)
{
	for (unsigned naps = 0; naps < 100; naps++) {
		has_pages(SIZE_MAX);
		nap(1000);
	}
	return had;
}

/* Until the thread is at work, on what was just freed. */
static void await_fall(void)
{
	size_t before = resident();

	for (int i = 0; i < 2000 && resident() + MIB > before; i++)
		nap(20);
}

static size_t expected;

static bool has_all(void)
{
	return eventually(has_pages, expected);
}

static bool count_once(void)
{
	int result[2];
	bool good;

	must(pipe(result) == 0);
	fflush(stdout);
	if (fork() == 0) {
		expected = count_pages();
		_exit(write(result[1], &expected, sizeof(expected)) !=
		      sizeof(expected));
	}
	good = read(result[0], &expected, sizeof(expected)) == sizeof(expected);
	close(result[0]);
	close(result[1]);
	return wait(NULL) > 0 && good;
}

/* While the thread gives back what was just used. */
static void forks(void)
{
	bool good = true;

	if (!have_shim()) {
		skip("forks", "the library is not there");
		return;
	}
	nap(200000);
	must(count_once());
	for (int round = 0; round < ROUNDS && good; round++) {
		use_often(LARGE);
		await_fall();
		good = in_child(has_all);
	}
	ok(good, "children find all free memory free");
}

#define HUGE (2 * MIB)

static bool one_at(char *p)
{
	void *got = mmap(p, page_size(), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
			 0);

	return got == p && *p == 0 && munmap(p, page_size()) == 0;
}

/* One in each huge page, until the thread has given back the rest of most. */
static void certain_addresses(void)
{
	bool good = true;

	for (unsigned round = 0; round < ROUNDS && good; round++) {
		char *p = use_often(LARGE);
		size_t before = resident();

		for (unsigned i = 0; i < 10000; i++) {
			for (size_t at = 0; at < LARGE && good; at += HUGE)
				good = one_at(p + at);
			if (resident() + LARGE / 2 < before)
				break;
		}
	}
	ok(good, "free addresses can be had");
}

static void heap(void)
{
	intptr_t part = (intptr_t)MIB / 4;
	bool good = true;

	for (unsigned round = 0; round < ROUNDS && good; round++) {
		use_heap_often();
		await_fall();
		for (intptr_t at = 0; at < (intptr_t)LARGE && good;
		     at += part) {
			char *p = sbrk(part);

			good = p != (void *)-1 && *p == 0;
		}
		must(!good || sbrk(-(intptr_t)LARGE) != (void *)-1);
	}
	ok(good, "the heap can grow");
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "without") == 0)
		return stays_without() ? 0 : 1;
	with_setting("LLFREE_DECAY_MS", "20");
	with_setting("LLFREE_ARENA", "128M");
	with_setting("LLFREE_BACKGROUND", "1");
	goes_back();
	sleeps();
	signals();
	gone_in_time();
	forks();
	certain_addresses();
	heap();
	return done();
}
