/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "tests/shim/differ/replay.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>

char *r[8192];
int file = -1, constant = -1, read_only = -1, folder = -1;
unsigned char residency[4096];
char *drained;
static int pipe_ends[2];

/* ------------------------------------------------------------------------ */
/* Faults                                                                    */

static __thread sigjmp_buf fault_back
	__attribute__((tls_model("initial-exec")));

static void fault_handler(int signal)
{
	siglongjmp(fault_back, signal);
}

/* The pattern of page `i` of what is filled with `value`. */
static unsigned char pattern(unsigned value, size_t i)
{
	return (unsigned char)(1 + (value + 3 * i) % 251);
}

/* Writes all pages that can be written. */
void fill(char *at, size_t len, unsigned value)
{
	volatile size_t i = 0;

	while (i < len / PAGE) {
		if (!sigsetjmp(fault_back, 0))
			for (; i < len / PAGE; i++)
				memset(at + i * PAGE, pattern(value, i), PAGE);
		else
			i++;
	}
}

/* The byte that all of a page has, 256 when it has several. */
static int page_value(const char *page)
{
	return memcmp(page, page + 1, PAGE - 1) ? 256 : (unsigned char)page[0];
}

/* A page as text: "5a", "mixed", "SEGV" or "BUS". */
static const char *value_text(char *buf, size_t cap, int value)
{
	if (value == 1000 + SIGBUS)
		return "BUS";
	if (value >= 1000)
		return "SEGV";
	if (value == 256)
		return "mixed";
	snprintf(buf, cap, "%02x", (unsigned)value);
	return buf;
}

/* The value of a page, or 1000 and the signal that reading it raises. */
static int look_at_page(char *page)
{
	int signal = sigsetjmp(fault_back, 0);

	return signal ? 1000 + signal : page_value(page);
}

/* What follows `value` in a run: the same, or fill's next. */
static int after(int value, bool same)
{
	bool filled = value > 0 && value <= 251;

	return same || !filled ? value : pattern((unsigned)value - 1, 1);
}

size_t look_text(char *text, size_t cap, char *at, size_t len)
{
	size_t used = 0, pages = len / PAGE, run;

	for (size_t i = 0; i < pages && used + 32 < cap; i += run) {
		int value = look_at_page(at + i * PAGE), last = value;
		bool same = i + 1 < pages &&
			    look_at_page(at + (i + 1) * PAGE) == value;
		char one[16], other[16];

		for (run = 1; i + run < pages; run++, last = after(last, same))
			if (look_at_page(at + (i + run) * PAGE) !=
			    after(last, same))
				break;
		used += (size_t)snprintf(
			text + used, cap - used,
			last == value ? "%s*%zu " : "%s*%zu..%s ",
			value_text(one, sizeof(one), value), run,
			value_text(other, sizeof(other), last));
	}
	return used;
}

/* ------------------------------------------------------------------------ */
/* Signals at any time, whose handler maps                                   */

#define STORM_US 150

static volatile bool storm_is_on;
static volatile bool storm_failed;

/* Asked for by each handler at its end: a program gets on between two of them,
 * however slow the machine. */
static void next_signal(long us)
{
	struct itimerval once = { { 0, 0 }, { 0, us } };

	setitimer(ITIMER_REAL, &once, NULL);
}

static void storm_handler(int signal)
{
	int before = errno;
	size_t len = 3 * PAGE;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)signal;
	if (p == MAP_FAILED)
		storm_failed = true;
	for (size_t i = 0; p != MAP_FAILED && i < len; i += PAGE) {
		storm_failed = storm_failed || page_value(p + i) != 0;
		memset(p + i, 0x77, PAGE);
	}
	if (p != MAP_FAILED && munmap(p, len))
		storm_failed = true;
	if (storm_is_on)
		next_signal(STORM_US);
	errno = before;
}

/* Returns whether every handler so far found what it should. */
bool storm(bool on)
{
	storm_is_on = on;
	next_signal(on ? STORM_US : 0);
	return !storm_failed;
}

