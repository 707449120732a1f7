/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The settings: environment variables LLFREE_…, in one table (config.c) that
 * holds name, default, what is accepted, and help. Reading, the dump, the
 * list of llfree-run and the checks of the manual pages come from it.
 *
 * config() reads the environment once, at its first call, which may be before
 * libc and our constructor have run, on any thread or in a signal handler; it
 * neither allocates nor locks. Later changes of the environment have no
 * effect. An empty value counts as not set. A bad one is answered by one line
 * on stderr, and the default is used. Programs that run with other rights
 * than their caller (AT_SECURE) get the defaults.
 *
 * Units: sizes are in bytes; in the environment with an optional suffix
 * K, M, G or T (powers of 1024).
 */
#pragma once

#include "preload/sys/print.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_stats {
	CONFIG_STATS_OFF,
	CONFIG_STATS_TEXT,
	CONFIG_STATS_JSON,
};

enum config_hook {
	CONFIG_HOOK_SYMBOLS, /* exported symbols only */
	CONFIG_HOOK_LIBC, /* and the calls inside libc */
	CONFIG_HOOK_BRK, /* and the main heap */
};

enum config_signal {
	CONFIG_SIGNAL_NONE,
	CONFIG_SIGNAL_HUP,
	CONFIG_SIGNAL_USR1,
	CONFIG_SIGNAL_USR2,
	CONFIG_SIGNAL_QUIT,
};

enum config_thp {
	CONFIG_THP_SYSTEM, /* as the system does it */
	CONFIG_THP_NEVER,
	CONFIG_THP_ALWAYS,
};

#define CONFIG_PROGRAM_MAX 64
#define CONFIG_NEVER UINT64_MAX

/* The settings (eight bytes or a path each), and what goes with them. */
struct config {
	char program[CONFIG_PROGRAM_MAX]; /* its name, without folders */
	uint64_t stats; /* enum config_stats */
	char stats_file[PATH_MAX]; /* pattern; empty: stderr */
	uint64_t stats_signal; /* enum config_signal */
	uint64_t stats_interval; /* seconds; 0: none */
	uint64_t verbose; /* 0 or 1 */
	uint64_t profile; /* 0 or 1 */
	uint64_t profile_top; /* call sites listed for each of the two lists */
	uint64_t hook; /* enum config_hook */
	uint64_t arena; /* bytes of address space, at most */
	uint64_t max_region; /* bytes; larger requests are passed on */
	uint64_t max; /* bytes that may be served at once; 0: any */
	uint64_t strict; /* 0 or 1: no access after munmap */
	uint64_t decay_ms; /* 0: at once; or CONFIG_NEVER */
	uint64_t background; /* 0 or 1: a thread of ours */
	uint64_t thp; /* enum config_thp */
};

/* The settings in effect: after the first call, one load. */
const struct config *config(void);

/*
 * Writes where the report goes: stats_file with %p as `pid`, %n as the
 * program's name, %% as %. False when it does not fit into `cap` bytes.
 */
bool config_stats_path(const struct config *settings, int64_t pid, char *buf,
		       size_t cap);

/* One line per setting, "  LLFREE_ARENA=64G", for LLFREE_VERBOSE=1. */
void config_dump(struct print *out, const struct config *settings);
/* The members of a JSON object: "stats": "json", … without the braces. */
void config_dump_json(struct print *out, const struct config *settings);
/* For people: each name, its default, what is accepted, and help. */
void config_help(struct print *out);

/* The parts below need no environment: for llfree-run and tests. */

enum config_error {
	CONFIG_OK,
	CONFIG_UNKNOWN, /* no such setting */
	CONFIG_BAD_VALUE,
};

void config_defaults(struct config *settings);
/* Sets one; `name` with or without LLFREE_. On an error nothing changes. */
enum config_error config_set(struct config *settings, const char *name,
			     const char *value);
/* "LLFREE_HOOK", or NULL when there is no such setting. */
const char *config_full_name(const char *name);
/* What `name` accepts, as in "0 or 1"; `name` must exist. */
void config_accepts(struct print *out, const char *name);
/* The settings in `env`, which ends with NULL; complaints to `say`. Of a name
 * that is there twice the first counts, as for getenv. */
void config_read(struct config *settings, char *const *env, struct print *out);
/* The name of setting `index`, NULL past the last. */
const char *config_name(size_t index);
