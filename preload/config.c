/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/config.h"
#include "preload/sys/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#define PREFIX "LLFREE_"
#define PREFIX_LEN (sizeof(PREFIX) - 1)

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define TIB (UINT64_C(1) << 40)

enum kind {
	SWITCH, /* 0 or 1 */
	CHOICE, /* one of `choices`; its index is stored */
	NUMBER, /* from `min` to `max` */
	SIZE, /* the same in bytes, with a suffix */
	TIME, /* a number, or -1 for never: CONFIG_NEVER is stored */
	PATTERN, /* a path with %p, %n and %% */
};

/* The settings. Defaults are parsed as values are. */
static const struct setting {
	const char *name;
	const char *key; /* in the JSON report */
	const char *fallback; /* the default */
	const char *help;
	uint64_t min, max;
	size_t offset; /* in struct config */
	enum kind kind;
	const char *choices[6]; /* and NULL */
} settings_table[] = {
	{
		.name = PREFIX "STATS",
		.key = "stats",
		.kind = CHOICE,
		.choices = { "0", "1", "json" },
		.fallback = "0",
		.offset = offsetof(struct config, stats),
		.help = "report when the program ends: 1 as text, json as one "
			"JSON object",
	},
	{
		.name = PREFIX "STATS_FILE",
		.key = "stats_file",
		.kind = PATTERN,
		.fallback = "",
		.offset = offsetof(struct config, stats_file),
		.help = "write the report to this file instead of stderr",
	},
	{
		.name = PREFIX "STATS_SIGNAL",
		.key = "stats_signal",
		.kind = CHOICE,
		.choices = { "none", "HUP", "USR1", "USR2", "QUIT" },
		.fallback = "none",
		.offset = offsetof(struct config, stats_signal),
		.help = "report when this signal arrives, unless the program "
			"handles or ignores it",
	},
	{
		.name = PREFIX "STATS_INTERVAL",
		.key = "stats_interval",
		.kind = NUMBER,
		.max = 24 * 3600,
		.fallback = "0",
		.offset = offsetof(struct config, stats_interval),
		.help = "seconds from report to report, while the program "
			"requests memory or LLFREE_BACKGROUND is 1; 0: no such "
			"reports",
	},
	{
		.name = PREFIX "VERBOSE",
		.key = "verbose",
		.kind = SWITCH,
		.fallback = "0",
		.offset = offsetof(struct config, verbose),
		.help = "print at the start which settings and hooks are in "
			"effect, and which settings are unknown",
	},
	{
		.name = PREFIX "PROFILE",
		.key = "profile",
		.kind = SWITCH,
		.fallback = "0",
		.offset = offsetof(struct config, profile),
		.help = "add to the report the call sites that requested most "
			"memory (needs libunwind)",
	},
	{
		.name = PREFIX "PROFILE_TOP",
		.key = "profile_top",
		.kind = NUMBER,
		.min = 1,
		.max = 1000,
		.fallback = "10",
		.offset = offsetof(struct config, profile_top),
		.help = "number of call sites to list, of served and of passed "
			"memory each",
	},
	{
		.name = PREFIX "HOOK",
		.key = "hook",
		.kind = CHOICE,
		.choices = { "symbols", "libc", "libc+brk" },
		.fallback = "libc+brk",
		.offset = offsetof(struct config, hook),
		.help = "calls to catch: symbols by exported symbol only, libc "
			"also those inside libc (malloc, thread stacks), "
			"libc+brk also those for the main heap",
	},
	{
		.name = PREFIX "ARENA",
		.key = "arena",
		.kind = SIZE,
		.min = 16 * MIB,
		.max = 16 * TIB,
		.fallback = "64G",
		.offset = offsetof(struct config, arena),
		.help = "address space for served memory, limited to what the "
			"machine has in memory and swap; it costs memory only "
			"where it is used",
	},
	{
		.name = PREFIX "MAX_REGION",
		.key = "max_region",
		.kind = SIZE,
		.min = 4 * KIB,
		.max = 16 * TIB,
		.fallback = "16G",
		.offset = offsetof(struct config, max_region),
		.help = "largest request to serve; larger ones are passed to "
			"the kernel",
	},
	{
		.name = PREFIX "MAX",
		.key = "max",
		.kind = SIZE,
		.min = 0,
		.max = 16 * TIB,
		.fallback = "0",
		.offset = offsetof(struct config, max),
		.help = "most bytes in use at once; a request beyond them "
			"fails "
			"with ENOMEM; 0: no limit",
	},
	{
		.name = PREFIX "STRICT",
		.key = "strict",
		.kind = SWITCH,
		.fallback = "0",
		.offset = offsetof(struct config, strict),
		.help = "make memory inaccessible on munmap, as the kernel "
			"does; slower",
	},
	{
		.name = PREFIX "DECAY_MS",
		.key = "decay_ms",
		.kind = TIME,
		.max = 24 * 3600 * 1000,
		.fallback = "10000",
		.offset = offsetof(struct config, decay_ms),
		.help = "milliseconds until freed memory that was kept for "
			"reuse, and not used, goes back to the kernel; 0: none "
			"is kept",
	},
	{
		.name = PREFIX "BACKGROUND",
		.key = "background",
		.kind = SWITCH,
		.fallback = "0",
		.offset = offsetof(struct config, background),
		.help = "add a thread to the program that gives memory back "
			"and reports by interval, also while the program makes "
			"no calls",
	},
	{
		.name = PREFIX "THP",
		.key = "thp",
		.kind = CHOICE,
		.choices = { "system", "never", "always" },
		.fallback = "system",
		.offset = offsetof(struct config, thp),
		.help = "transparent huge pages for served memory: always or "
			"never ask the kernel for them, or leave it to the "
			"setting of the system",
	},
};

