/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * LLFREE_THP: the advice is given to all that is served, also where the program
 * has altered memory in between.
 */
#include "tests/shim/shim.h"

#define MIB ((size_t)1 << 20)

/* Whether the mapping of `p` has this flag in /proc/self/smaps. */
static bool has_flag(const void *p, const char *flag)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	bool here = false, found = false;
	char line[1024];
	unsigned long start, end;

	must(smaps != NULL);
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start <= (uintptr_t)p && (uintptr_t)p < end;
		if (here && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, flag) != NULL;
	}
	fclose(smaps);
	return found;
}

static void all_have(const char *flag, const char *what)
{
	char *p = map(4 * MIB), *q;

	memset(p, 't', 4 * MIB);
	ok(has_flag(p, flag), "%s", what);
	must(mprotect(p + MIB, MIB, PROT_READ) == 0);
	must(munmap(p, 4 * MIB) == 0);
	q = map(4 * MIB);
	ok(has_flag(q, flag) && has_flag(q + MIB, flag) &&
		   all_bytes(q, 4 * MIB, 0),
	   "%s, also after memory was protected", what);
	must(munmap(q, 4 * MIB) == 0);
}

static void run(const char *value, const char *flag)
{
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *args[] = { self, (char *)(uintptr_t)flag, NULL };
	int status = -1;
	pid_t pid;

	must(len > 0);
	self[len] = '\0';
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		setenv("LLFREE_THP", value, 1);
		execv(self, args);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	ok(status == 0, "%s", value);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		char *p = map(MIB);

		/* The parent counts. */
		if (strcmp(argv[1], "none") == 0)
			return has_flag(p, " hg") || has_flag(p, " nh");
		freopen("/dev/null", "w", stdout);
		all_have(argv[1], argv[1]);
		return tap_failed != 0;
	}
	if (!have_shim() ||
	    access("/sys/kernel/mm/transparent_hugepage", F_OK)) {
		printf("1..0 # SKIP no library, or no huge pages\n");
		return 0;
	}
	run("system", "none");
	run("always", " hg");
	run("never", " nh");
	return done();
}
