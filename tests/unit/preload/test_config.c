/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/config.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static char said[4096];

/* config_read, with what it said in `said`; the number of lines. */
static size_t read_env(struct config *settings, char *const *env)
{
	struct print out = print_to(PRINT_BUFFER, said, sizeof(said) - 1);
	size_t lines = 0;

	config_read(settings, env, &out);
	assert_false(out.failed);
	said[out.len] = '\0';
	for (size_t i = 0; i < out.len; i++)
		lines += said[i] == '\n';
	return lines;
}

static void defaults(void **state)
{
	char *const none[] = { NULL };
	struct config settings;

	(void)state;
	assert_int_equal(read_env(&settings, none), 0);
	assert_int_equal(settings.stats, CONFIG_STATS_OFF);
	assert_string_equal(settings.stats_file, "");
	assert_int_equal(settings.verbose, 0);
	assert_int_equal(settings.profile, 0);
	assert_int_equal(settings.profile_top, 10);
	assert_int_equal(settings.hook, CONFIG_HOOK_BRK);
	assert_int_equal(settings.strict, 0);
	assert_int_equal(settings.decay_ms, 10000);
	assert_int_equal(settings.max, 0);
	assert_int_equal(settings.thp, CONFIG_THP_SYSTEM);
	assert_int_equal(settings.stats_signal, CONFIG_SIGNAL_NONE);
	assert_int_equal(settings.stats_interval, 0);
	assert_true(settings.arena >= UINT64_C(1) << 30);
	assert_true(settings.max_region <= settings.arena);
}

static void all_of_them(void **state)
{
	char *const env[] = {
		(char[]){ "LLFREE_STATS=json" },
		(char[]){ "LLFREE_STATS_FILE=/x/%n.%p" },
		(char[]){ "LLFREE_VERBOSE=1" },
		(char[]){ "LLFREE_PROFILE=1" },
		(char[]){ "LLFREE_PROFILE_TOP=3" },
		(char[]){ "LLFREE_HOOK=symbols" },
		(char[]){ "LLFREE_ARENA=1G" },
		(char[]){ "LLFREE_MAX_REGION=64m" },
		(char[]){ "LLFREE_STRICT=1" },
		(char[]){ "LLFREE_DECAY_MS=-1" },
		(char[]){ "LLFREE_MAX=1G" },
		(char[]){ "LLFREE_THP=always" },
		(char[]){ "LLFREE_STATS_SIGNAL=USR2" },
		(char[]){ "LLFREE_STATS_INTERVAL=60" },
		NULL,
	};
	struct config settings;

	(void)state;
	assert_int_equal(read_env(&settings, env), 0);
	assert_int_equal(settings.stats, CONFIG_STATS_JSON);
	assert_string_equal(settings.stats_file, "/x/%n.%p");
	assert_int_equal(settings.verbose, 1);
	assert_int_equal(settings.profile, 1);
	assert_int_equal(settings.profile_top, 3);
	assert_int_equal(settings.hook, CONFIG_HOOK_SYMBOLS);
	assert_int_equal(settings.arena, UINT64_C(1) << 30);
	assert_int_equal(settings.max_region, 64 << 20);
	assert_int_equal(settings.strict, 1);
	assert_int_equal(settings.decay_ms, CONFIG_NEVER);
	assert_int_equal(settings.max, UINT64_C(1) << 30);
	assert_int_equal(settings.thp, CONFIG_THP_ALWAYS);
	assert_int_equal(settings.stats_signal, CONFIG_SIGNAL_USR2);
	assert_int_equal(settings.stats_interval, 60);
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes; /* 0: not accepted */
	} cases[] = {
		{ "16777216", 16 << 20 },
		{ "16384K", 16 << 20 },
		{ "16M", 16 << 20 },
		{ "16m", 16 << 20 },
		{ "2G", UINT64_C(2) << 30 },
		{ "16T", UINT64_C(16) << 40 },
		{ "16777215", 0 }, /* too small */
		{ "17T", 0 }, /* too large */
		{ "0", 0 },
		{ "-1", 0 },
		{ "+16M", 0 },
		{ " 16M", 0 },
		{ "16M ", 0 },
		{ "16MB", 0 },
		{ "16X", 0 },
		{ "M", 0 },
		{ "1.5G", 0 },
		{ "0x1000000", 0 },
		{ "18446744073709551616", 0 }, /* 2^64 */
		{ "18446744073726328832", 0 }, /* 2^64 + 16M */
		{ "16777216T", 0 }, /* 2^64 */
		{ "16777232T", 0 }, /* 2^64 + 16T */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config settings;
		enum config_error error;
		uint64_t before;

		config_defaults(&settings);
		before = settings.arena;
		error = config_set(&settings, "ARENA", cases[i].text);
		assert_int_equal(error,
				 cases[i].bytes ? CONFIG_OK : CONFIG_BAD_VALUE);
		assert_int_equal(settings.arena,
				 cases[i].bytes ? cases[i].bytes : before);
	}
}