#define SETTINGS (sizeof(settings_table) / sizeof(settings_table[0]))

static uint64_t *number_of(struct config *settings, const struct setting *s)
{
	return (uint64_t *)(void *)((char *)settings + s->offset);
}

static uint64_t number_in(const struct config *settings,
			  const struct setting *s)
{
	return *(const uint64_t *)(const void *)((const char *)settings +
						 s->offset);
}

static const char *text_in(const struct config *settings,
			   const struct setting *s)
{
	return (const char *)settings + s->offset;
}

/* ------------------------------------------------------------------------ */
/* Parsing                                                                   */

/* Set *shift to 10, 20, 30 or 40 for K, M, G or T. */
static bool parse_suffix(const char *text, unsigned *shift)
{
	static const char suffixes[] = "KMGTkmgt";
	const char *found;

	*shift = 0;
	if (text[0] == '\0')
		return true;
	found = strchr(suffixes, text[0]);
	*shift = 10 * (unsigned)((found ? found - suffixes : 0) % 4 + 1);
	return found && text[1] == '\0';
}

static bool parse_number(const struct setting *s, const char *text,
			 uint64_t *number)
{
	unsigned shift = 0;
	uint64_t value = 0;
	size_t i;

	for (i = 0; text[i] >= '0' && text[i] <= '9'; i++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, text[i] - '0', &value))
			return false;
	if (i == 0)
		return false;
	if (s->kind == SIZE ? !parse_suffix(text + i, &shift) : text[i] != '\0')
		return false;
	if (value > UINT64_MAX >> shift)
		return false;
	*number = value << shift;
	return *number >= s->min && *number <= s->max;
}

static bool parse_time(const struct setting *s, const char *text,
		       uint64_t *number)
{
	if (strcmp(text, "-1") != 0)
		return parse_number(s, text, number);
	*number = CONFIG_NEVER;
	return true;
}

static bool parse_choice(const struct setting *s, const char *text,
			 uint64_t *number)
{
	for (size_t i = 0; s->choices[i]; i++) {
		if (strcmp(text, s->choices[i]) == 0) {
			*number = i;
			return true;
		}
	}
	return false;
}

