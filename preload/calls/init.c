/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* The beginning and the end of the process: constructor, hooks, _exit. */
#include "preload/background.h"
#include "preload/calls/brk.h"
#include "preload/calls/calls.h"
#include "preload/calls/next.h"
#include "preload/calls/setup.h"
#include "preload/hook/hook.h"
#include "preload/report/profile.h"
#include "preload/report/report.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* ------------------------------------------------------------------------ */
/* The end                                                                   */

static bool exit_hooked;
static bool exiting;

EXPORT __attribute__((noreturn)) void _exit(int status)
{
	report_last(exiting ? "exit" : "_exit");
	sys_exit_group(status);
}

EXPORT __attribute__((noreturn)) void _Exit(int status)
{
	_exit(status);
}

/* What comes last is _exit; where that is not hooked, this has to do. */
static void leave(void)
{
	exiting = true;
	if (!exit_hooked)
		report_last("exit");
}

/* ------------------------------------------------------------------------ */
/* Hooks                                                                     */

enum { HOOK_EXIT = 5, HOOK_BRK };

static struct hook hooks[] = {
	{ .symbol = "munmap",
	  .ours = (void (*)(void))munmap,
	  .words = 2,
	  .test = true },
	{ .symbol = "mremap",
	  .ours = (void (*)(void))mremap,
	  .words = 5,
	  .test = true },
	{ .symbol = "madvise",
	  .ours = (void (*)(void))madvise,
	  .words = 3,
	  .test = true },
	{ .symbol = "mprotect",
	  .ours = (void (*)(void))mprotect,
	  .words = 3,
	  .test = true },
	{ .symbol = "mmap",
	  .ours = (void (*)(void))mmap,
	  .words = 6,
	  .test = true,
	  .needs_all = true },
	[HOOK_EXIT] = { .symbol = "_exit",
			.ours = (void (*)(void))_exit,
			.words = 1 },
	[HOOK_BRK] = { .symbol = "brk",
		       .ours = (void (*)(void))brk_call,
		       .words = 1,
		       .test = true,
		       .needs_all = true,
		       .apart = true },
};
#define HOOKS (sizeof(hooks) / sizeof(hooks[0]))

static void take_hooks(const struct config *settings)
{
	hooks[HOOK_BRK].why_not = setup_heap_refused(settings);
	if (settings->hook == CONFIG_HOOK_SYMBOLS)
		hook_skip("LLFREE_HOOK=symbols");
	else if (arena_state() == ARENA_OFF)
		hook_skip(arena_why_off());
	else
		hook_install(hooks, HOOKS);
	exit_hooked = hooks[HOOK_EXIT].took;
	brk_take(hooks[HOOK_BRK].took);
}

static void take_signal(const struct config *settings)
{
	static const int numbers[] = {
		[CONFIG_SIGNAL_NONE] = 0,	[CONFIG_SIGNAL_HUP] = SIGHUP,
		[CONFIG_SIGNAL_USR1] = SIGUSR1, [CONFIG_SIGNAL_USR2] = SIGUSR2,
		[CONFIG_SIGNAL_QUIT] = SIGQUIT,
	};

	report_on_signal(numbers[settings->stats_signal]);
}

/* ------------------------------------------------------------------------ */
/* The beginning                                                             */

/* This runs before libc's own constructor, which is to set these. */
static void set_for_libc(char **argv, char **env)
{
	if (!environ)
		environ = env;
	if (!program_invocation_name[0] && argv[0])
		program_invocation_name = argv[0];
}

/* -z initfirst: before anything of the program's can use its heap. A sanitizer
 * has functions of its own in front of libc's, which do not work yet: what the
 * report needs waits for the program's first call then, or its end. */
static __attribute__((constructor)) void set_up(int argc, char **argv,
						char **env)
{
	const struct config *settings;

	(void)argc;
	set_for_libc(argv, env);
	if (setup_has_sanitizer()) {
		next_find();
		return;
	}
	settings = config();
	setup_ready();
	housekeeping_start(settings);
	take_signal(settings);
	take_hooks(settings);
	/* A search in vain uses the heap, which is taken over by now. */
	next_find();
	pthread_atfork(arena_quiesce, arena_resume, process_forked);
	at_quick_exit(leave);
	background_start(settings);
	if (settings->profile)
		profile_start();
	if (settings->verbose)
		report_settings(settings);
}

static __attribute__((destructor)) void tear_down(void)
{
	setup_ready();
	leave();
}