bool moves_many(void)
{
	const int flags = MAP_SHARED | MAP_ANONYMOUS;
	char *p = mmap(NULL, 4 * PAGE, PROT_READ, flags, -1, 0);
	bool many;

	if (p == MAP_FAILED || mprotect(p + PAGE, PAGE, PROT_NONE))
		_exit(99);
	many = mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		      p + 2 * PAGE) != MAP_FAILED;
	munmap(p, 4 * PAGE);
	return many;
}

/* ------------------------------------------------------------------------ */
/* Calls that take more to prepare                                           */

char *attach(char *at, size_t len, int flags)
{
	int id = shmget(IPC_PRIVATE, len, 0600), error;
	char *attached = shmat(id, at, flags);

	error = errno;
	shmctl(id, IPC_RMID, NULL);
	errno = error;
	return attached;
}

long splice_in(char *at, size_t len)
{
	struct iovec part = { at, len };

	return vmsplice(pipe_ends[1], &part, 1, SPLICE_F_NONBLOCK);
}

/* Nothing, when there is nothing. */
long splice_out(void)
{
	long got = 0, n = 1;
	int error = errno;

	while (n > 0 && got < (long)DRAINED) {
		n = read(pipe_ends[0], drained + got, DRAINED - (size_t)got);
		got += n > 0 ? n : 0;
	}
	errno = error;
	return got;
}

/* Older C libraries have it for the kernel only. */
ssize_t process_madvise(int fd, const struct iovec *parts, size_t count,
			int advice, unsigned flags) __attribute__((weak));

long advise_self(char *at, size_t len, int advice)
{
	struct iovec part = { at, len };
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	long result;

	errno = UNTOUCHED;
	if (process_madvise)
		result = process_madvise(fd, &part, 1, advice, 0);
	else
		result = syscall(SYS_process_madvise, fd, &part, 1, advice, 0);
	close(fd);
	return result;
}

/* libnuma's. */
long mbind(void *at, unsigned long len, int mode, const unsigned long *nodes,
	   unsigned long max, unsigned flags) __attribute__((weak));

long bind_to(char *at, size_t len, int mode, unsigned long nodes,
	     unsigned flags)
{
	if (mbind)
		return mbind(at, len, mode, &nodes, 8 * sizeof(nodes), flags);
	return syscall(SYS_mbind, at, len, mode, &nodes, 8 * sizeof(nodes),
		       flags);
}

/* ------------------------------------------------------------------------ */

static int new_file(void)
{
	int fd = memfd_create("differ", 0);

	if (ftruncate(fd, (off_t)(FILE_PAGES * PAGE)) ||
	    pwrite(fd, "contents", 8, (off_t)(PAGE + 100)) != 8)
		_exit(99);
	return fd;
}

void replay_start(void)
{
	struct sigaction fault = { .sa_handler = fault_handler,
				   .sa_flags = SA_NODEFER };
	struct sigaction alarm = { .sa_handler = storm_handler,
				   .sa_flags = SA_RESTART };

	/* What threads need of the heap lies below what sbrk is asked for. */
	char *volatile first = malloc(1);

	free(first);
	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGBUS, &fault, NULL);
	sigaction(SIGALRM, &alarm, NULL);
	file = new_file();
	constant = new_file();
	read_only = open("/proc/self/exe", O_RDONLY);
	folder = open("/", O_RDONLY | O_DIRECTORY);
	drained = mmap(NULL, DRAINED, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (drained == MAP_FAILED || pipe2(pipe_ends, O_NONBLOCK))
		_exit(99);
}

void look(char *at, size_t len)
{
	static __thread char text[8192];

	look_text(text, sizeof(text), at, len);
	printf("%s\n", text);
}

void show_result(const char *call, long result, int error)
{
	printf("%s: %ld", call, result);
	if (error != UNTOUCHED)
		printf(", errno %d %s", error, strerror(error));
	printf("\n");
	fflush(stdout);
}
