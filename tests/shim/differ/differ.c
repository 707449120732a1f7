/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Random sequences of calls of the mmap family, with contents, faults, fork,
 * threads and signals, each executed twice in a process of its own: by the
 * kernel alone and with the library preloaded. Both write a trace, and the
 * traces have to be equal. What may differ is in differ/legit.h.
 *
 * A sequence that differs is made as short as it can be and printed as a C
 * program. Everything follows from the seed.
 */
#include "tests/shim/differ/ops.h"

#include "tests/shim/differ/replay.h"

#include <getopt.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#define MOST_CPU 60 /* seconds of processor time for a sequence */
#define PATIENCE 600 /* seconds to wait for one that sleeps for ever */
#define LONGEST 600 /* operations of a sequence */
#define LAST_VARIABLE 1900
#define TRIES 3000 /* of shorter sequences */
#define HARNESS 90 /* exit status from which on the test itself is broken */
#define FOLLOWED 9 /* descriptor of the trace that the other one follows */

static struct options {
	uint64_t seed;
	size_t operations, length, seconds;
	const char *library;
} options = { .seed = 1, .operations = 20000, .length = 200 };

/* ------------------------------------------------------------------------ */
/* Executing                                                                 */

static char trace[1 << 16];
static struct world world = { .may_nest = true,
			      .trace = trace,
			      .trace_cap = sizeof(trace),
			      .trace_fd = STDOUT_FILENO };

/* The library's trace, which is complete, with a zero behind it. */
static const char *read_followed(void)
{
	struct stat st = { 0 };
	char *text;

	if (fstat(FOLLOWED, &st))
		return NULL;
	text = mmap(NULL, (size_t)st.st_size + 1, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (text == MAP_FAILED ||
	    pread(FOLLOWED, text, (size_t)st.st_size, 0) != st.st_size)
		_exit(HARNESS);
	close(FOLLOWED);
	return text;
}

/* Whoever follows the other one can do so only as a single thread. */
static void start(void)
{
	const char *max = getenv("LLFREE_MAX");

	replay_start();
	world.moves_many = moves_many();
	if (!max)
		return;
	world.max = strtoul(max, NULL, 10) * (1 << 20) / PAGE;
	world.may_nest = false;
}

/* Each operation has random numbers of its own: without one, the others are
 * what they were. */
static int execute(uint64_t seed, const char *kept, bool follow)
{
	if (follow)
		world.followed = read_followed();
	start();
	for (size_t i = 0; kept[i]; i++) {
		if (kept[i] == '0')
			continue;
		world_start(&world, seed * LONGEST + i);
		if (world.next_variable < LAST_VARIABLE)
			operate(&world);
	}
	look_at_all(&world);
	world_unmap_all(&world);
	return 0;
}

/* ------------------------------------------------------------------------ */
/* Twice                                                                     */

/* Less is served in some ways, more is to do in others. 16 MiB become full. */
static const char *const settings[] = {
	"",
	"LLFREE_STRICT=1",
	"LLFREE_DECAY_MS=0",
	"LLFREE_ARENA=16M",
	"",
	"LLFREE_MAX=4M",
	"LLFREE_MAX_REGION=64K",
	"LLFREE_STATS=json LLFREE_STATS_FILE=/dev/null",
	"LLFREE_HOOK=symbols",
	"LLFREE_STRICT=1 LLFREE_ARENA=16M",
	"LLFREE_MAX=4M LLFREE_DECAY_MS=0 LLFREE_ARENA=16M",
	"LLFREE_THP=always",
	"LLFREE_BACKGROUND=1 LLFREE_DECAY_MS=1",
	"LLFREE_THP=always LLFREE_DECAY_MS=0 LLFREE_ARENA=32M",
	"LLFREE_THP=never LLFREE_HOOK=libc",
	"LLFREE_BACKGROUND=1 LLFREE_DECAY_MS=1 LLFREE_STRICT=1",
	"LLFREE_BACKGROUND=1 LLFREE_DECAY_MS=1 LLFREE_ARENA=16M",
	"LLFREE_MAX=4M LLFREE_STRICT=1 LLFREE_THP=always",
	"LLFREE_PROFILE=1 LLFREE_STATS=1 LLFREE_STATS_FILE=/dev/null",
};
#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

struct run {
	pid_t pid;
	int fd, status;
	const char *text;
	size_t len;
};
enum { KERNEL, LIBRARY, RUNS };

static struct run runs[RUNS];
static uint64_t now_seed;

static void must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(HARNESS);
}

