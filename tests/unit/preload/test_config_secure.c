/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* A program with other rights than its caller does not trust the environment.
 * The auxiliary vector, where the kernel says so, is replaced here. */

#include "preload/config.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

unsigned long getauxval(unsigned long type)
{
	return type == AT_SECURE;
}

static void defaults_without_a_word(void **state)
{
	struct config defaults;
	char said[16];
	int fds[2], saved;

	(void)state;
	setenv("LLFREE_STATS", "json", 1);
	setenv("LLFREE_STATS_FILE", "/tmp/x", 1);
	setenv("LLFREE_VERBOSE", "1", 1);
	setenv("LLFREE_ARENA", "nonsense", 1);
	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	saved = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	config();
	dup2(saved, STDERR_FILENO);
	close(fds[1]);
	assert_int_equal(read(fds[0], said, sizeof(said)), 0);
	config_defaults(&defaults);
	strcpy(defaults.program, config()->program);
	assert_memory_equal(config(), &defaults, sizeof(defaults));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_without_a_word),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
