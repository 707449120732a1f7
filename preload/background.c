/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/background.h"

#include "preload/arena/arena.h"
#include "preload/sys/atomic.h"
#include "preload/sys/sandbox.h"
#include "preload/sys/sys.h"
#include "preload/report/report.h"
#include "preload/housekeeping.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* Stack beyond what libc needs at least: a report is the deepest call. */
#define STACK ((size_t)48 << 10)
#define STOP_TRIES 5000u

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *),
		      void *);

static struct {
	create_fn *create; /* libc's; NULL: no thread is wanted */
	pthread_key_t key; /* has a value in the program's first thread */
	pid_t pid; /* of the process that has the thread; 0: none */
	pid_t tid; /* 0: it has not run yet */
	uint32_t stop;
} background;

/* ------------------------------------------------------------------------ */
/* The thread                                                                */

static void sleep_for(uint64_t ms)
{
	struct timespec time = { (time_t)(ms / 1000),
				 (long)(ms % 1000) * 1000000 };

	sys_call(SYS_futex, (long)&background.stop, FUTEX_WAIT_PRIVATE, 0,
		 ms == HOUSEKEEPING_NEVER ? 0 : (long)&time, 0, 0);
}

static void *work(void *unused)
{
	sys_prctl(PR_SET_NAME, (unsigned long)"llfree", 0, 0, 0);
	atom_store_release(&background.tid, sys_gettid());
	while (!atom_load_acquire(&background.stop)) {
		uint64_t ms = housekeeping_step();

		if (ms)
			sleep_for(ms);
	}
	return unused;
}

/* ------------------------------------------------------------------------ */
/* Beginning                                                                 */

static int create(const pthread_attr_t *attr)
{
	pthread_t thread;

	return background.create(&thread, attr, work, NULL);
}

/* libc keeps its own two signals unblocked. */
static int create_small(void)
{
	size_t least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
	sigset_t all, before;
	pthread_attr_t attr;
	int error = pthread_attr_init(&attr);

	if (error)
		return error;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, least + STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = create(&attr);
	/* The stack also has to hold the program's thread-local variables. */
	if (error == EINVAL &&
	    !pthread_attr_setstacksize(&attr, least + 64 * STACK))
		error = create(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return error;
}

static void begin(void)
{
	int saved = errno;

	background.stop = 0;
	background.tid = 0;
	background.pid = sys_getpid();
	housekeeping_by_thread(true);
	if (!pthread_setspecific(background.key, &background) &&
	    !create_small()) {
		report_background("running");
	} else {
		background.pid = 0;
		housekeeping_by_thread(false);
		report_background("none could be made");
	}
	errno = saved;
}

/* The first thread has left by pthread_exit. */
static void leave(void *unused)
{
	(void)unused;
	background_stop("ended with the program's first thread");
}

static const char *prepare(void)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);

	if (libc)
		*(void **)&background.create = dlsym(libc, "pthread_create");
	if (!background.create)
		return "libc has no threads";
	if (!pthread_key_create(&background.key, leave))
		return NULL;
	background.create = NULL;
	return "no thread-specific data left";
}

static const char *refused(const struct config *settings)
{
	if (arena_state() != ARENA_READY)
		return "nothing is served";
	if (sandboxed())
		return "the program is in a sandbox";
	if (!sys_clock_ms())
		return "the clock cannot be read without a system call";
	if (!settings->stats_interval &&
	    (!settings->decay_ms || settings->decay_ms == CONFIG_NEVER))
		return "there is nothing to do for it";
	return prepare();
}

void background_start(const struct config *settings)
{
	const char *why;

	if (!settings->background)
		return;
	why = refused(settings);
	if (why)
		report_background(why);
	else
		begin();
}

/* ------------------------------------------------------------------------ */
/* Ending                                                                    */

static bool is_gone(void)
{
	pid_t tid = atom_load_acquire(&background.tid);

	return tid &&
	       sys_call(SYS_tgkill, background.pid, tid, 0, 0, 0, 0) == -ESRCH;
}

/* After vfork the thread belongs to the parent, and stays. */
void background_stop(const char *why)
{
	if (!background.pid || background.pid != sys_getpid())
		return;
	background.create = NULL;
	report_background(why);
	atom_store_release(&background.stop, 1);
	sys_call(SYS_futex, (long)&background.stop, FUTEX_WAKE_PRIVATE, 1, 0, 0,
		 0);
	for (unsigned tries = 0; !is_gone() && tries < STOP_TRIES; tries++)
		sys_yield(tries);
	background.pid = 0;
	housekeeping_by_thread(false);
}

/* Once the program had more threads, the kernel is not asked again. */
bool background_alone(void)
{
	static bool more;
	size_t threads;

	if (sys_single_threaded())
		return true;
	if (!background.pid || sandboxed() || atom_load(&more))
		return false;
	threads = sys_count_threads();
	if (threads > 2)
		atom_store(&more, true);
	return threads == 2;
}

void background_forked(void)
{
	housekeeping_by_thread(false);
	if (!background.pid)
		return;
	background.pid = 0;
	report_background("not in this child of fork");
}

void background_renew(void)
{
	if (background.create && !background.pid)
		begin();
}