static bool parse_switch(const char *text, uint64_t *number)
{
	*number = text[0] == '1';
	return (text[0] == '0' || text[0] == '1') && text[1] == '\0';
}

static bool valid_pattern(const char *text)
{
	if (strlen(text) >= PATH_MAX)
		return false;
	for (; *text; text++)
		if (*text == '%' && (*++text == '\0' || !strchr("pn%", *text)))
			return false;
	return true;
}

static bool parse(struct config *settings, const struct setting *s,
		  const char *text)
{
	uint64_t number = 0;
	bool ok = false;

	switch (s->kind) {
	case SWITCH:
		ok = parse_switch(text, &number);
		break;
	case CHOICE:
		ok = parse_choice(s, text, &number);
		break;
	case NUMBER:
	case SIZE:
		ok = parse_number(s, text, &number);
		break;
	case TIME:
		ok = parse_time(s, text, &number);
		break;
	case PATTERN:
		if (!valid_pattern(text))
			return false;
		strcpy((char *)settings + s->offset, text);
		return true;
	}
	if (ok)
		*number_of(settings, s) = number;
	return ok;
}

static const struct setting *find(const char *name)
{
	if (strncmp(name, PREFIX, PREFIX_LEN) == 0)
		name += PREFIX_LEN;
	for (size_t i = 0; i < SETTINGS; i++)
		if (strcmp(settings_table[i].name + PREFIX_LEN, name) == 0)
			return &settings_table[i];
	return NULL;
}

void config_defaults(struct config *settings)
{
	memset(settings, 0, sizeof(*settings));
	for (size_t i = 0; i < SETTINGS; i++)
		parse(settings, &settings_table[i], settings_table[i].fallback);
}

enum config_error config_set(struct config *settings, const char *name,
			     const char *value)
{
	const struct setting *s = find(name);

	if (!s)
		return CONFIG_UNKNOWN;
	if (!parse(settings, s, value))
		return CONFIG_BAD_VALUE;
	return CONFIG_OK;
}

const char *config_full_name(const char *name)
{
	const struct setting *s = find(name);

	return s ? s->name : NULL;
}

const char *config_name(size_t index)
{
	return index < SETTINGS ? settings_table[index].name : NULL;
}

/* ------------------------------------------------------------------------ */
/* Printing                                                                  */

/* Print it as it is written in the environment. */
static void print_size(struct print *out, uint64_t bytes)
{
	static const char suffixes[] = "KMGT";
	unsigned unit = 0;

	while (unit < 4 && bytes > 0 && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	print_u64(out, bytes);
	if (unit > 0)
		print_char(out, suffixes[unit - 1]);
}

static void print_choices(struct print *out, const struct setting *s)
{
	for (size_t i = 0; s->choices[i]; i++) {
		if (i > 0)
			print_text(out, s->choices[i + 1] ? ", " : " or ");
		print_text(out, s->choices[i]);
	}
}

static void print_accepts(struct print *out, const struct setting *s)
{
	switch (s->kind) {
	case SWITCH:
		print_text(out, "0 or 1");
		break;
	case CHOICE:
		print_choices(out, s);
		break;
	case NUMBER:
	case TIME:
		print_text(out, "a number from ");
		print_u64(out, s->min);
		print_text(out, " to ");
		print_u64(out, s->max);
		if (s->kind == TIME)
			print_text(out, ", or -1 for never");
		break;
	case SIZE:
		print_text(out, "a size from ");
		print_size(out, s->min);
		print_text(out, " to ");
		print_size(out, s->max);
		break;
	case PATTERN:
		print_text(out, "a path; %p is the process, %n the program, "
				"%% a percent sign");
		break;
	}
}

void config_accepts(struct print *out, const char *name)
{
	print_accepts(out, find(name));
}

static void print_value(struct print *out, const struct config *settings,
			const struct setting *s)
{
	switch (s->kind) {
	case CHOICE:
		print_text(out, s->choices[number_in(settings, s)]);
		break;
	case SWITCH:
	case NUMBER:
		print_u64(out, number_in(settings, s));
		break;
	case TIME:
		print_i64(out, (int64_t)number_in(settings, s));
		break;
	case SIZE:
		print_size(out, number_in(settings, s));
		break;
	case PATTERN:
		print_text(out, text_in(settings, s));
		break;
	}
}

void config_dump(struct print *out, const struct config *settings)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		print_text(out, "  ");
		print_text(out, settings_table[i].name);
		print_char(out, '=');
		print_value(out, settings, &settings_table[i]);
		print_char(out, '\n');
	}
}

