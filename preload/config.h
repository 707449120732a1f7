/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The settings: environment variables LLFREE_…, in one table (config.c) that
 * holds name, default, accepted values and help. The table is the source of the
 * parser, the dump, the list of llfree-run and the checks of the documents.
 *
 * config() reads the environment once, at its first call. That may be before
 * libc and our constructor have run, on any thread or in a signal handler; it
 * neither allocates nor locks. Later changes of the environment have no effect.
 * An empty value counts as not set. A value that is not accepted makes one line
 * on stderr, and the default is used. A program that runs with other rights
 * than its caller (AT_SECURE) gets the defaults.
 *
 * Units: sizes are in bytes. In the environment they may have a suffix K, M, G
 * or T, powers of 1024.
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
	CONFIG_HOOK_SYMBOLS, /* calls by exported symbol only */
	CONFIG_HOOK_LIBC, /* and calls inside libc */
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
	CONFIG_THP_SYSTEM, /* leave it to the setting of the system */
	CONFIG_THP_NEVER,
	CONFIG_THP_ALWAYS,
};

#define CONFIG_PROGRAM_MAX 64
#define CONFIG_NEVER UINT64_MAX

/* The settings, each of eight bytes or a path, and the name of the program. */
struct config {
	char program[CONFIG_PROGRAM_MAX]; /* without folders */
	uint64_t stats; /* enum config_stats */
	char stats_file[PATH_MAX]; /* a pattern; "": stderr */
	uint64_t stats_signal; /* enum config_signal */
	uint64_t stats_interval; /* seconds; 0: none */
	uint64_t verbose; /* 0 or 1 */
	uint64_t profile; /* 0 or 1 */
	uint64_t profile_top; /* call sites in each of the two lists */
	uint64_t hook; /* enum config_hook */
	uint64_t arena; /* most bytes of address space */
	uint64_t max_region; /* bytes; larger requests are passed */
	uint64_t max; /* most bytes in use at once; 0: no limit */
	uint64_t strict; /* 0 or 1: no access after munmap */
	uint64_t decay_ms; /* 0: at once; or CONFIG_NEVER */
	uint64_t background; /* 0 or 1 */
	uint64_t thp; /* enum config_thp */
};

/* Return the settings in effect. After the first call this is one load. */
const struct config *config(void);

/*
 * Store the path of the report, which is stats_file with %p replaced by `pid`,
 * %n by the name of the program and %% by %. Return false if it does not fit
 * into `cap` bytes.
 */
bool config_stats_path(const struct config *settings, int64_t pid, char *buf,
		       size_t cap);

/* Print one line for each setting, "  LLFREE_ARENA=64G". */
void config_dump(struct print *out, const struct config *settings);
/* Print the members of a JSON object, without its braces. */
void config_dump_json(struct print *out, const struct config *settings);
/* Print the list of llfree-run: names, defaults, help and accepted values. */
void config_help(struct print *out);

/* What follows does not read the environment: for llfree-run and tests. */

enum config_error {
	CONFIG_OK,
	CONFIG_UNKNOWN, /* no such setting */
	CONFIG_BAD_VALUE,
};

void config_defaults(struct config *settings);
/* Set the setting `name`, with or without LLFREE_. An error changes nothing. */
enum config_error config_set(struct config *settings, const char *name,
			     const char *value);
/* Return the name with LLFREE_, or NULL if there is no such setting. */
const char *config_full_name(const char *name);
/* Print what `name`, which must exist, accepts, as in "0 or 1". */
void config_accepts(struct print *out, const char *name);
/* Read the settings from `env`, which ends with NULL. Print complaints to `out`.
 * If a name occurs twice, the first one counts, as for getenv. */
void config_read(struct config *settings, char *const *env, struct print *out);
/* Return the name of setting `index`, or NULL behind the last. */
const char *config_name(size_t index);