static const char *setting_of(uint64_t seed)
{
	return settings[seed % SETTINGS];
}

static void give_up(int signal)
{
	(void)signal;
	for (int i = 0; i < RUNS; i++)
		if (runs[i].pid > 0)
			kill(runs[i].pid, SIGKILL);
}

/* Whether the kernel does as the library did, see world_was_refused. */
static bool is_followed(void)
{
	return strstr(setting_of(now_seed), "LLFREE_MAX=");
}

/* "A=1 B=2" */
static void apply(const char *setting)
{
	static char text[200];

	snprintf(text, sizeof(text), "%s", setting);
	for (char *at = strtok(text, " "); at; at = strtok(NULL, " "))
		putenv(at);
}

static void become(int which, const char *kept)
{
	struct rlimit limit = { MOST_CPU, MOST_CPU };
	bool follows = which == KERNEL && is_followed();
	char seed[24];
	char *args[] = { (char[]){ "differ" },
			 follows ? (char[]){ "--follow" }
				 : (char[]){ "--execute" },
			 seed, (char *)(uintptr_t)kept, NULL };

	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)now_seed);
	setrlimit(RLIMIT_CPU, &limit);
	dup2(runs[which].fd, STDOUT_FILENO);
	if (follows)
		dup2(runs[LIBRARY].fd, FOLLOWED);
	apply(setting_of(now_seed));
	if (which == LIBRARY)
		setenv("LD_PRELOAD", options.library, 1);
	execv("/proc/self/exe", args);
	_exit(HARNESS);
}

static void launch(int which, const char *kept)
{
	struct run *run = &runs[which];

	run->fd = memfd_create("trace", MFD_CLOEXEC);
	must(run->fd >= 0, "memfd_create");
	run->pid = fork();
	must(run->pid >= 0, "fork");
	if (!run->pid)
		become(which, kept);
}

static void await(struct run *run)
{
	if (run->pid)
		must(waitpid(run->pid, &run->status, 0) == run->pid, "waitpid");
	run->pid = 0;
}

static void finish(struct run *run)
{
	struct stat st;

	await(run);
	must(!fstat(run->fd, &st), "fstat");
	run->len = (size_t)st.st_size;
	run->text = "";
	if (run->len)
		run->text = mmap(NULL, run->len, PROT_READ, MAP_PRIVATE,
				 run->fd, 0);
	must(run->text != MAP_FAILED, "mmap");
	close(run->fd);
}

static void forget(void)
{
	for (int i = 0; i < RUNS; i++)
		if (runs[i].len)
			munmap((void *)(uintptr_t)runs[i].text, runs[i].len);
}

static void run_both(const char *kept)
{
	alarm(PATIENCE);
	launch(LIBRARY, kept);
	if (is_followed())
		await(&runs[LIBRARY]);
	launch(KERNEL, kept);
	for (int i = 0; i < RUNS; i++)
		finish(&runs[i]);
	alarm(0);
}

static bool same(void)
{
	return runs[KERNEL].status == runs[LIBRARY].status &&
	       runs[KERNEL].len == runs[LIBRARY].len &&
	       !memcmp(runs[KERNEL].text, runs[LIBRARY].text, runs[KERNEL].len);
}

/* At least once in so many times. */
static bool differs(const char *kept, int times)
{
	bool result = false;

	while (!result && times--) {
		run_both(kept);
		result = !same();
		forget();
	}
	return result;
}

/* ------------------------------------------------------------------------ */
/* As short as it can be                                                     */

static int repeats; /* of a sequence that does not always differ */

/* Leaves out `count` operations from `at` on, if it differs without them. */
static bool leave_out(char *kept, size_t at, size_t count)
{
	char before[LONGEST + 1];

	strcpy(before, kept);
	memset(kept + at, '0', count);
	if (!strcmp(before, kept))
		return false;
	if (differs(kept, repeats))
		return true;
	strcpy(kept, before);
	return false;
}

