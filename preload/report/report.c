/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/report/report.h"

#include "preload/hook/hook.h"
#include "preload/sys/sys.h"
#include "preload/report/data.h"
#include "preload/report/stats.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Descriptors from here on: not one that a program would get next. */
#define HIGH_FD 900

/* Other threads may be at work while the figures are collected. */
#define TRIES 5

/* Where the report goes. A program may close our descriptor, and even open
 * something else in its place: so the file's identity is kept as well. */
static struct {
	int fd;
	dev_t device;
	ino_t inode;
	bool inherited; /* by a child of fork */
} target = { .fd = -1 };

/* Where a path begins that is not absolute: the program may go elsewhere. */
static char folder[PATH_MAX];

/* A report is written at once if it fits, so that those of several processes
 * do not mix in a file: all but the longest profiles do. */
#define TEXT_MOST (16 << 10)
static char buffer[TEXT_MOST];

/* While the program runs one report is written at a time: who comes meanwhile,
 * in a signal handler perhaps, leaves a note for the one who writes. */
static bool writing, demanded;

static bool is_target(int fd)
{
	struct stat st;

	if (sandboxed())
		return fd >= 0 && fd == target.fd;
	return fd >= 0 && !sys_fstat(fd, &st) && st.st_dev == target.device &&
	       st.st_ino == target.inode;
}

static void remember(int fd)
{
	struct stat st;

	if (fd < 0 || sys_fstat(fd, &st))
		return;
	target.device = st.st_dev;
	target.inode = st.st_ino;
	target.fd = fd;
}

static void find_folder(const struct config *settings)
{
	if (settings->stats_file[0] == '/' ||
	    sys_failed(sys_getcwd(folder, sizeof(folder))) || folder[0] != '/')
		folder[0] = '\0';
}

static int open_file(const struct config *settings)
{
	char path[PATH_MAX];
	size_t len = strlen(folder);

	memcpy(path, folder, len);
	if (len)
		path[len++] = '/';
	if (!config_stats_path(settings, sys_getpid(), path + len,
			       sizeof(path) - len))
		return -1;
	/* Does not wait for who reads a pipe: if there is no one, it fails. */
	return (int)sys_open(path,
			     O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC |
				     O_NOCTTY | O_NONBLOCK,
			     0666);
}

/* A duplicate with a high number, or `fd` itself; -1 when there is none. */
static int dup_high(int fd, bool close)
{
	long high = sys_fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);

	if (sys_failed(high))
		high = close ? fd : sys_fcntl(fd, F_DUPFD_CLOEXEC, 3);
	else if (close)
		sys_close(fd);
	return sys_failed(high) ? -1 : (int)high;
}

static void complain(const struct config *settings)
{
	struct print out = print_to(STDERR_FILENO, buffer, sizeof(buffer));

	print_text(&out, "llfree: LLFREE_STATS_FILE=");
	print_text(&out, settings->stats_file);
	print_text(&out, ": cannot be opened; the report goes to stderr\n");
	print_flush(&out);
}

void report_open(const struct config *settings)
{
	int fd = -1;

	if (settings->stats_file[0]) {
		find_folder(settings);
		fd = open_file(settings);
		if (fd < 0)
			complain(settings);
	}
	fd = fd < 0 ? dup_high(STDERR_FILENO, false) : dup_high(fd, true);
	remember(fd < 0 ? STDERR_FILENO : fd);
}

/*
 * A child's copy of stderr would keep a pipe open that the child, as a daemon,
 * means to leave. Its own stderr has to do.
 */
void report_forked(void)
{
	target.inherited = true;
	writing = demanded = false;
	if (!config()->stats_file[0] && target.fd != STDERR_FILENO &&
	    is_target(target.fd)) {
		sys_close(target.fd);
		target.fd = STDERR_FILENO;
	}
	arena_forked();
}

/* The descriptor to write to, -1 for none; *opened: to be closed after. */
static int find_target(const struct config *settings, bool *opened)
{
	int fd;

	*opened = false;
	if (sandboxed())
		return target.fd;
	if (is_target(target.fd) &&
	    !(settings->stats_file[0] && target.inherited))
		return target.fd;
	if (!settings->stats_file[0])
		return is_target(STDERR_FILENO) ? STDERR_FILENO : -1;
	fd = open_file(settings);
	*opened = fd >= 0;
	if (fd < 0 && is_target(target.fd))
		fd = target.fd;
	return fd;
}

/* ------------------------------------------------------------------------ */
/* Collecting                                                                */

