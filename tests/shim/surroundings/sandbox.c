/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Sandboxes: one that kills for every system call that an ordinary allocator
 * does not make; one that looks at their flags as well; two in which a program starts, of which one kills for what it
 * would not do without us, and the other refuses it; and the kernel's own,
 * which allows next to nothing.
 */
#include "tests/shim/shim.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define MIB ((size_t)1 << 20)
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* What an ordinary allocator, and the end of a process, need. */
static const int working[] = {
	SYS_mmap,     SYS_munmap,     SYS_mremap,	  SYS_madvise,
	SYS_mprotect, SYS_brk,	      SYS_getrandom,	  SYS_getpid,
	SYS_write,    SYS_exit_group, SYS_rt_sigprocmask, SYS_futex,
};

/* Besides, what a program's start needs. */
static const int starting[] = {
	SYS_execve,	     SYS_openat,     SYS_newfstatat,	  SYS_fstat,
	SYS_close,	     SYS_read,	     SYS_pread64,	  SYS_faccessat,
	SYS_set_tid_address, SYS_rseq,	     SYS_set_robust_list,
#ifdef __x86_64__
	SYS_access,	     SYS_arch_prctl,
#endif
};

/* Besides, what a process may ask about itself. */
static const int asking[] = {
	SYS_prctl, SYS_prlimit64, SYS_sysinfo,
	SYS_fcntl, SYS_getcwd,	  SYS_rt_sigpending,
};

static struct sock_filter filter[128];
static unsigned short filled;

static void add(struct sock_filter step)
{
	must(filled < LENGTH(filter));
	filter[filled++] = step;
}

static void load(size_t offset)
{
	add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					 (unsigned)offset));
}

/* mmap with one of these flags. */
static void kill_for(unsigned flags)
{
	load(offsetof(struct seccomp_data, nr));
	add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0,
					 3));
	load(offsetof(struct seccomp_data, args[3]));
	add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, flags, 0,
					 1));
	add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL));
	load(offsetof(struct seccomp_data, nr));
}

static void allow(const int *numbers, size_t count)
{
	if (!filled)
		load(offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < count; i++) {
		add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
						 (unsigned)numbers[i], 0, 1));
		add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
						 SECCOMP_RET_ALLOW));
	}
}

static bool locked_in(unsigned otherwise)
{
	struct sock_fprog program = { 0, filter };

	add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, otherwise));
	program.len = filled;
	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static bool map_some(void)
{
	size_t len = 512 << 10;

	for (int i = 0; i < 20; i++) {
		char *block = malloc(1 << 20), *p = map(len);

		if (!block || !all_bytes(p, len, 0))
			return false;
		memset(block, 'b', 1 << 20);
		memset(p, 'p', len);
		p = mremap(p, len, 3 * len, MREMAP_MAYMOVE);
		if (!all_bytes(p, len, 'p') || !all_bytes(p + len, len, 0) ||
		    munmap(p, 3 * len))
			return false;
		free(block);
	}
	return true;
}

static bool works(void)
{
	allow(working, LENGTH(working));
	if (!locked_in(SECCOMP_RET_KILL))
		_exit(77);
	return map_some();
}

/* What malloc, and libc's fork of a process with one thread, cannot do
 * without. */
static const int forking[] = {
	SYS_mmap,  SYS_munmap,		SYS_mremap, SYS_madvise,    SYS_brk,
	SYS_clone, SYS_set_robust_list, SYS_wait4,  SYS_exit_group,
};

static bool forks(void)
{
	char *block = malloc(1 << 20);
	int status;
	pid_t pid;

	memset(block, 'b', 1 << 20);
	allow(forking, LENGTH(forking));
	if (!locked_in(SECCOMP_RET_KILL_PROCESS))
		_exit(77);
	pid = fork();
	if (!pid) {
		block = malloc(2 << 20);
		memset(block, 'c', 2 << 20);
		free(block);
		_exit(5);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid &&
	       WIFEXITED(status) && WEXITSTATUS(status) == 5;
}

/* Far beyond what is mapped already, regions and heap. */
static bool grow(void)
{
	for (int i = 0; i < 4; i++) {
		char *p = map(20 * MIB);

		if (!all_bytes(p, 20 * MIB, 0))
			return false;
		memset(p, 'g', 20 * MIB);
	}
	for (int i = 0; i < 1000; i++) {
		char *block = malloc(64 << 10);

		if (!block)
			return false;
		memset(block, 'h', 64 << 10);
	}
	return true;
}

/* chromium's knows the flags of ordinary allocators. */
static bool grows_with_usual_flags(void)
{
	kill_for(MAP_FIXED_NOREPLACE);
	allow(working, LENGTH(working));
	if (!locked_in(SECCOMP_RET_KILL))
		_exit(77);
	return map_some() && grow();
}

/* This program again, in the sandbox from its first instruction on. */
static bool starts(unsigned otherwise, size_t asks)
{
	static char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	must(len > 0);
	self[len] = '\0';
	allow(working, LENGTH(working));
	allow(starting, LENGTH(starting));
	allow(asking, asks);
	if (locked_in(otherwise))
		execl(self, self, "inside", (char *)NULL);
	return false;
}

static bool starts_or_dies(void)
{
	return starts(SECCOMP_RET_KILL, LENGTH(asking));
}

static bool starts_and_is_refused(void)
{
	return starts(SECCOMP_RET_ERRNO | EPERM, 0);
}

/* The kernel's own: read, write and the end of a thread. */
static bool works_in_strict_mode(void)
{
	char *block = malloc(5000);
	bool good;

	free(malloc(3000));
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
		_exit(77);
	memset(block, 's', 5000);
	free(block);
	block = malloc(2500);
	good = block && write(STDERR_FILENO, "", 0) == 0;
	for (;;)
		syscall(SYS_exit, good ? 0 : 1);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "inside") == 0)
		return !map_some();
	if (prctl(PR_GET_SECCOMP) != 0) {
		skip("mapping in a sandbox", "in one already");
		return done();
	}
	ok(in_child(works), "mapping in a sandbox");
	/* A report needs more. */
	if (!getenv("LLFREE_STATS"))
		ok(in_child(forks),
		   "forking in one that knows only what that needs");
	ok(in_child(grows_with_usual_flags),
	   "growing in one that looks at flags");
	ok(in_child(starts_or_dies), "starting in one that kills");
	ok(in_child(starts_and_is_refused), "starting in one that refuses");
	ok(in_child(works_in_strict_mode), "malloc in the kernel's own");
	return done();
}
