/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A library to preload beside ours: maps and unmaps in its constructor and its
 * destructor, which run before and after ours or the other way round. With
 * EARLY_EXEC its constructor starts the program once more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char *early;

static char *churn(int value)
{
	char *p = NULL;

	for (int i = 0; i < 20; i++) {
		p = mmap(NULL, 300000, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED || p[0] || p[299999])
			_exit(99);
		memset(p, value, 300000);
		if (i < 19 && munmap(p, 300000))
			_exit(98);
	}
	return p;
}

static void start_again(char **argv)
{
	const char *how = getenv("EARLY_EXEC");

	if (!how)
		return;
	unsetenv("EARLY_EXEC");
	if (strcmp(how, "execvp") == 0)
		execvp(argv[0], argv);
	else
		execv(argv[0], argv);
	_exit(95);
}

/* glibc tells constructors what main will be told. */
static __attribute__((constructor)) void begin(int argc, char **argv)
{
	(void)argc;
	early = churn('e');
	start_again(argv);
}

static __attribute__((destructor)) void end(void)
{
	char *late = churn('l');

	for (int i = 0; i < 300000; i++)
		if (early[i] != 'e' || late[i] != 'l')
			_exit(97);
	if (munmap(early, 300000) || munmap(late, 300000))
		_exit(96);
	write(STDOUT_FILENO, "the end\n", 8);
}
