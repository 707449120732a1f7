/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Ends in the way that its argument names, after some mapping: for tests of
 * the report.
 */
#include "tests/shim/shim.h"

#include <pthread.h>
#include <spawn.h>
#include <sys/syscall.h>

static void churn(void)
{
	for (int i = 0; i < 100; i++) {
		char *p = map(300000), *q = map(4096);

		memset(p, 'x', 300000);
		must(munmap(p, 300000) == 0);
		must(i % 2 || munmap(q, 4096) == 0);
	}
}

static void *end_thread(void *arg)
{
	churn();
	exit(0);
	return arg;
}

static void by_thread(void)
{
	pthread_t thread;

	must(pthread_create(&thread, NULL, end_thread, NULL) == 0);
	for (;;)
		pause();
}

static void forking(bool work)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (work)
			churn();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* Children that are not to report. */
static void spawning(void)
{
	char name[] = "true";
	char *const args[] = { name, NULL }, *const none[] = { NULL };
	pid_t pid = vfork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	if (posix_spawn(&pid, "/bin/true", NULL, NULL, args, none) == 0)
		waitpid(pid, NULL, 0);
	posix_spawn(&pid, "/nonexistent", NULL, NULL, args, none);
	pid = fork();
	if (pid == 0) {
		execve("/bin/true", args, none);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
}

static void closing_all(void)
{
	for (int fd = 0; fd < 1024; fd++)
		close(fd);
	/* Something else in the place of stderr, not to be written to. */
	open("/dev/null", O_RDWR);
	open("/dev/null", O_RDWR);
	must(open(getenv("ENDS_OTHER"), O_RDWR | O_CREAT, 0600) == 2);
}

/* As daemons do it. */
static void becoming_daemon(void)
{
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid > 0)
			_exit(0);
		must(pid == 0);
		setsid();
	}
	must(chdir("/") == 0);
	must(syscall(SYS_close_range, 0, ~0u, 0) == 0);
	must(open("/dev/null", O_RDWR) == 0 && dup(0) == 1 && dup(0) == 2);
	churn();
}

static void *execute_thread(void *program)
{
	churn();
	execlp(program, "true", (char *)NULL);
	return NULL;
}

static void executing_in_thread(const char *program)
{
	pthread_t thread;

	must(pthread_create(&thread, NULL, execute_thread,
			    (void *)(uintptr_t)program) == 0);
	pthread_join(thread, NULL);
}

static void executing(const char *program)
{
	execlp(program, "true", (char *)NULL);
}

static void altering(void)
{
	char *p = map(10 * 4096);

	must(mprotect(p + 4096, 4096, PROT_READ) == 0);
	must(madvise(p, 4096, MADV_DONTNEED) == 0);
	p = mremap(p, 10 * 4096, 4 * 4096, 0);
	must(munmap(p, 4 * 4096) == 0);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "return";

	churn();
	altering();
	if (strcmp(how, "exit") == 0)
		exit(3);
	if (strcmp(how, "_exit") == 0)
		_exit(4);
	if (strcmp(how, "_Exit") == 0)
		_Exit(5);
	if (strcmp(how, "quick_exit") == 0)
		quick_exit(6);
	if (strcmp(how, "thread") == 0)
		by_thread();
	if (strcmp(how, "fork") == 0)
		forking(true);
	if (strcmp(how, "idle-fork") == 0)
		forking(false);
	if (strcmp(how, "spawn") == 0)
		spawning();
	if (strcmp(how, "close") == 0)
		closing_all();
	if (strcmp(how, "exec") == 0)
		executing("true");
	if (strcmp(how, "exec-nothing") == 0)
		executing("nonexistent-program");
	if (strcmp(how, "thread-exec") == 0)
		executing_in_thread("true");
	if (strcmp(how, "thread-exec-nothing") == 0)
		executing_in_thread("nonexistent-program");
	if (strcmp(how, "daemon") == 0)
		becoming_daemon();
	if (strcmp(how, "kill") == 0)
		raise(SIGKILL);
	return tap_failed;
}