static void names(void **state)
{
	struct config settings;

	(void)state;
	config_defaults(&settings);
	assert_int_equal(config_set(&settings, "STRICT", "1"), CONFIG_OK);
	assert_int_equal(config_set(&settings, "LLFREE_STRICT", "0"),
			 CONFIG_OK);
	assert_int_equal(config_set(&settings, "STRICTER", "1"),
			 CONFIG_UNKNOWN);
	assert_int_equal(config_set(&settings, "", "1"), CONFIG_UNKNOWN);
	assert_string_equal(config_full_name("HOOK"), "LLFREE_HOOK");
	assert_string_equal(config_full_name("LLFREE_HOOK"), "LLFREE_HOOK");
	assert_null(config_full_name("HOOKS"));
	assert_null(config_name(1000));
}

/* Whatever settings there are: nonsense is named, with what is accepted. */
static void nonsense_for_each(void **state)
{
	struct config settings, expected;
	const char *name;
	size_t i;

	(void)state;
	config_defaults(&expected);
	for (i = 0; (name = config_name(i)); i++) {
		char entry[100], buf[200];
		char *const env[] = { entry, NULL };
		struct print accepts =
			print_to(PRINT_BUFFER, buf, sizeof(buf) - 1);

		config_accepts(&accepts, name);
		buf[accepts.len] = '\0';
		strcpy(stpcpy(entry, name), "=%nonsense%");
		assert_int_equal(read_env(&settings, env), 1);
		assert_memory_equal(&settings, &expected, sizeof(settings));
		assert_non_null(strstr(said, entry));
		assert_non_null(strstr(said, buf));
	}
	assert_true(i >= 9);
}

static void empty_is_not_set(void **state)
{
	struct config settings, expected;
	const char *name;

	(void)state;
	config_defaults(&expected);
	for (size_t i = 0; (name = config_name(i)); i++) {
		char entry[100];
		char *const env[] = { entry, NULL };

		strcpy(stpcpy(entry, name), "=");
		assert_int_equal(read_env(&settings, env), 0);
		assert_memory_equal(&settings, &expected, sizeof(settings));
	}
}

static void the_first_counts(void **state)
{
	char *const env[] = {
		(char[]){ "LLFREE_PROFILE_TOPS=5" },
		(char[]){ "LLFREE_PROFILE_TOP=6" },
		(char[]){ "LLFREE_PROFILE_TOP=7" },
		NULL,
	};
	struct config settings;

	(void)state;
	assert_int_equal(read_env(&settings, env), 0);
	assert_int_equal(settings.profile_top, 6);
}

static void unknown_ones_when_verbose(void **state)
{
	char *const env[] = {
		(char[]){ "LLFREE_ARENAS=1G" },
		(char[]){ "HOME=LLFREE_X=1" },
		(char[]){ "LLFREE_VERBOSE=1" },
		(char[]){ "LLFREE_\033[31m=1" },
		NULL,
	};
	struct config settings;

	(void)state;
	assert_int_equal(read_env(&settings, env), 2);
	assert_string_equal(said, "llfree: LLFREE_ARENAS: no such setting\n"
				  "llfree: LLFREE_?[31m: no such setting\n");
}

static void values_stay_on_one_line(void **state)
{
	char entry[5000] = "LLFREE_HOOK=a\nb\r";
	char *const env[] = { entry, NULL };
	struct config settings;

	(void)state;
	memset(entry + strlen(entry), 'x', 4500);
	assert_int_equal(read_env(&settings, env), 1);
	assert_non_null(strstr(said, "LLFREE_HOOK=a?b?xxx"));
	assert_true(strlen(said) < 200);
}

