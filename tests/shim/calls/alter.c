/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Whatever a program does to its memory (protection, advice, locks, other
 * mappings) ends when it unmaps it: what is mapped next is as new.
 */
#include "tests/shim/shim.h"

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define RW (PROT_READ | PROT_WRITE)
#define PAGES 8

static size_t page;

/* Protections mean what they say, also in parts of a region. */
static void protections(void)
{
	char *p = map(PAGES * page);

	memset(p, 'p', PAGES * page);
	must(mprotect(p + page, page, PROT_READ) == 0);
	must(mprotect(p + 2 * page, page, PROT_NONE) == 0);
	ok(fault_of(p, true) == 0, "the page before stays writable");
	ok(fault_of(p + page, true) == SIGSEGV && p[page] == 'p',
	   "PROT_READ can be read and not written");
	ok(fault_of(p + 2 * page, false) == SIGSEGV,
	   "PROT_NONE cannot be read");
	must(mprotect(p, PAGES * page, RW) == 0);
	ok(fault_of(p + 2 * page, true) == 0 && p[2 * page] == 'p',
	   "and both can again, with their contents");
	must(munmap(p, PAGES * page) == 0);
}

/* A system call that is given such a page fails, as it should. */
static void protected_in_call(void)
{
	char *p = map(2 * page);
	int ends[2];

	must(pipe(ends) == 0);
	must(mprotect(p + page, page, PROT_NONE) == 0);
	ok(fails_with(write(ends[1], p + page, 1), EFAULT),
	   "write from a PROT_NONE page: EFAULT");
	must(write(ends[1], "x", 1) == 1);
	ok(fails_with(read(ends[0], p + page, 1), EFAULT),
	   "read into a PROT_NONE page: EFAULT");
	must(munmap(p, 2 * page) == 0);
	close(ends[0]);
	close(ends[1]);
}

static bool is_new(char *p, size_t len)
{
	if (!all_bytes(p, len, 0))
		return false;
	memset(p, 'n', len);
	return all_bytes(p, len, 'n');
}

/* The flags of the mapping that holds `p`, from smaps; "" if not found. */
static void flags_of(const char *p, char *flags, size_t cap)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	char line[256];
	bool found = false;
	unsigned long from, to;

	flags[0] = '\0';
	while (smaps && fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			found = from <= (uintptr_t)p && (uintptr_t)p < to;
		else if (found && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(flags, cap, "%.250s", line + 8);
	}
	if (smaps)
		fclose(smaps);
}

/* Flags that only something done on purpose sets. */
static bool has_plain_flags(const char *p)
{
	static const char *const odd[] = { " dc ", " dd ", " lo ", " hg ",
					   " nh ", " mg ", " wf ", " rr ",
					   " sr ", " sh ", " ex " };
	char flags[256];

	flags_of(p, flags, sizeof(flags));
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		if (strstr(flags, odd[i])) {
			printf("# %p has flags%s", (const void *)p, flags);
			return false;
		}
	return strstr(flags, " rd ") && strstr(flags, " wr ");
}

/* Alters each region in some way, unmaps all, and looks at what comes next. */
static bool forgotten(void (*alter)(char *p))
{
	enum { REGIONS = 40 };
	char *p[REGIONS];
	bool good = true;

	for (size_t i = 0; i < REGIONS; i++) {
		p[i] = map(PAGES * page);
		memset(p[i], 'o', PAGES * page);
		alter(p[i]);
	}
	for (size_t i = 0; i < REGIONS; i++)
		must(succeeds(munmap(p[i], PAGES * page)));
	for (size_t i = 0; i < REGIONS; i++) {
		p[i] = map((PAGES - 1) * page);
		good = good && is_new(p[i], (PAGES - 1) * page) &&
		       has_plain_flags(p[i]);
	}
	for (size_t i = 0; i < REGIONS; i++)
		must(munmap(p[i], (PAGES - 1) * page) == 0);
	return good;
}

static void alter_none(char *p)
{
	must(mprotect(p + page, page, PROT_NONE) == 0);
}

static void alter_read(char *p)
{
	must(mprotect(p, PAGES * page, PROT_READ) == 0);
}

static void alter_exec(char *p)
{
	must(mprotect(p, page, RW | PROT_EXEC) == 0);
}

static void alter_lock(char *p)
{
	must(mlock(p, 2 * page) == 0);
}

static void advise(char *p, int advice)
{
	/* EINVAL where the kernel is built without it. */
	must(madvise(p, 3 * page, advice) == 0 || errno == EINVAL);
}

static void alter_dontfork(char *p)
{
	advise(p, MADV_DONTFORK);
}

static void alter_wipeonfork(char *p)
{
	advise(p, MADV_WIPEONFORK);
}

static void alter_dontdump(char *p)
{
	advise(p, MADV_DONTDUMP);
}

static void alter_nohugepage(char *p)
{
	advise(p, MADV_NOHUGEPAGE);
}

static void alter_hugepage(char *p)
{
	advise(p, MADV_HUGEPAGE);
}

