/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The exec family, by symbol: the last chance for a report. Without statistics
 * each is what libc's is. A process writes its report if the program seems to
 * be there; should it fail to start nevertheless, a second report follows at
 * the real end.
 */
#include "preload/calls/calls.h"
#include "preload/calls/next.h"
#include "preload/report/report.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------------ */
/* Whether it will start                                                     */

static bool is_executable(int dir, const char *path)
{
	return !sys_call(SYS_faccessat, dir, (long)path, X_OK, 0, 0, 0);
}

/* One folder of PATH, which ends with ':' or the text. */
static bool in_folder(const char *folder, size_t len, const char *file)
{
	char path[PATH_MAX];
	size_t file_len = strlen(file);

	if (len + 1 + file_len >= sizeof(path))
		return false;
	memcpy(path, folder, len);
	path[len] = '/';
	memcpy(path + len + 1, file, file_len + 1);
	return is_executable(AT_FDCWD, len ? path : file);
}

static bool in_path(const char *file)
{
	const char *at = getenv("PATH");

	if (strchr(file, '/'))
		return is_executable(AT_FDCWD, file);
	for (at = at ? at : "/bin:/usr/bin"; *at; at++) {
		size_t len = strcspn(at, ":");

		if (in_folder(at, len, file))
			return true;
		at += len;
		if (!*at)
			break;
	}
	return false;
}

/* ------------------------------------------------------------------------ */
/* libc's own                                                                */

/* What an exec that came back returns. */
static int came_back(bool reported, int result)
{
	if (reported)
		report_again();
	return result;
}

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	bool reported = stats_on && is_executable(AT_FDCWD, path) &&
			report_before_exec();

	return came_back(reported, next()->execve(path, argv, envp));
}

EXPORT int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

EXPORT int execveat(int dir, const char *path, char *const argv[],
		    char *const envp[], int flags)
{
	bool reported = stats_on &&
			(flags & AT_EMPTY_PATH || is_executable(dir, path)) &&
			report_before_exec();

	return came_back(reported,
			 next()->execveat(dir, path, argv, envp, flags));
}

EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	bool reported = stats_on && sys_fcntl(fd, F_GETFD, 0) >= 0 &&
			report_before_exec();

	return came_back(reported, next()->fexecve(fd, argv, envp));
}

EXPORT int execvp(const char *file, char *const argv[])
{
	bool reported = stats_on && in_path(file) && report_before_exec();

	return came_back(reported, next()->execvp(file, argv));
}

EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	bool reported = stats_on && in_path(file) && report_before_exec();

	return came_back(reported, next()->execvpe(file, argv, envp));
}

/* ------------------------------------------------------------------------ */
/* With the arguments one by one                                             */

/* How many there are, with the NULL at the end. */
static size_t count_args(va_list args)
{
	size_t count = 2;

	while (va_arg(args, char *))
		count++;
	return count;
}

#define COLLECT(argv, first, args)                                 \
	size_t argc_, at_ = 0;                                     \
	va_start(args, first);                                     \
	argc_ = count_args(args);                                  \
	va_end(args);                                              \
	char **argv = __builtin_alloca(argc_ * sizeof(*argv));     \
	va_start(args, first);                                     \
	for (argv[at_++] = (char *)(uintptr_t)first; at_ < argc_;) \
	argv[at_++] = va_arg(args, char *)

EXPORT int execl(const char *path, const char *arg, ...)
{
	va_list args;

	COLLECT(argv, arg, args);
	va_end(args);
	return execve(path, argv, environ);
}

EXPORT int execlp(const char *file, const char *arg, ...)
{
	va_list args;

	COLLECT(argv, arg, args);
	va_end(args);
	return execvp(file, argv);
}

EXPORT int execle(const char *path, const char *arg, ...)
{
	va_list args;
	char **envp;

	COLLECT(argv, arg, args);
	envp = va_arg(args, char **);
	va_end(args);
	return execve(path, argv, envp);
}