static void shorten(char *kept)
{
	size_t len = strlen(kept), tries = 0;
	size_t step = len / 2 ? len / 2 : 1;
	bool better;

	do {
		better = false;
		for (size_t end = len; end > 0 && tries < TRIES; tries++) {
			size_t at = end > step ? end - step : 0;

			better = leave_out(kept, at, end - at) || better;
			end = at;
		}
		if (!better && step > 1)
			step = step / 2, better = true;
	} while (better && tries < TRIES);
}

/* ------------------------------------------------------------------------ */
/* As a C program                                                            */

/* Cuts a line off `run`: its statement, and what came of it. False at the
 * end. */
struct line {
	int statement_len, result_len;
	const char *statement, *result;
};

static bool cut(struct run *run, struct line *line)
{
	const char *end = memchr(run->text, '\n', run->len);
	const char *tab =
		end ? memchr(run->text, '\t', (size_t)(end - run->text)) : NULL;

	if (!tab)
		return false;
	line->statement = run->text;
	line->statement_len = (int)(tab - run->text);
	line->result = tab + 1;
	line->result_len = (int)(end - tab - 1);
	run->len -= (size_t)(end + 1 - run->text);
	run->text = end + 1;
	return true;
}

static bool equal(const struct line *a, const struct line *b)
{
	return a->statement_len == b->statement_len &&
	       a->result_len == b->result_len &&
	       !memcmp(a->statement, b->statement, (size_t)a->statement_len) &&
	       !memcmp(a->result, b->result, (size_t)a->result_len);
}

static const char *end_text(int status, char *buf, size_t cap)
{
	if (WIFSIGNALED(status))
		snprintf(buf, cap, "ends by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(buf, cap, "ends with status %d", WEXITSTATUS(status));
	return buf;
}

static void print_line(const char *indent, const struct line *line)
{
	printf("%s%.*s /* %.*s */\n", indent, line->statement_len,
	       line->statement, line->result_len, line->result);
}

/* The kernel's lines, and where the library's begin to differ; or only that. */
static void print_lines(const char *indent, bool all)
{
	struct run kernel = runs[KERNEL], library = runs[LIBRARY];
	struct line k, l;
	bool differed = false;

	while (cut(&kernel, &k)) {
		bool have = cut(&library, &l);
		bool now = !differed && !(have && equal(&k, &l));

		differed = differed || now;
		if (all || now)
			print_line(indent, &k);
		if (now && have)
			printf("%s/* with the library: %.*s */\n", indent,
			       l.result_len, l.result);
		else if (now)
			printf("%s/* with the library: nothing more */\n",
			       indent);
	}
}

static void print_program(const char *kept)
{
	const char *setting = setting_of(now_seed);
	char one[64], other[64];

	for (int i = 0; i < repeats; i++) {
		run_both(kept);
		if (!same() || i + 1 == repeats)
			break;
		forget();
	}
	printf("/*\n * gcc -D_GNU_SOURCE -I<top of the sources> x.c <the "
	       "same>/tests/shim/differ/replay.c -pthread\n"
	       " * and then with and without the library%s%s.\n"
	       " * Kernel alone: %s; with the library: %s.%s\n */\n",
	       *setting ? ", with " : "", setting,
	       end_text(runs[KERNEL].status, one, sizeof(one)),
	       end_text(runs[LIBRARY].status, other, sizeof(other)),
	       same() ? " (This time there was no difference.)" : "");
	printf("#include \"tests/shim/differ/replay.h\"\n\n"
	       "int main(void)\n{\n\treplay_start();\n");
	print_lines("\t", true);
	printf("\treturn 0;\n}\n");
	forget();
}

static void report_difference(char *kept)
{
	const char *setting = setting_of(now_seed);
	int again = 0;

	printf("# seed %llu, %zu operations%s%s: the kernel and the library "
	       "differ\n",
	       (unsigned long long)now_seed, strlen(kept), *setting ? ", " : "",
	       setting);
	for (int i = 0; i < 5; i++)
		again += differs(kept, 1);
	printf("# repeated 5 times it differed %d times\n", again);
	repeats = again == 5 ? 1 : 20;
	fflush(stdout);
	shorten(kept);
	print_program(kept);
}

/* ------------------------------------------------------------------------ */
/* All of them                                                               */

static size_t statements, not_compared[LEGIT_COUNT];

static void count_statements(void)
{
	struct run run = runs[KERNEL];
	struct line line;

	for (; cut(&run, &line); statements++)
		for (int i = 0; i < LEGIT_COUNT; i++) {
			const char *name = legit_table[i].name;

			if (line.result[0] == '~' &&
			    (size_t)line.result_len == strlen(name) + 1 &&
			    !memcmp(line.result + 1, name, strlen(name)))
				not_compared[i]++;
		}
}

/* One sequence: 0, or an exit status. */
static int try_sequence(size_t length)
{
	char kept[LONGEST + 1];
	int status = 0;

	memset(kept, '1', length);
	kept[length] = '\0';
	run_both(kept);
	if (runs[KERNEL].status != 0) {
		printf("# seed %llu: the kernel alone %s\n",
		       (unsigned long long)now_seed,
		       end_text(runs[KERNEL].status, (char[64]){ 0 }, 64));
		status = HARNESS;
	} else if (!same()) {
		print_lines("# ", false);
		status = 1;
	}
	count_statements();
	forget();
	if (status == 1)
		report_difference(kept);
	return status;
}

static bool is_late(void)
{
	static time_t end;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!end)
		end = now.tv_sec + (time_t)options.seconds;
	return options.seconds && now.tv_sec >= end;
}

