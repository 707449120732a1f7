/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * For tests of the preload library: programs that know nothing of it. Each
 * says what the kernel does, so it passes without the library as well, and
 * prints the same (differ/kernel.sh runs it so). That memory really comes from
 * the arena is checked silently, when the library is loaded.
 *
 * Output is TAP. Everything here is static: one file, one program.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAYBE_UNUSED __attribute__((unused))

static int tap_count, tap_failed;

/* One line of TAP, for a condition and what it means. */
__attribute__((format(printf, 2, 3))) static MAYBE_UNUSED bool
ok(bool good, const char *format, ...)
{
	va_list args;

	tap_count++;
	tap_failed += !good;
	printf("%sok %d - ", good ? "" : "not ", tap_count);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	return good;
}

/* Without a line when it is good; the end when it is not: for conditions in
 * loops, and those that the rest depends on. */
#define must(good) must_at(good, #good, __FILE__, __LINE__)

static MAYBE_UNUSED void must_at(bool good, const char *what, const char *file,
				 int line)
{
	if (good)
		return;
	ok(false, "%s:%d: %s (errno %d)", file, line, what, errno);
	printf("Bail out!\n");
	fflush(stdout);
	_exit(1);
}

static MAYBE_UNUSED void skip(const char *what, const char *why)
{
	printf("ok %d - %s # SKIP %s\n", ++tap_count, what, why);
}

static MAYBE_UNUSED int done(void)
{
	printf("1..%d\n", tap_count);
	fflush(stdout);
	return tap_failed != 0;
}

/* How much of something: the second figure is for make check-long. */
static MAYBE_UNUSED size_t sized(size_t quick, size_t thorough)
{
	const char *size = getenv("LLFREE_TEST_SIZE");

	return size && !strcmp(size, "long") ? thorough : quick;
}

/* Seconds to wait for what must happen, on a machine however busy: a test waits
 * so long only before it fails. */
static MAYBE_UNUSED unsigned patience(void)
{
	const char *seconds = getenv("LLFREE_TEST_PATIENCE");

	return seconds ? (unsigned)atoi(seconds) : 300;
}

static MAYBE_UNUSED void nap(unsigned us)
{
	struct timespec time = { us / 1000000, us % 1000000 * 1000l };

	nanosleep(&time, NULL);
}

static MAYBE_UNUSED double clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Waits until `holds(arg)`; false when patience is over before. */
static MAYBE_UNUSED bool eventually(bool (*holds)(size_t), size_t arg)
{
	double end = clock_now() + patience();

	while (!holds(arg)) {
		if (clock_now() > end)
			return false;
		nap(5000);
	}
	return true;
}

/* One SIGALRM, so many microseconds from now. The handler asks for the next one
 * as its last act: a periodic timer would interrupt a program again before it got
 * on, where a page fault takes longer than the period. */
static MAYBE_UNUSED void signal_after(long us)
{
	struct itimerval once = { { 0, 0 }, { 0, us } };

	must(setitimer(ITIMER_REAL, &once, NULL) == 0);
}

/* What is served where depends on the processor that a thread is on, and on a
 * busy machine it would be moved to another. */
static MAYBE_UNUSED void stay_on_processor(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static MAYBE_UNUSED size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static MAYBE_UNUSED bool have_shim(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "libllfree-preload");
}

/* The arena lies in this part of the address space. */
static MAYBE_UNUSED bool in_arena(const void *p)
{
	uintptr_t top = (uintptr_t)1
			<< (64 - __builtin_clzl(getauxval(AT_RANDOM)));

	return (uintptr_t)p >= top / 16 * 13 && (uintptr_t)p < top / 16 * 15;
}

/* A region of the kind that is served; the test fails if it is not. */
static MAYBE_UNUSED char *map_flags(size_t len, int flags)
{
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	must(p != MAP_FAILED);
	if (have_shim() && !getenv("SHIM_TEST_UNSERVED"))
		must(in_arena(p));
	return p;
}

static MAYBE_UNUSED char *map(size_t len)
{
	return map_flags(len, 0);
}

/* Bytes of the whole process. */
static MAYBE_UNUSED size_t resident(void)
{
	FILE *statm = fopen("/proc/self/statm", "r");
	size_t all = 0, pages = 0;

	must(statm && fscanf(statm, "%zu %zu", &all, &pages) == 2);
	fclose(statm);
	return pages * page_size();
}

static MAYBE_UNUSED bool all_bytes(const char *p, size_t len, char value)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != value)
			return false;
	return true;
}

/* Whether all of it is mapped. */
static MAYBE_UNUSED bool is_mapped(const void *p, size_t len)
{
	unsigned char vec[4096];
	size_t page = page_size();

	for (size_t at = 0; at < len; at += page)
		if (mincore((char *)(uintptr_t)p + at, page, vec))
			return false;
	return true;
}

/* Whether none of it is. */
static MAYBE_UNUSED bool is_unmapped(const void *p, size_t len)
{
	size_t page = page_size();

	for (size_t at = 0; at < len; at += page)
		if (is_mapped((const char *)p + at, page))
			return false;
	return true;
}

/* The result of a call and its errno, as in "-1 ENOMEM". */
#define fails_with(call, error) \
	(errno = 0, (long)(call) == -1 && errno == (error))

/* Success leaves errno alone. */
#define succeeds(call) (errno = 4711, (call) == 0 && errno == 4711)

static sigjmp_buf fault_back;

static void fault_handler(int signal)
{
	siglongjmp(fault_back, signal);
}

/* The signal that reading (or writing) this byte raises, 0 for none. */
static MAYBE_UNUSED int fault_of(char *p, bool write)
{
	struct sigaction catch = { .sa_handler = fault_handler }, segv, bus;
	volatile char *at = p;
	int signal;

	sigaction(SIGSEGV, &catch, &segv);
	sigaction(SIGBUS, &catch, &bus);
	signal = sigsetjmp(fault_back, 1);
	if (!signal) {
		char c = *at;

		if (write)
			*at = c;
	}
	sigaction(SIGSEGV, &segv, NULL);
	sigaction(SIGBUS, &bus, NULL);
	return signal;
}

/* Runs `body` in a child; true when it returned true. */
static MAYBE_UNUSED bool in_child(bool (*body)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(body() ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* Runs the program again with this setting, unless it has one. */
static MAYBE_UNUSED void with_setting(const char *name, const char *value)
{
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *args[] = { self, NULL };

	if (getenv(name))
		return;
	must(len > 0);
	self[len] = '\0';
	setenv(name, value, 1);
	execv(self, args);
	must(false);
}

/* A small generator, the same sequence everywhere. */
struct random {
	uint64_t state;
};

static MAYBE_UNUSED uint64_t draw(struct random *r)
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return r->state;
}

static MAYBE_UNUSED size_t draw_below(struct random *r, size_t n)
{
	return (size_t)(draw(r) >> 11) % n;
}
