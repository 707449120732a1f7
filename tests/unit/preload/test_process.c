/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* A child notices what it is, however it was made, and calls its list once. */
#include "preload/sys/process.h"

#include "preload/sys/sys.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

/* What the functions of the list did in this process. */
static unsigned calls;
static bool in_order, blocked;

static bool all_blocked(void)
{
	uint64_t now, unblocked = 1u << (SIGKILL - 1) | 1u << (SIGSTOP - 1);

	sys_rt_sigprocmask(SIG_BLOCK, NULL, &now);
	return (now | unblocked) == UINT64_MAX;
}

static void first_of_list(void)
{
	in_order = ++calls == 1;
	blocked = all_blocked();
}

static void second_of_list(void)
{
	in_order = in_order && ++calls == 2;
}

static void (*const list[])(void) = { first_of_list, second_of_list, NULL };

static int start(void **state)
{
	(void)state;
	process_start(list);
	return 0;
}

/* libc, and what it calls in a child, knows nothing of it. */
static pid_t bare_clone(void)
{
	return (pid_t)sys_call(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
}

static pid_t fork_of_libc(void)
{
	pid_t pid = fork();

	if (!pid)
		process_forked();
	return pid;
}

static bool in_child(pid_t (*make)(void), bool (*body)(void))
{
	pid_t pid = make();
	int status;

	if (!pid)
		_exit(body() ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool notices(void)
{
	process_enter();
	process_enter();
	return calls == 2 && in_order && blocked && !all_blocked() &&
	       process_kind() == PROCESS_CHILD && calls == 2;
}

static bool parent_of_another(void)
{
	bool noticed = notices();

	calls = 0;
	return noticed && in_child(bare_clone, notices) && calls == 0;
}

static void first_process(void **state)
{
	(void)state;
	process_enter();
	assert_int_equal(process_kind(), PROCESS_FIRST);
	assert_int_equal(calls, 0);
}

static void child_of_fork(void **state)
{
	assert_true(in_child(fork_of_libc, notices));
	assert_true(in_child(fork_of_libc, parent_of_another));
	first_process(state);
}

static void child_of_clone(void **state)
{
	assert_true(in_child(bare_clone, notices));
	assert_true(in_child(bare_clone, parent_of_another));
	first_process(state);
}

/* It works in this process's memory; under valgrind it is a child of fork. */
static volatile int kind_of_child = -1;

static void child_of_vfork(void **state)
{
	int status;
	pid_t pid = vfork();

	if (!pid) {
		kind_of_child = (int)process_kind();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	if (kind_of_child < 0)
		skip();
	assert_int_equal(kind_of_child, PROCESS_BORROWED);
	first_process(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_process),
		cmocka_unit_test(child_of_fork),
		cmocka_unit_test(child_of_clone),
		cmocka_unit_test(child_of_vfork),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