static int try_all(void)
{
	size_t sequences = 0;
	int status = 0;

	signal(SIGALRM, give_up);
	unsetenv("LD_PRELOAD");
	for (size_t left = options.operations; left && !status && !is_late();
	     sequences++) {
		size_t length = left < options.length ? left : options.length;

		now_seed = options.seed + sequences;
		status = try_sequence(length);
		left -= length;
	}
	printf("# %zu sequences, %zu statements from seed %llu on", sequences,
	       statements, (unsigned long long)options.seed);
	for (int i = 0; i < LEGIT_COUNT; i++)
		if (not_compared[i])
			printf("; %s: %zu", legit_table[i].name,
			       not_compared[i]);
	printf("\n%s 1 - the kernel and the library agree\n1..1\n",
	       status ? "not ok" : "ok");
	return status;
}

/* ------------------------------------------------------------------------ */
/* Options                                                                   */

static void help(void)
{
	printf("Usage: differ --library PATH [OPTION]...\n"
	       "Random calls of the mmap family, by the kernel and by the "
	       "library.\n\n"
	       "  --library PATH     what is preloaded\n"
	       "  --seed N           of the first sequence; the next has N + 1 "
	       "(%llu)\n"
	       "  --operations N     in all (%zu)\n"
	       "  --seconds N        as many as can be done in that time\n"
	       "  --length N         operations of a sequence, up to %d "
	       "(%zu)\n\n"
	       "Not compared:\n",
	       (unsigned long long)options.seed, options.operations, LONGEST,
	       options.length);
	for (int i = 0; i < LEGIT_COUNT; i++)
		printf("  %-12s %s\n", legit_table[i].name,
		       legit_table[i].reason);
}

static const struct option names[] = {
	{ "library", required_argument, NULL, 'l' },
	{ "seed", required_argument, NULL, 's' },
	{ "operations", required_argument, NULL, 'o' },
	{ "length", required_argument, NULL, 'n' },
	{ "seconds", required_argument, NULL, 't' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void set(int option, const char *text)
{
	size_t number = strtoul(text, NULL, 0);

	if (option == 'l')
		options.library = text;
	else if (option == 's')
		options.seed = number;
	else if (option == 'n')
		options.length = number;
	else
		options.operations = option == 't' ? SIZE_MAX : number;
	if (option == 't')
		options.seconds = number;
}

int main(int argc, char **argv)
{
	int option;

	if (argc == 4 &&
	    (!strcmp(argv[1], "--execute") || !strcmp(argv[1], "--follow")))
		return execute(strtoull(argv[2], NULL, 10), argv[3],
			       !strcmp(argv[1], "--follow"));
	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (option == 'h') {
			help();
			return 0;
		}
		if (option == '?')
			return 2;
		set(option, optarg);
	}
	if (!options.library || !options.length || options.length > LONGEST) {
		fprintf(stderr, "differ --help tells what to say\n");
		return 2;
	}
	return try_all();
}
