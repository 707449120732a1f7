/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * System calls by number, through libc's syscall(): to memory of the arena they
 * do what the functions of their names do.
 */
#include "tests/shim/shim.h"

#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

#define RW (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)

static size_t page;

static char *map_by_number(size_t len)
{
	long at = syscall(SYS_mmap, NULL, len, RW, PRIVATE, -1, 0L);

	must(at != -1);
	return (char *)at;
}

static void served(void)
{
	char *p = map_by_number(10 * page), *q;

	ok(!have_shim() || in_arena(p), "mmap is served");
	memset(p, 's', 10 * page);
	ok(succeeds(syscall(SYS_munmap, p + 2 * page, 3 * page)) &&
		   is_unmapped(p + 2 * page, page) && p[0] == 's' &&
		   p[5 * page] == 's',
	   "munmap of a part");
	q = (char *)syscall(SYS_mremap, p, 2 * page, 600 * page, MREMAP_MAYMOVE,
			    NULL);
	must(q != MAP_FAILED);
	ok(all_bytes(q, 2 * page, 's') && all_bytes(q + 2 * page, page, 0),
	   "mremap keeps contents");
	must(munmap(q, 600 * page) == 0);
	must(munmap(p + 5 * page, 5 * page) == 0);
	ok(fails_with(syscall(SYS_mmap, NULL, 0, RW, PRIVATE, -1, 0L), EINVAL),
	   "errors are libc's: -1 and errno");
	ok(fails_with(syscall(-1L), ENOSYS) &&
		   fails_with(syscall(100000L), ENOSYS),
	   "no such number");
}

/* What a protection leaves behind must not reach the next owner. */
static void guards(void)
{
	bool good = true;

	for (int i = 0; i < 200; i++) {
		char *p = map(4 * page);

		memset(p, 'g', 4 * page);
		must(succeeds(syscall(SYS_mprotect, p, page, PROT_NONE)));
		good = good && fault_of(p, false) == SIGSEGV;
		must(munmap(p, 4 * page) == 0);
		p = map(4 * page);
		good = good && all_bytes(p, 4 * page, 0);
		memset(p, 'h', 4 * page);
		must(munmap(p, 4 * page) == 0);
	}
	ok(good, "mprotect, and the memory serves again");
}

/* A file that is mapped over served memory and unmapped by libc's function. */
static void files(void)
{
	char name[] = "/tmp/llfree-numbers-XXXXXX", text[8] = "";
	int fd = mkstemp(name);
	char *p;

	must(fd >= 0 && unlink(name) == 0);
	must(write(fd, "precious", 8) == 8 && ftruncate(fd, (off_t)page) == 0);
	p = map(4 * page);
	memset(p, 'm', 4 * page);
	must((char *)syscall(SYS_mmap, p + page, page, RW,
			     MAP_SHARED | MAP_FIXED, fd, 0L) == p + page);
	ok(!memcmp(p + page, "precious", 8), "a file over served memory");
	must(munmap(p, 4 * page) == 0);
	for (int i = 0; i < 100; i++) {
		p = map(4 * page);
		memset(p, 'n', 4 * page);
		must(munmap(p, 4 * page) == 0);
	}
	must(pread(fd, text, 8, 0) == 8);
	ok(!memcmp(text, "precious", 8), "the file is as it was");
	close(fd);
}

static void advice(void)
{
	char *p = map(8 * page);
	unsigned char vec[8];

	memset(p, 'a', 8 * page);
	ok(succeeds(syscall(SYS_madvise, p, page, MADV_DONTNEED)) &&
		   p[0] == 0 && p[page] == 'a',
	   "madvise");
	ok(succeeds(syscall(SYS_mincore, p, 8 * page, vec)) && vec[1] & 1,
	   "mincore");
	ok(succeeds(syscall(SYS_mlock, p, page)) &&
		   succeeds(syscall(SYS_munlock, p, page)),
	   "mlock and munlock");
	ok(succeeds(syscall(SYS_msync, p, page, MS_ASYNC)), "msync");
	must(munmap(p + 4 * page, 4 * page) == 0);
	ok(fails_with(syscall(SYS_madvise, p, 8 * page, MADV_NORMAL), ENOMEM),
	   "over a hole");
	must(munmap(p, 4 * page) == 0);
}

static void segments(void)
{
	int id = shmget(IPC_PRIVATE, page, IPC_CREAT | 0600);
	char *p, *at;

	if (id < 0) {
		skip("shmat", "no System V shared memory");
		return;
	}
	p = map(3 * page);
	memset(p, 'x', 3 * page);
	at = (char *)syscall(SYS_shmat, id, p + page, SHM_REMAP);
	ok(at == p + page && at[0] == 0, "shmat over served memory");
	shmctl(id, IPC_RMID, NULL);
	at[0] = 'y';
	ok(succeeds(syscall(SYS_shmdt, at)) && is_unmapped(at, page),
	   "shmdt leaves a hole");
	must(munmap(p, 3 * page) == 0);
}

/* What is sealed stays, whatever is asked for. */
static void seals(void)
{
	char *p = map(4 * page);

	memset(p, 's', 4 * page);
	if (syscall(SYS_mseal, p, 4 * page, 0L) && errno == ENOSYS) {
		skip("mseal", "the kernel has none (before Linux 6.10)");
		must(munmap(p, 4 * page) == 0);
		return;
	}
	ok(fails_with(munmap(p, 4 * page), EPERM) &&
		   fails_with(mprotect(p, page, PROT_NONE), EPERM) &&
		   mmap(p, page, RW, PRIVATE | MAP_FIXED, -1, 0) == MAP_FAILED,
	   "sealed memory is neither unmapped, protected nor mapped over");
	ok(all_bytes(p, 4 * page, 's'), "and keeps what is in it");
	p = map(page);
	must(munmap(p, page) == 0);
	ok(fails_with(syscall(SYS_mseal, p, page, 0L), ENOMEM),
	   "mseal of a hole");
}

static void children(void)
{
	int status = 0;
	long pid = syscall(SYS_clone, SIGCHLD, 0L, 0L, 0L, 0L);

	if (!pid)
		syscall(SYS_exit_group, 3);
	must(pid > 0 && waitpid((pid_t)pid, &status, 0) == pid);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 3, "clone as fork");
}

static void others(void)
{
	char name[16] = "";

	ok(syscall(SYS_getpid) == getpid(), "getpid");
	ok(succeeds(syscall(SYS_prctl, PR_SET_NAME, "numbers", 0L, 0L, 0L)) &&
		   succeeds(prctl(PR_GET_NAME, name)) &&
		   !strcmp(name, "numbers"),
	   "prctl");
	ok((void *)syscall(SYS_brk, 0L) == sbrk(0) || !have_shim() ||
		   !in_arena(sbrk(0)),
	   "the break is where sbrk says");
}

int main(void)
{
	page = page_size();
	served();
	guards();
	files();
	advice();
	segments();
	seals();
	children();
	others();
	return done();
}