static bool is_balanced(const struct report_data *d)
{
	const struct arena_snapshot *f = &d->arena;

	return f->inherited + d->served == f->live + d->given_back &&
	       f->free_frames == f->fast_free + f->claimed &&
	       f->frames == f->free_frames + f->live + f->leaked;
}

static void try_to_collect(struct report_data *d)
{
	struct timespec pause = { 0, 100000 };

	for (int i = 0; i < TRIES; i++) {
		d->served = stats_sum(STAT_FRAMES_SERVED);
		d->given_back = stats_sum(STAT_FRAMES_GIVEN_BACK);
		arena_snapshot(&d->arena);
		d->balanced = is_balanced(d);
		if (d->balanced)
			return;
		if (!sandboxed())
			sys_ppoll(NULL, 0, &pause);
	}
}

static void collect(struct report_data *d)
{
	arena_quiesce();
	try_to_collect(d);
	arena_resume();
}

uint64_t report_slot_hits(const struct report_data *d)
{
	const llfree_counters_t *c = &d->arena.counters;
	uint64_t others = c->reservations + c->steals + c->raids;
	uint64_t gets = stats_sum(STAT_GET);

	return gets > others ? gets - others : 0;
}

static const char *background = "";

void report_background(const char *state)
{
	background = state;
}

static bool write_report(const char *how, char *text, size_t cap)
{
	struct report_data data = {
		.settings = config(),
		.how = how,
		.background = background,
		.running = text != buffer,
		.pid = sys_getpid(),
	};
	bool opened;
	int fd = find_target(data.settings, &opened);
	struct print out = print_to(fd, text, cap);

	if (fd < 0)
		return false;
	collect(&data);
	if (data.settings->stats == CONFIG_STATS_JSON)
		report_json(&out, &data);
	else
		report_text(&out, &data);
	print_flush(&out);
	if (opened)
		sys_close(fd);
	return true;
}

/* A child of fork that asked for nothing has nothing to say. */
static bool owes_report(void)
{
	enum stats_owner owner = stats_owner();

	return owner == STATS_OURS || (owner == STATS_CHILD && stats_any());
}

/* Whether one is wanted at the end, too. */
static bool is_wanted_last(void)
{
	return stats_on && config()->stats != CONFIG_STATS_OFF;
}

void report_last(const char *how)
{
	if (is_wanted_last() && owes_report() && stats_claim_report())
		write_report(how, buffer, sizeof(buffer));
}

bool report_before_exec(void)
{
	return is_wanted_last() && stats_owner() == STATS_OURS &&
	       stats_claim_report() &&
	       write_report("exec", buffer, sizeof(buffer));
}

void report_again(void)
{
	stats_unclaim_report();
}

/* ------------------------------------------------------------------------ */
/* While the program runs                                                    */

void report_now(const char *how)
{
	static char text[TEXT_MOST];

	if (!stats_on || stats_owner() == STATS_PARENT)
		return;
	if (__atomic_exchange_n(&writing, true, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&demanded, true, __ATOMIC_RELEASE);
		return;
	}
	write_report(how, text, sizeof(text));
	while (__atomic_exchange_n(&demanded, false, __ATOMIC_ACQUIRE))
		write_report("demand", text, sizeof(text));
	__atomic_store_n(&writing, false, __ATOMIC_RELEASE);
}

static void demand(int number)
{
	(void)number;
	report_now("demand");
}

void report_on_signal(int number)
{
	struct sigaction action = { .sa_handler = demand,
				    .sa_flags = SA_RESTART },
			 before;

	if (number && !sigaction(number, NULL, &before) &&
	    before.sa_handler == SIG_DFL)
		sigaction(number, &action, NULL);
}

void report_settings(const struct config *settings)
{
	struct print out = print_to(STDERR_FILENO, buffer, sizeof(buffer));
	const struct hook_result *hooks = hook_result();

	print_text(&out, "llfree: settings in effect\n");
	config_dump(&out, settings);
	print_text(&out, hooks->libc
				 ? "llfree: calls inside libc are taken over"
				 : "llfree: exported symbols only");
	print_text(&out, hooks->why_not[0] ? "; " : "");
	print_text(&out, hooks->why_not);
	print_char(&out, '\n');
	if (arena_state() == ARENA_OFF) {
		print_text(&out, "llfree: nothing is served: ");
		print_text(&out, arena_why_off());
		print_char(&out, '\n');
	}
	if (background[0]) {
		print_text(&out, "llfree: background thread: ");
		print_text(&out, background);
		print_char(&out, '\n');
	}
	print_flush(&out);
}
