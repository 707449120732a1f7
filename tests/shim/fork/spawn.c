/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * vfork, posix_spawn and clone: children that work in their parent's memory.
 */
#include "tests/shim/shim.h"

#include <linux/futex.h>
#include <sched.h>
#include <spawn.h>
#include <sys/syscall.h>

static size_t page;
static char *made;

static bool exits_with(pid_t pid, int expected)
{
	int status;

	return pid > 0 && waitpid(pid, &status, 0) == pid &&
	       WIFEXITED(status) && WEXITSTATUS(status) == expected;
}

static void vforked(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
		_exit(1);
	}
	ok(exits_with(pid, 7), "vfork and execl");
	pid = vfork();
	if (pid == 0) {
		execl("/nonexistent", "nonexistent", (char *)NULL);
		_exit(9);
	}
	ok(exits_with(pid, 9), "vfork and a program that is not there");
}

/* What a child of vfork maps and unmaps is its parent's. */
static void maps_for_parent(void)
{
	char *p = map(8 * page);
	pid_t pid;

	memset(p, 'v', 8 * page);
	pid = vfork();
	if (pid == 0) {
		made = map(2 * page);
		made[0] = 'm';
		munmap(p + 4 * page, 4 * page);
		_exit(3);
	}
	ok(exits_with(pid, 3) && made[0] == 'm' &&
		   is_unmapped(p + 4 * page, 4 * page) &&
		   all_bytes(p, 4 * page, 'v'),
	   "a child of vfork works in its parent's memory");
	must(munmap(made, 2 * page) == 0);
	must(munmap(p, 8 * page) == 0);
}

static void spawned(void)
{
	char sh[] = "sh", option[] = "-c", command[] = "exit 5";
	char *const shell[] = { sh, option, command, NULL };
	char *const none[] = { sh, NULL };
	bool good = true;
	pid_t pid;

	for (int i = 0; i < 30; i++)
		good = good &&
		       posix_spawn(&pid, "/bin/sh", NULL, NULL, shell,
				   environ) == 0 &&
		       exits_with(pid, 5);
	ok(good, "posix_spawn, 30 times");
	ok(posix_spawn(&pid, "/nonexistent", NULL, NULL, none, environ) ==
		   ENOENT,
	   "posix_spawn of nothing: ENOENT");
	ok(posix_spawnp(&pid, "sh", NULL, NULL, shell, environ) == 0 &&
		   exits_with(pid, 5),
	   "posix_spawnp");
}

static int run_clone(void *arg)
{
	char *p = map(4 * page);

	(void)arg;
	memset(p, 'c', 4 * page);
	must(munmap(p, 4 * page) == 0);
	return 11;
}

static void cloned(int flags, const char *what)
{
	size_t len = 256 * 1024;
	char *stack = map_flags(len, MAP_STACK);
	pid_t pid;

	fflush(stdout);
	pid = clone(run_clone, stack + len, flags | SIGCHLD, NULL);
	ok(exits_with(pid, 11), "clone, %s", what);
	must(munmap(stack, len) == 0);
}

/* A thread of which libc knows nothing: it shares its parent's thread-local
 * storage, too. */
#define BARE_THREAD                                                         \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | \
	 CLONE_SYSVSEM | CLONE_CHILD_CLEARTID)

static bool bare_good;

static int run_bare(void *arg)
{
	bool good = true;

	(void)arg;
	for (int i = 0; i < 1000; i++) {
		char *p = map(5 * page);

		good = good && all_bytes(p, 5 * page, 0);
		memset(p, 'b', 5 * page);
		good = good && munmap(p + page, 4 * page) == 0 &&
		       p[page - 1] == 'b' && munmap(p, page) == 0;
	}
	bare_good = good;
	return 0;
}

static void bare_thread(void)
{
	size_t len = 256 * 1024;
	char *stack = map_flags(len, MAP_STACK);
	static pid_t running = 1;

	must(clone(run_bare, stack + len, BARE_THREAD, NULL, NULL, NULL,
		   &running) > 0);
	while (__atomic_load_n(&running, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, &running, FUTEX_WAIT, 1, NULL, NULL, 0);
	ok(bare_good, "clone, a thread without libc");
	must(munmap(stack, len) == 0);
}

static void by_system(void)
{
	int status;
	FILE *pipe;
	char line[16] = "";

	fflush(stdout);
	status = system("exit 4");
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 4, "system");
	pipe = popen("echo hello", "r");
	ok(pipe && fgets(line, sizeof(line), pipe) &&
		   strcmp(line, "hello\n") == 0 && pclose(pipe) == 0,
	   "popen");
}

int main(void)
{
	page = page_size();
	vforked();
	maps_for_parent();
	spawned();
	cloned(0, "memory copied");
	cloned(CLONE_VM, "memory shared");
	cloned(CLONE_VM | CLONE_VFORK, "memory shared, and waited for");
	bare_thread();
	by_system();
	return done();
}