static void patterns(void **state)
{
	static const struct {
		const char *pattern;
		const char *path; /* NULL: not accepted */
	} cases[] = {
		{ "plain", "plain" }, { "%n-%p.json", "prog-123.json" },
		{ "100%%", "100%" },  { "%%p", "%p" },
		{ "%", NULL },	      { "a%", NULL },
		{ "%d", NULL },	      { "%%%", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config settings;
		char path[100];

		config_defaults(&settings);
		strcpy(settings.program, "prog");
		assert_int_equal(config_set(&settings, "STATS_FILE",
					    cases[i].pattern),
				 cases[i].path ? CONFIG_OK : CONFIG_BAD_VALUE);
		if (!cases[i].path)
			continue;
		assert_true(
			config_stats_path(&settings, 123, path, sizeof(path)));
		assert_string_equal(path, cases[i].path);
	}
}

static void paths_that_are_too_long(void **state)
{
	static char pattern[PATH_MAX + 1];
	struct config settings;
	char path[8];

	(void)state;
	config_defaults(&settings);
	memset(pattern, 'x', PATH_MAX);
	assert_int_equal(config_set(&settings, "STATS_FILE", pattern),
			 CONFIG_BAD_VALUE);
	assert_int_equal(config_set(&settings, "STATS_FILE", "1234567"),
			 CONFIG_OK);
	assert_true(config_stats_path(&settings, 1, path, sizeof(path)));
	assert_int_equal(config_set(&settings, "STATS_FILE", "123456%p"),
			 CONFIG_OK);
	assert_false(config_stats_path(&settings, 12, path, sizeof(path)));
}

/* Settings that a dump shows, set again, give the same dump. */
static void dump_can_be_read_back(void **state)
{
	char dump[2000], again[2000], *lines[30] = { NULL };
	struct print out = print_to(PRINT_BUFFER, dump, sizeof(dump) - 1);
	struct config settings;
	size_t count = 0;

	(void)state;
	config_defaults(&settings);
	assert_int_equal(config_set(&settings, "ARENA", "1536M"), CONFIG_OK);
	assert_int_equal(config_set(&settings, "STATS", "json"), CONFIG_OK);
	config_dump(&out, &settings);
	dump[out.len] = '\0';
	memcpy(again, dump, sizeof(dump));
	for (char *at = strtok(again, " \n"); at; at = strtok(NULL, " \n"))
		lines[count++] = at;
	assert_int_equal(read_env(&settings, lines), 0);
	out = print_to(PRINT_BUFFER, said, sizeof(said) - 1);
	config_dump(&out, &settings);
	said[out.len] = '\0';
	assert_string_equal(said, dump);
	assert_non_null(strstr(dump, "LLFREE_ARENA=1536M\n"));
}

static void json_values(void **state)
{
	struct print out = print_to(PRINT_BUFFER, said, sizeof(said) - 1);
	struct config settings;

	(void)state;
	config_defaults(&settings);
	assert_int_equal(config_set(&settings, "STATS", "json"), CONFIG_OK);
	assert_int_equal(config_set(&settings, "STATS_FILE", "a\"b"),
			 CONFIG_OK);
	assert_int_equal(config_set(&settings, "ARENA", "1G"), CONFIG_OK);
	config_dump_json(&out, &settings);
	said[out.len] = '\0';
	assert_ptr_equal(strstr(said, "\"stats\": \"json\", "
				      "\"stats_file\": \"a\\\"b\", "
				      "\"stats_signal\": \"none\", "
				      "\"stats_interval\": 0, "
				      "\"verbose\": false, "),
			 said);
	assert_non_null(strstr(said, ", \"decay_ms\": 10000, "));
	assert_non_null(strstr(said, ", \"arena\": 1073741824, "));
}

/* The environment that this program got, read once. */
static void the_process(void **state)
{
	const struct config *settings = config();

	(void)state;
	assert_int_equal(settings->verbose, 0);
	assert_non_null(strstr(settings->program, "test_config"));
	setenv("LLFREE_VERBOSE", "1", 1);
	assert_ptr_equal(config(), settings);
	assert_int_equal(config()->verbose, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(all_of_them),
		cmocka_unit_test(sizes),
		cmocka_unit_test(names),
		cmocka_unit_test(nonsense_for_each),
		cmocka_unit_test(empty_is_not_set),
		cmocka_unit_test(the_first_counts),
		cmocka_unit_test(unknown_ones_when_verbose),
		cmocka_unit_test(values_stay_on_one_line),
		cmocka_unit_test(patterns),
		cmocka_unit_test(paths_that_are_too_long),
		cmocka_unit_test(dump_can_be_read_back),
		cmocka_unit_test(json_values),
		cmocka_unit_test(the_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
