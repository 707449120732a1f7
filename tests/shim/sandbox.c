/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A sandbox that kills for every system call that an ordinary allocator does
 * not make.
 */
#include "tests/shim/shim.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define ALLOW(name)                                                     \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1),          \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static struct sock_filter filter[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	ALLOW(mmap),
	ALLOW(munmap),
	ALLOW(mremap),
	ALLOW(madvise),
	ALLOW(mprotect),
	ALLOW(brk),
	ALLOW(getrandom),
	ALLOW(getpid),
	ALLOW(write),
	ALLOW(exit_group),
	ALLOW(rt_sigprocmask),
	ALLOW(futex),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL),
};

static bool locked_in(void)
{
	struct sock_fprog program = { LENGTH(filter), filter };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static bool works(void)
{
	size_t len = 512 << 10;

	if (!locked_in())
		_exit(77);
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

int main(void)
{
	if (prctl(PR_GET_SECCOMP) != 0)
		skip("mapping in a sandbox", "in one already");
	else
		ok(in_child(works), "mapping in a sandbox");
	return done();
}
