/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * llfree-run runs a program with the preload library. It finds the library,
 * puts the settings into the environment, warns if the loader will not load the
 * library into the program, and executes the program in its own process, so
 * that the exit status is the program's. It exits with 125 if it fails itself,
 * 126 if the program cannot be run and 127 if it is not found.
 */

#include "preload/config.h"
#include "preload/run/elf-check.h"

#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "libllfree-preload.so"

enum {
	STATUS_FAILED = 125,
	STATUS_CANNOT_RUN = 126,
	STATUS_NOT_FOUND = 127,
};

enum {
	KEY_STATS = 's',
	KEY_STATS_FILE = 'o',
	KEY_SET = 'e',
	KEY_LIST = 'l',
};

const char *argp_program_version = "llfree-run (" PACKAGE_STRING ")";

__attribute__((noreturn, format(printf, 2, 3))) static void
fail(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("llfree-run: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(status);
}

/* ------------------------------------------------------------------------ */
/* Settings                                                                  */

static void put_env(const char *name, const char *value)
{
	int result = value[0] == '\0' ? unsetenv(name) : setenv(name, value, 1);

	if (result != 0)
		fail(STATUS_FAILED, "%s: %s", name, strerror(errno));
}

__attribute__((noreturn)) static void fail_value(const char *name,
						 const char *value)
{
	char buf[512];
	struct print accepted = print_to(PRINT_BUFFER, buf, sizeof(buf));

	config_accepts(&accepted, name);
	fail(STATUS_FAILED, "%s=%s: not accepted, must be %.*s", name, value,
	     (int)accepted.len, buf);
}

/* An empty value returns the setting to its default. */
static void set(const char *name, const char *value)
{
	struct config settings;
	const char *full = config_full_name(name);

	if (!full)
		fail(STATUS_FAILED,
		     "%s: no such setting, see llfree-run --list", name);
	config_defaults(&settings);
	if (value[0] != '\0' && config_set(&settings, full, value) != CONFIG_OK)
		fail_value(full, value);
	put_env(full, value);
}

static void set_pair(const char *pair)
{
	const char *equals = strchr(pair, '=');
	char name[64];

	if (!equals)
		fail(STATUS_FAILED, "--set %s: NAME=VALUE is needed", pair);
	snprintf(name, sizeof(name), "%.*s", (int)(equals - pair), pair);
	set(name, equals + 1);
}

static void list_settings(void)
{
	char buf[1024];
	struct print out = print_to(STDOUT_FILENO, buf, sizeof(buf));

	config_help(&out);
	print_flush(&out);
	exit(out.failed ? STATUS_FAILED : EXIT_SUCCESS);
}

/* ------------------------------------------------------------------------ */
/* The command line                                                          */

struct request {
	char **command; /* the program and its arguments, or NULL */
	const char *stats; /* NULL: not given */
	const char *stats_file;
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct request *request = state->input;

	switch (key) {
	case KEY_STATS:
		request->stats = arg ? arg : "1";
		return 0;
	case KEY_STATS_FILE:
		request->stats_file = arg;
		return 0;
	case KEY_SET:
		set_pair(arg);
		return 0;
	case KEY_LIST:
		list_settings();
		return 0;
	case ARGP_KEY_ARG:
		request->command = &state->argv[state->next - 1];
		state->next = state->argc;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
	{ "stats", KEY_STATS, "json", OPTION_ARG_OPTIONAL,
	  "Report on stderr when the program ends, as text or as JSON", 0 },
	{ "stats-file", KEY_STATS_FILE, "FILE", 0,
	  "Write the report to FILE, in which %p is the process and %n the "
	  "program",
	  0 },
	{ "set", KEY_SET, "NAME=VALUE", 0,
	  "Set NAME, with or without LLFREE_; no VALUE restores the default",
	  0 },
	{ "list", KEY_LIST, NULL, 0,
	  "List all settings with their defaults, and exit", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const struct argp parser = {
	.options = options,
	.parser = parse_option,
	.args_doc = "PROGRAM [ARGUMENT...]",
	.doc = "Run PROGRAM with its anonymous memory served by LLFree."
	       "\vThe exit status is that of PROGRAM, or 125 if llfree-run "
	       "itself fails, 126 if PROGRAM cannot be run, 127 if it is not "
	       "found.",
};

/* ------------------------------------------------------------------------ */
/* The library                                                               */

/* Store the folder of this program. */
static void own_folder(char *folder)
{
	ssize_t len = readlink("/proc/self/exe", folder, PATH_MAX - 1);
	char *slash;

	folder[len > 0 ? len : 0] = '\0';
	slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
}

/* Look in the build tree, beside an installed llfree-run, and in the folder that
 * it was configured for. */
static char *find_library(void)
{
	static const char *const places[] = { ".libs/", "", "../lib/" };
	static char path[2 * PATH_MAX];
	char folder[PATH_MAX];

	own_folder(folder);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s%s", folder, places[i],
			 LIBRARY);
		if (access(path, R_OK) == 0)
			return realpath(path, NULL);
	}
	snprintf(path, sizeof(path), "%s/%s", LIBDIR, LIBRARY);
	if (access(path, R_OK) == 0)
		return path;
	fail(STATUS_FAILED, "%s not found beside %s/llfree-run or in %s",
	     LIBRARY, folder, LIBDIR);
}

/* Return whether `path` is in `list`, which spaces or colons separate. */
static bool listed(const char *list, const char *path)
{
	size_t len = strlen(path);

	for (const char *at = list; (at = strstr(at, path)); at += len)
		if ((at == list || strchr(": ", at[-1])) &&
		    strchr(": ", at[len]))
			return true;
	return false;
}

static void preload(void)
{
	const char *before = getenv("LD_PRELOAD");
	const char *library = find_library();
	char *list;

	if (!library)
		fail(STATUS_FAILED, "%s: %s", LIBRARY, strerror(errno));
	if (strpbrk(library, ": "))
		fail(STATUS_FAILED,
		     "%s: the loader takes no path with a space or a colon",
		     library);
	if (!before || before[0] == '\0') {
		put_env("LD_PRELOAD", library);
		return;
	}
	if (listed(before, library))
		return;
	if (asprintf(&list, "%s:%s", library, before) < 0)
		fail(STATUS_FAILED, "%s", strerror(ENOMEM));
	put_env("LD_PRELOAD", list);
	free(list);
}

/* ------------------------------------------------------------------------ */
/* The program                                                               */

/* Store the path that execvp will find; return false if it will find none. */
static bool find_program(const char *name, char *path)
{
	const char *list = getenv("PATH");

	if (strchr(name, '/'))
		return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX;
	for (; list && *list; list += strspn(list, ":")) {
		size_t len = strcspn(list, ":");

		snprintf(path, PATH_MAX, "%.*s/%s", (int)len, list, name);
		if (access(path, X_OK) == 0)
			return true;
		list += len;
	}
	return false;
}

/* Set LD_PRELOAD, unless it would keep the program from starting; warn when the
 * library is not loaded. */
static void preload_into(const char *name)
{
	enum elf_verdict verdict = ELF_LOADS;
	char path[PATH_MAX];
	char why[PATH_MAX + 128];

	if (find_program(name, path))
		verdict = elf_check(path, why, sizeof(why));
	if (verdict != ELF_LOADS)
		fprintf(stderr, "llfree-run: warning: %s\n", why);
	if (verdict != ELF_BREAKS)
		preload();
}

__attribute__((noreturn)) static void become(char **command)
{
	int error;

	execvp(command[0], command);
	error = errno;
	fail(error == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN, "%s: %s",
	     command[0], strerror(error));
}

int main(int argc, char **argv)
{
	struct request request = { NULL, NULL, NULL };

	argp_err_exit_status = STATUS_FAILED;
	argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, &request);
	if (!request.command)
		fail(STATUS_FAILED, "no program given, see llfree-run --help");
	if (request.stats_file) {
		set("STATS_FILE", request.stats_file);
		request.stats = request.stats ? request.stats : "1";
	}
	if (request.stats)
		set("STATS", request.stats);
	preload_into(request.command[0]);
	become(request.command);
}