static void alter_mergeable(char *p)
{
	advise(p, MADV_MERGEABLE);
}

static void alter_random(char *p)
{
	advise(p, MADV_RANDOM);
}

static void alter_sequential(char *p)
{
	advise(p, MADV_SEQUENTIAL);
}

static void alter_guard(char *p)
{
	advise(p + page, 102); /* MADV_GUARD_INSTALL, Linux 6.13 */
}

/* Older C libraries have them for the kernel only, or in another library. */
ssize_t process_madvise(int fd, const struct iovec *parts, size_t count,
			int advice, unsigned flags) __attribute__((weak));
long mbind(void *at, unsigned long len, int mode, const unsigned long *nodes,
	   unsigned long max, unsigned flags) __attribute__((weak));

/* EINVAL before Linux 6.13. */
static void alter_process(char *p)
{
	struct iovec parts[] = { { p, page }, { p + 2 * page, 2 * page } };
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	must(fd >= 0 || errno == ENOSYS);
	if (process_madvise && fd >= 0)
		must(process_madvise(fd, parts, 2, MADV_DONTFORK, 0) ==
			     (ssize_t)(3 * page) ||
		     errno == EINVAL || errno == ENOSYS);
	close(fd);
}

static void alter_fixed(char *p)
{
	must(mmap(p + page, page, PROT_READ,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + page);
}

static void alter_shared(char *p)
{
	must(mmap(p, 3 * page, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1,
		  0) == p);
	memset(p, 's', 3 * page);
}

static void alter_file(char *p)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	must(mmap(p, page, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == p);
	must(p[1] == 'E');
	close(fd);
}

static void alterations(void)
{
	static const struct {
		const char *name;
		void (*alter)(char *p);
	} all[] = {
		{ "a PROT_NONE page", alter_none },
		{ "PROT_READ", alter_read },
		{ "an executable page", alter_exec },
		{ "mlock", alter_lock },
		{ "MADV_DONTFORK", alter_dontfork },
		{ "MADV_WIPEONFORK", alter_wipeonfork },
		{ "MADV_DONTDUMP", alter_dontdump },
		{ "MADV_NOHUGEPAGE", alter_nohugepage },
		{ "MADV_HUGEPAGE", alter_hugepage },
		{ "MADV_MERGEABLE", alter_mergeable },
		{ "MADV_RANDOM", alter_random },
		{ "MADV_SEQUENTIAL", alter_sequential },
		{ "MADV_GUARD_INSTALL", alter_guard },
		{ "process_madvise", alter_process },
		{ "MAP_FIXED, private", alter_fixed },
		{ "MAP_FIXED, shared", alter_shared },
		{ "MAP_FIXED, a file", alter_file },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		ok(forgotten(all[i].alter), "%s ends with munmap", all[i].name);
}

/* A file that was mapped over memory is let go by munmap at once. */
static void file_released(void)
{
	char name[] = "/tmp/llfree-test-XXXXXX", line[512];
	int fd = mkstemp(name);
	char *p = map(4 * page);
	FILE *maps;
	bool found = false;

	must(fd >= 0 && ftruncate(fd, (off_t)page) == 0);
	must(mmap(p, page, RW, MAP_SHARED | MAP_FIXED, fd, 0) == p);
	*p = 'f';
	must(munmap(p, 4 * page) == 0);
	maps = fopen("/proc/self/maps", "r");
	while (maps && fgets(line, sizeof(line), maps))
		found = found || strstr(line, name);
	ok(maps && !found, "a mapped file is gone after munmap");
	must(pread(fd, line, 1, 0) == 1 && line[0] == 'f');
	fclose(maps);
	close(fd);
	unlink(name);
}

/* mmap over memory that was unmapped before, next to memory in use. */
static void fixed_over_free(void)
{
	char *p = map(PAGES * page), *q;

	memset(p, 'm', PAGES * page);
	must(munmap(p + 2 * page, 3 * page) == 0);
	q = mmap(p + 2 * page, 3 * page, RW,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ok(q == p + 2 * page && is_new(q, 3 * page),
	   "MAP_FIXED where memory was unmapped");
	for (int i = 0; i < 100; i++) {
		char *other = map(page);

		must(other < p || other >= p + PAGES * page);
		must(munmap(other, page) == 0);
	}
	ok(all_bytes(p, 2 * page, 'm') && all_bytes(q, 3 * page, 'n'),
	   "which stays the program's");
	must(succeeds(munmap(p, PAGES * page)));
	ok(is_unmapped(p, PAGES * page), "until it is unmapped");
}

/* A mapping that fails leaves nothing behind. */
static void fixed_that_fails(void)
{
	char *p = map(4 * page);

	memset(p, 'k', 4 * page);
	must(munmap(p + 2 * page, page) == 0);
	ok(mmap(p, 4 * page, RW, MAP_PRIVATE | MAP_FIXED, -1, 0) ==
			   MAP_FAILED &&
		   errno == EBADF,
	   "MAP_FIXED of no file: EBADF");
	ok(all_bytes(p, 2 * page, 'k') && is_unmapped(p + 2 * page, page) &&
		   all_bytes(p + 3 * page, page, 'k'),
	   "which changed nothing");
	must(munmap(p, 4 * page) == 0);
}

/* Pages that a pipe holds stay as they were. */
static void in_a_pipe(void)
{
	struct iovec part = { map(PAGES * page), PAGES * page };
	char *p = part.iov_base, *q[64], *got = malloc(PAGES * page);
	int ends[2];
	ssize_t n;

	must(pipe(ends) == 0);
	memset(p, 'v', PAGES * page);
	n = vmsplice(ends[1], &part, 1, 0);
	must(n > 0 && munmap(p, PAGES * page) == 0);
	for (size_t i = 0; i < 64; i++) {
		q[i] = map(PAGES * page);
		memset(q[i], 'w', PAGES * page);
	}
	ok(read(ends[0], got, (size_t)n) == n && all_bytes(got, (size_t)n, 'v'),
	   "vmsplice, then munmap: the pipe has what it got");
	for (size_t i = 0; i < 64; i++)
		must(munmap(q[i], PAGES * page) == 0);
	close(ends[0]);
	close(ends[1]);
	free(got);
}

/* Whoever handles faults in a range does so until it is unmapped. */
static void watched(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	char *p = map(PAGES * page);

	range.range.start = (uintptr_t)p;
	range.range.len = PAGES * page;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &range)) {
		skip("userfaultfd ends with munmap", "not allowed");
	} else {
		must(munmap(p, PAGES * page) == 0);
		alarm(patience());
		for (size_t i = 0; i < 8; i++)
			memset(map(PAGES * page), 'u', PAGES * page);
		alarm(0);
		ok(true, "userfaultfd ends with munmap");
	}
	if (fd >= 0)
		close(fd);
}

static void shared_memory(void)
{
	int id = shmget(IPC_PRIVATE, 2 * page, IPC_CREAT | 0600);
	char *p = map(PAGES * page), *at;

	if (id < 0) {
		skip("shmat over memory", "no shared memory");
		must(munmap(p, PAGES * page) == 0);
		return;
	}
	memset(p, 'h', PAGES * page);
	at = shmat(id, p + page, SHM_REMAP);
	ok(at == p + page && all_bytes(at, 2 * page, 0), "shmat over memory");
	ok(succeeds(shmdt(at)) && is_unmapped(p + page, 2 * page) &&
		   all_bytes(p, page, 'h') &&
		   all_bytes(p + 3 * page, 5 * page, 'h'),
	   "shmdt takes it away again, and nothing else");
	must(munmap(p + 2 * page, 2 * page) == 0);
	ok(fails_with((long)shmat(id, p + 3 * page, 0), EINVAL),
	   "shmat over memory that is there: EINVAL");
	at = shmat(id, p + 2 * page, 0);
	ok(at == p + 2 * page && all_bytes(at, 2 * page, 0) &&
		   all_bytes(p + 4 * page, 4 * page, 'h'),
	   "shmat where some was unmapped");
	must(shmdt(at) == 0);
	must(munmap(p, PAGES * page) == 0);
	shmctl(id, IPC_RMID, NULL);
}

/* Across a hole nothing is done, not even in front of it. */
static void remapped(void)
{
	char *p = map(PAGES * page);

	must(mmap(p, 4 * page, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1,
		  0) == p);
	memset(p, 'r', page);
	ok(succeeds(remap_file_pages(p + page, page, 0, 0, 0)) &&
		   all_bytes(p, 2 * page, 'r') &&
		   all_bytes(p + 2 * page, 2 * page, 0),
	   "remap_file_pages");
	must(munmap(p + 3 * page, page) == 0);
	ok(fails_with(remap_file_pages(p, 4 * page, 0, 1, 0), EINVAL) &&
		   all_bytes(p, 2 * page, 'r'),
	   "remap_file_pages across a hole: EINVAL");
	must(munmap(p, PAGES * page) == 0);
}

static long bind_pages(char *p, size_t len, int mode)
{
	return mbind ? mbind(p, len, mode, NULL, 0, 0)
		     : syscall(SYS_mbind, p, len, mode, NULL, 0, 0);
}

/* MPOL_DEFAULT may be asked for across holes. */
static void bound(void)
{
	char *p = map(PAGES * page);

	must(munmap(p, page) == 0);
	must(munmap(p + 3 * page, page) == 0);
	if (syscall(SYS_mbind, p + page, page, 0, NULL, 0, 0))
		skip("mbind across holes", "not in this kernel");
	else
		ok(succeeds(bind_pages(p, PAGES * page, 0)) &&
			   fails_with(bind_pages(p, page, 0), EFAULT) &&
			   fails_with(bind_pages(p, PAGES * page, 99), EINVAL),
		   "mbind across holes");
	must(munmap(p, PAGES * page) == 0);
}

int main(void)
{
	page = page_size();
	protections();
	protected_in_call();
	alterations();
	file_released();
	fixed_over_free();
	fixed_that_fails();
	shared_memory();
	remapped();
	bound();
	in_a_pipe();
	watched();
	return done();
}