void config_dump_json(struct print *out, const struct config *settings)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		const struct setting *s = &settings_table[i];

		print_json_key(out, s->key);
		if (s->kind == PATTERN)
			print_json_string(out, text_in(settings, s));
		else if (s->kind == CHOICE)
			print_json_string(out,
					  s->choices[number_in(settings, s)]);
		else if (s->kind == SWITCH)
			print_json_bool(out, number_in(settings, s));
		else if (s->kind == TIME)
			print_json_i64(out, (int64_t)number_in(settings, s));
		else
			print_json_u64(out, number_in(settings, s));
	}
}

#define COLUMNS 100

/* Print `text` in lines that begin in the present column. */
static void print_wrapped(struct print *out, const char *text)
{
	const size_t indent = out->column;

	for (size_t len; *text; text += len) {
		len = strcspn(text + 1, " ") + 1; /* a space and a word */
		if (out->column + len > COLUMNS) {
			print_char(out, '\n');
			print_pad(out, indent);
			text++;
			len--;
		}
		print_mem(out, text, len);
	}
}

void config_help(struct print *out)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		const struct setting *s = &settings_table[i];

		print_text(out, s->name);
		print_char(out, '=');
		print_text(out, s->fallback);
		print_text(out, "\n    ");
		print_wrapped(out, s->help);
		print_text(out, "\n    Accepted: ");
		print_accepts(out, s);
		print_char(out, '\n');
	}
}

bool config_stats_path(const struct config *settings, int64_t pid, char *buf,
		       size_t cap)
{
	struct print out = print_to(PRINT_BUFFER, buf, cap);
	const char *at = settings->stats_file;

	for (; *at; at++) {
		if (*at != '%')
			print_char(&out, *at);
		else if (*++at == 'p')
			print_i64(&out, pid);
		else if (*at == 'n')
			print_text(&out, settings->program);
		else
			print_char(&out, '%');
	}
	print_char(&out, '\0');
	return !out.failed;
}

/* ------------------------------------------------------------------------ */
/* The environment                                                           */

/* Return what follows "NAME=" in `entry`, or NULL for another name. */
static const char *entry_value(const char *entry, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(entry, name, len) != 0 || entry[len] != '=')
		return NULL;
	return entry + len + 1;
}

static const char *env_value(char *const *env, const char *name)
{
	for (; *env; env++) {
		const char *value = entry_value(*env, name);

		if (value)
			return value;
	}
	return NULL;
}

/* Print text that may be anything, on the same line and not too long. */
static void print_quoted(struct print *out, const char *text, char end)
{
	size_t i;

	for (i = 0; i < 80 && text[i] != '\0' && text[i] != end; i++)
		print_char(out, (unsigned char)text[i] < 0x20 ? '?' : text[i]);
	if (text[i] != '\0' && text[i] != end)
		print_text(out, "...");
}

static void complain_value(struct print *out, const struct setting *s,
			   const char *value)
{
	print_text(out, "llfree: ");
	print_text(out, s->name);
	print_char(out, '=');
	print_quoted(out, value, '\0');
	print_text(out, ": not accepted, must be ");
	print_accepts(out, s);
	if (s->fallback[0] != '\0') {
		print_text(out, "; using ");
		print_text(out, s->fallback);
	}
	print_char(out, '\n');
}

