/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/report/report.h"

#include "preload/hook/hook.h"
#include "preload/report/fields.h"
#include "preload/sys/atomic.h"
#include "preload/sys/process.h"
#include "preload/sys/sandbox.h"
#include "preload/sys/sys.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The least number of our descriptor: far from what the program gets next. */
#define HIGH_FD 900

/* How often to collect the figures until they agree: threads of the program may
 * allocate meanwhile. */
#define TRIES 5

/* Where the report goes. The program may close our descriptor and open another
 * file in its place, so the identity of the file is kept as well. */
static struct {
	int fd;
	dev_t device;
	ino_t inode;
	bool inherited; /* this process is a child of fork */
} target = { .fd = -1 };

/* Where a relative path begins: the program may change its folder. */
static char folder[PATH_MAX];

/* A report, and room for its text. A text that fits is written at once, so that
 * the reports of several processes do not mix in a file: all fit but the longest
 * profiles. */
#define TEXT_MOST (16 << 10)
struct draft {
	struct report report;
	char text[TEXT_MOST];
};
static struct draft last; /* also for messages before the first report */

/* While the program runs, one thread writes a report at a time. A thread or
 * signal handler that finds it at work sets `demanded`, and the writing thread
 * reports once more. */
static bool writing, demanded;

/* One report at the end, by the thread that ends the process. */
static bool reported;

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
	/* O_NONBLOCK: opening a pipe that has no reader fails at once. */
	return (int)sys_open(path,
			     O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC |
				     O_NOCTTY | O_NONBLOCK,
			     0666);
}

/* Return a duplicate with a high number, or else `fd` itself or any duplicate;
 * -1 when there is none. */
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
	struct print out =
		print_to(STDERR_FILENO, last.text, sizeof(last.text));

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
 * Our duplicate of stderr would keep a pipe open that the child, as a daemon,
 * closes on purpose. The child reports to its own stderr.
 */
void report_forked(void)
{
	target.inherited = true;
	writing = demanded = reported = false;
	if (!config()->stats_file[0] && target.fd != STDERR_FILENO &&
	    is_target(target.fd)) {
		sys_close(target.fd);
		target.fd = STDERR_FILENO;
	}
}

/* Return the descriptor to write to, -1 for none. Set *opened if the caller has
 * to close it. */
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

static bool is_balanced(const struct report *r)
{
	const struct arena_snapshot *f = &r->arena;
	uint64_t served = r->counters[STAT_FRAMES_SERVED];
	uint64_t given_back = r->counters[STAT_FRAMES_GIVEN_BACK];

	return f->inherited + served == f->live + given_back &&
	       f->free_frames == f->fast_free + f->claimed &&
	       f->frames == f->free_frames + f->live + f->leaked;
}

static void try_to_collect(struct report *r)
{
	struct timespec pause = { 0, 100000 };

	for (int i = 0; i < TRIES; i++) {
		for (unsigned stat = 0; stat < STAT_COUNT; stat++)
			r->counters[stat] = stats_sum(stat);
		arena_snapshot(&r->arena);
		r->balanced = is_balanced(r);
		if (r->balanced)
			return;
		if (!sandboxed())
			sys_ppoll(NULL, 0, &pause);
	}
}

static void collect(struct report *r)
{
	arena_quiesce();
	try_to_collect(r);
	arena_resume();
}

static const char *background = "";

void report_background(const char *state)
{
	background = state;
}

static bool write_report(struct draft *draft, const char *trigger)
{
	struct report *r = &draft->report;
	bool opened;
	int fd = find_target(config(), &opened);
	struct print out = print_to(fd, draft->text, sizeof(draft->text));

	if (fd < 0)
		return false;
	r->settings = config();
	r->trigger = trigger;
	r->background = background;
	r->pid = sys_getpid();
	r->running = draft != &last;
	r->any = stats_any();
	collect(r);
	if (r->settings->stats == CONFIG_STATS_JSON)
		report_json(&out, r);
	else
		report_text(&out, r);
	print_flush(&out);
	if (opened)
		sys_close(fd);
	return true;
}

/* A child of fork that has counted nothing owes no report. */
static bool owes_report(void)
{
	enum process_kind kind = process_kind();

	return kind == PROCESS_FIRST || (kind == PROCESS_CHILD && stats_any());
}

/* Whether a report is wanted at the end, and not only while the program runs. */
static bool is_wanted_last(void)
{
	return stats_on && config()->stats != CONFIG_STATS_OFF;
}

void report_last(const char *trigger)
{
	if (is_wanted_last() && owes_report() &&
	    !atom_exchange(&reported, true))
		write_report(&last, trigger);
}

bool report_before_exec(void)
{
	return is_wanted_last() && process_kind() == PROCESS_FIRST &&
	       !atom_exchange(&reported, true) && write_report(&last, "exec");
}

void report_again(void)
{
	atom_store_release(&reported, false);
}

/* ------------------------------------------------------------------------ */
/* While the program runs                                                    */

void report_now(const char *trigger)
{
	static struct draft running;

	if (!stats_on || process_kind() == PROCESS_BORROWED)
		return;
	if (atom_exchange(&writing, true)) {
		atom_store_release(&demanded, true);
		return;
	}
	write_report(&running, trigger);
	while (atom_exchange(&demanded, false))
		write_report(&running, "demand");
	atom_store_release(&writing, false);
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
	struct print out =
		print_to(STDERR_FILENO, last.text, sizeof(last.text));
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
