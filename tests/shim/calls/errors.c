/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Bad arguments give the kernel's answer; success leaves errno alone.
 */
#include "tests/shim/shim.h"

#include <sys/syscall.h>

#define RW (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)

static size_t page;

/* mmap against the system call itself: same success, same errno. */
static void mmap_like_kernel(const char *what, size_t len, int prot, int flags,
			     int fd, off_t offset)
{
	int errors[2];

	for (int raw = 0; raw < 2; raw++) {
		void *p;

		errno = 0;
		p = raw ? (void *)syscall(SYS_mmap, 0L, len, prot, flags, fd,
					  offset)
			: mmap(NULL, len, prot, flags, fd, offset);
		errors[raw] = p == MAP_FAILED ? errno : 0;
		if (p == MAP_FAILED)
			continue;
		must(errno == 0);
		if (raw)
			syscall(SYS_munmap, p, len);
		else
			must(munmap(p, len) == 0);
	}
	ok(errors[0] == errors[1], "mmap %s: %s", what,
	   errors[1] ? strerror(errors[1]) : "success");
	if (errors[0] != errors[1])
		printf("# got %s\n", strerror(errors[0]));
}

static void mmap_errors(void)
{
	size_t most = SIZE_MAX & ~(page - 1);

	mmap_like_kernel("of no length", 0, RW, PRIVATE, -1, 0);
	mmap_like_kernel("of the longest length", SIZE_MAX, RW, PRIVATE, -1, 0);
	mmap_like_kernel("of most pages", most, RW, PRIVATE, -1, 0);
	mmap_like_kernel("of half of all", (size_t)1 << 63, RW, PRIVATE, -1, 0);
	mmap_like_kernel("of 2^47", (size_t)1 << 47, RW, PRIVATE, -1, 0);
	mmap_like_kernel("without a type", page, RW, MAP_ANONYMOUS, -1, 0);
	mmap_like_kernel("of both types", page, RW, PRIVATE | MAP_SHARED, -1,
			 0);
	mmap_like_kernel("of no file", page, RW, MAP_PRIVATE, -1, 0);
	mmap_like_kernel("at an odd offset", page, RW, PRIVATE, -1, 1);
	mmap_like_kernel("at an even offset", page, RW, PRIVATE, -1,
			 (off_t)page);
	mmap_like_kernel("of nothing with a descriptor", page, RW, PRIVATE, 77,
			 0);
	mmap_like_kernel("with unknown protection", page, RW | 0x100, PRIVATE,
			 -1, 0);
	mmap_like_kernel("with unknown flags", page, RW, PRIVATE | 0x800000, -1,
			 0);
	mmap_like_kernel("write only", page, PROT_WRITE, PRIVATE, -1, 0);
	mmap_like_kernel("executable", page, RW | PROT_EXEC, PRIVATE, -1, 0);
	mmap_like_kernel("shared", page, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	mmap_like_kernel("growing down", page, RW, PRIVATE | MAP_GROWSDOWN, -1,
			 0);
	mmap_like_kernel("validated", page, RW,
			 MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0);
}

static void mmap_addresses(void)
{
	char *p = map(4 * page), *q;

	ok(mmap(p + 1, page, RW, PRIVATE | MAP_FIXED, -1, 0) == MAP_FAILED &&
		   errno == EINVAL,
	   "mmap fixed at an odd address: EINVAL");
	q = mmap(p, page, RW, PRIVATE, -1, 0);
	ok(q != MAP_FAILED && q != p, "mmap at a taken hint goes elsewhere");
	must(munmap(q, page) == 0);
	ok(mmap(p, page, RW, PRIVATE | 0x100000, -1, 0) == MAP_FAILED &&
		   errno == EEXIST,
	   "mmap without replacing at a taken address: EEXIST");
	must(munmap(p, page) == 0);
	errno = 4711;
	ok(mmap(p, page, RW, PRIVATE | 0x100000, -1, 0) == p && errno == 4711,
	   "mmap without replacing where it was unmapped");
	must(munmap(p, 4 * page) == 0);
}

static void mprotect_errors(void)
{
	char *p = map(4 * page);

	ok(succeeds(mprotect(p, 4 * page, PROT_READ)), "mprotect");
	ok(succeeds(mprotect(p, 0, PROT_READ)), "mprotect of no length");
	ok(fails_with(mprotect(p + 1, page, PROT_READ), EINVAL),
	   "mprotect of an odd address: EINVAL");
	ok(fails_with(mprotect(p, SIZE_MAX, PROT_READ), ENOMEM),
	   "mprotect of the longest length: ENOMEM");
	ok(fails_with(mprotect(p, page, 0x100), EINVAL),
	   "mprotect to unknown protection: EINVAL");
	must(munmap(p + page, page) == 0);
	ok(fails_with(mprotect(p, 4 * page, PROT_NONE), ENOMEM),
	   "mprotect across a hole: ENOMEM");
	ok(fault_of(p, false) == SIGSEGV, "which changed what is before it");
	ok(fault_of(p + 2 * page, false) == 0, "and not what is behind it");
	must(munmap(p, page) == 0);
	ok(fails_with(mprotect(p, 4 * page, 0x40000003), EINVAL),
	   "mprotect to unknown protection from a hole on: EINVAL");
	must(munmap(p, 4 * page) == 0);
	ok(fails_with(mprotect(p, page, RW), ENOMEM),
	   "mprotect of a hole: ENOMEM");
}

static void madvise_errors(void)
{
	char *p = map(4 * page);

	ok(succeeds(madvise(p, 4 * page, MADV_DONTNEED)), "madvise");
	ok(succeeds(madvise(p, 0, MADV_DONTNEED)), "madvise of no length");
	ok(fails_with(madvise(p + 1, page, MADV_DONTNEED), EINVAL),
	   "madvise of an odd address: EINVAL");
	ok(fails_with(madvise(p, page, 4711), EINVAL),
	   "unknown advice: EINVAL");
	ok(fails_with(madvise(p, SIZE_MAX, MADV_DONTNEED), EINVAL),
	   "madvise of the longest length: EINVAL");
	ok(fails_with(madvise(p, page, MADV_REMOVE), EINVAL),
	   "MADV_REMOVE of private memory: EINVAL");
	memset(p, 'x', 4 * page);
	must(munmap(p + page, page) == 0);
	ok(fails_with(madvise(p, 4 * page, MADV_DONTNEED), ENOMEM),
	   "madvise across a hole: ENOMEM");
	ok(p[0] == 0 && p[2 * page] == 0, "which took effect on both sides");
	ok(fails_with(madvise(p, 4 * page, 23), ENOMEM) || errno == EINVAL,
	   "MADV_POPULATE_WRITE across a hole");
	must(munmap(p, 4 * page) == 0);
	ok(fails_with(madvise(p, page, MADV_DONTNEED), ENOMEM),
	   "madvise of a hole: ENOMEM");
	ok(fails_with(madvise(p, page, 4711), EINVAL),
	   "unknown advice on a hole: EINVAL");
}

static void posix_madvise_errors(void)
{
	char *p = map(page);

	*p = 'x';
	errno = 4711;
	ok(posix_madvise(p, page, POSIX_MADV_DONTNEED) == 0 && *p == 'x',
	   "POSIX_MADV_DONTNEED loses nothing");
	ok(posix_madvise(p, page, POSIX_MADV_WILLNEED) == 0 && errno == 4711,
	   "posix_madvise leaves errno alone");
	ok(posix_madvise(p, page, 4711) == EINVAL && errno == 4711,
	   "and returns its errors");
	must(munmap(p, page) == 0);
}

static void msync_errors(void)
{
	char *p = map(4 * page);

	ok(succeeds(msync(p, 4 * page, MS_SYNC)), "msync");
	ok(fails_with(msync(p + 1, page, MS_SYNC), EINVAL),
	   "msync of an odd address: EINVAL");
	ok(fails_with(msync(p, page, MS_SYNC | MS_ASYNC), EINVAL),
	   "msync both ways: EINVAL");
	must(munmap(p + page, page) == 0);
	ok(fails_with(msync(p, 4 * page, MS_SYNC), ENOMEM),
	   "msync across a hole: ENOMEM");
	ok(fails_with(msync(p + page, page, MS_SYNC), ENOMEM),
	   "msync of a hole: ENOMEM");
	must(munmap(p, 4 * page) == 0);
}

/* Longer than the address space, from far below the arena on. */
static void endless(void)
{
	char *p = map(page), *file;

	file = mmap(NULL, page, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(file != MAP_FAILED);
	*p = 'x';
	ok(fails_with(munmap((void *)0x10000, (size_t)1 << 63), EINVAL) &&
		   *p == 'x' && is_mapped(file, page),
	   "munmap of more than the address space: EINVAL, nothing unmapped");
	ok(mremap(p, page, (size_t)1 << 60, MREMAP_MAYMOVE) == MAP_FAILED &&
		   (errno == EINVAL || errno == ENOMEM) && *p == 'x',
	   "mremap to more than the address space");
	printf("# errno %d\n", errno);
	must(munmap(p, page) == 0);
	must(munmap(file, page) == 0);
}

/* What is in front of a hole is locked, but not made resident. */
static void lock_before_hole(void)
{
	size_t pages = 1024;
	char *p = map(pages * page);
	unsigned char there[1024];
	size_t resident = 0;

	must(munmap(p + (pages - 1) * page, page) == 0);
	must(fails_with(mlock(p, pages * page), ENOMEM));
	must(mincore(p, (pages - 1) * page, there) == 0);
	for (size_t i = 0; i < pages - 1; i++)
		resident += there[i] & 1;
	ok(resident == 0, "mlock across a hole makes nothing resident");
	ok(fails_with(mlock2(p, pages * page, 0x100), EINVAL),
	   "mlock2 with unknown flags: EINVAL");
	must(munmap(p, (pages - 1) * page) == 0);
}

static void lock_errors(void)
{
	char *p = map(4 * page);

	ok(succeeds(mlock(p + 1, page)), "mlock of an odd address");
	ok(succeeds(munlock(p, 2 * page)), "munlock");
	ok(succeeds(mlock(p, 0)), "mlock of no length");
	must(munmap(p + page, page) == 0);
	ok(fails_with(mlock(p, 4 * page), ENOMEM),
	   "mlock across a hole: ENOMEM");
	ok(fails_with(munlock(p, 4 * page), ENOMEM),
	   "munlock across a hole: ENOMEM");
	must(munmap(p, 4 * page) == 0);
}

int main(void)
{
	page = page_size();
	mmap_errors();
	mmap_addresses();
	mprotect_errors();
	madvise_errors();
	posix_madvise_errors();
	lock_errors();
	lock_before_hole();
	msync_errors();
	endless();
	return done();
}