static bool known_entry(const char *entry)
{
	for (size_t i = 0; i < SETTINGS; i++)
		if (entry_value(entry, settings_table[i].name))
			return true;
	return false;
}

static void complain_unknown(struct print *out, char *const *env)
{
	for (; *env; env++) {
		if (strncmp(*env, PREFIX, PREFIX_LEN) != 0 || known_entry(*env))
			continue;
		print_text(out, "llfree: ");
		print_quoted(out, *env, '=');
		print_text(out, ": no such setting\n");
	}
}

void config_read(struct config *settings, char *const *env, struct print *out)
{
	config_defaults(settings);
	for (size_t i = 0; i < SETTINGS; i++) {
		const struct setting *s = &settings_table[i];
		const char *value = env_value(env, s->name);

		if (value && value[0] != '\0' && !parse(settings, s, value))
			complain_value(out, s, value);
	}
	if (settings->verbose)
		complain_unknown(out, env);
}

/*
 * Before libc is initialised, `environ` is not set: a resolver of an indirect
 * function may map memory by then. The kernel's copy is read instead.
 */
#define EARLY_BYTES (UINT64_C(4) << 20) /* more than exec accepts */
#define EARLY_ENTRIES 64

/* Find our variables among `len` bytes of strings, each with a zero behind. */
static void early_entries(char *block, size_t len, char **entries)
{
	size_t count = 0;

	for (size_t at = 0; at < len && count < EARLY_ENTRIES;) {
		if (strncmp(block + at, PREFIX, PREFIX_LEN) == 0)
			entries[count++] = block + at;
		at += strlen(block + at) + 1;
	}
	entries[count] = NULL;
}

static size_t early_load(char *block)
{
	long fd = sys_open("/proc/self/environ", O_RDONLY | O_CLOEXEC, 0);
	size_t len = 0;
	long n;

	if (sys_failed(fd))
		return 0;
	do {
		n = sys_read((int)fd, block + len, EARLY_BYTES - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	} while (n > 0 || n == -EINTR);
	sys_close((int)fd);
	return len;
}

static void read_early(struct config *settings, struct print *out)
{
	char *entries[EARLY_ENTRIES + 1] = { NULL };
	long block = sys_mmap(NULL, EARLY_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (sys_failed(block)) {
		config_read(settings, entries, out);
		return;
	}
	early_entries((char *)block, early_load((char *)block), entries);
	config_read(settings, entries, out);
	sys_munmap((void *)block, EARLY_BYTES);
}

/* Copy the name, because programs overwrite their argv for ps. */
static void set_program(struct config *settings)
{
	const char *path = program_invocation_name;
	const char *slash;
	size_t len;

	if (!path || path[0] == '\0')
		path = (const char *)getauxval(AT_EXECFN);
	if (!path)
		return;
	slash = strrchr(path, '/');
	path = slash ? slash + 1 : path;
	len = strnlen(path, CONFIG_PROGRAM_MAX - 1);
	memcpy(settings->program, path, len);
	settings->program[len] = '\0';
}

static struct config current;
static atomic_bool current_ready;
static atomic_bool complained;

/*
 * Threads that call this at once read the same environment and write the same
 * bytes, so no thread has to wait. Only the first one prints complaints.
 */
static void read_once(void)
{
	char *const none[] = { NULL };
	struct config fresh;
	char buf[512];
	struct print out = print_to(STDERR_FILENO, buf, sizeof(buf));

	if (atomic_exchange(&complained, true))
		out = print_to(PRINT_BUFFER, buf, 0);
	if (getauxval(AT_SECURE))
		config_read(&fresh, none, &out);
	else if (environ)
		config_read(&fresh, environ, &out);
	else
		read_early(&fresh, &out);
	print_flush(&out);
	set_program(&fresh);
	memcpy(&current, &fresh, sizeof(current));
	atomic_store_explicit(&current_ready, true, memory_order_release);
}

const struct config *config(void)
{
	if (!atomic_load_explicit(&current_ready, memory_order_acquire))
		read_once();
	return &current;
}
