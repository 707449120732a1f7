#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# LLFREE_PROFILE=1: the call sites in the report.

. "$srcdir/tests/tap.sh"

unset LLFREE_STATS_FILE LLFREE_PROFILE_TOP LLFREE_HOOK
export LLFREE_STATS=1 LLFREE_PROFILE=1

LD_PRELOAD=$preload ls / >"$tmp/out" 2>"$tmp/err"
if grep -q 'no call sites: this library was built without libunwind' "$tmp/err"; then
	tap_ok "without libunwind: one line" \
		test "$(grep -c LLFREE_PROFILE "$tmp/err")" -eq 1
	tap_ok "without libunwind: the report comes" \
		grep -q 'process' "$tmp/err"
	tap_done
fi

cat >"$tmp/sites.c" <<'EOT'
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES(n) ((size_t)(n) * 4096)
#define NOINLINE __attribute__((noinline))

NOINLINE void site_of_served(size_t bytes)
{
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memory[0] = 1;
	munmap(memory, bytes);
}

NOINLINE static void static_site(void)
{
	site_of_served(PAGES(100));
	__asm__ volatile("");
}

NOINLINE void site_of_passed(void)
{
	munmap(mmap(NULL, PAGES(300), PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PAGES(300));
}

NOINLINE void site_of_malloc(void)
{
	void *volatile memory = malloc(PAGES(2000));
	free(memory);
}

NOINLINE void site_of_child(void)
{
	site_of_served(PAGES(50));
	__asm__ volatile("");
}

static volatile sig_atomic_t stop;

static void *work(void *arg)
{
	while (!stop)
		site_of_served(PAGES(1));
	return arg;
}

static void next_alarm(void)
{
	struct itimerval once = { { 0, 0 }, { 0, 1000 } };

	setitimer(ITIMER_REAL, &once, NULL);
}

static void on_alarm(int number)
{
	(void)number;
	site_of_served(PAGES(2));
	if (!stop)
		next_alarm();
}

/* Threads that map, signals that map, and forks in between. */
static int crowd(void)
{
	pthread_t threads[3];
	int failed = 0;

	signal(SIGALRM, on_alarm);
	next_alarm();
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, work, NULL);
	for (int i = 0; i < 100; i++) {
		pid_t pid = fork();
		int status = 0;

		if (pid == 0) {
			for (int k = 0; k < 5; k++)
				site_of_child();
			close(2);
			_exit(0);
		}
		while (waitpid(pid, &status, 0) < 0)
			;
		failed += status != 0;
	}
	stop = 1;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	return failed;
}

int main(int argc, char **argv)
{
	memset(argv[0], 'x', strlen(argv[0])); /* as daemons do for ps */
	if (argc > 1 && strcmp(argv[1], "crowd") == 0)
		return crowd();
	if (argc > 1) {
		static_site();
		fflush(NULL);
		if (fork() == 0) {
			site_of_child();
			_exit(0);
		}
		wait(NULL);
		return 0;
	}
	/* Volatile, or each round may become a call of its own. */
	for (volatile int i = 0; i < 10; i++)
		static_site();
	for (volatile int i = 0; i < 7; i++)
		site_of_passed();
	site_of_malloc();
	return 0;
}
EOT
$CC -O1 -pthread -o "$tmp/sites" "$tmp/sites.c" || tap_skip_all "no compiler"

preloaded() {
	LD_PRELOAD=$preload "$@"
}

tap_ok "runs" sh -c "LD_PRELOAD='$preload' '$tmp/sites' 2>'$tmp/err'"
tap_ok "headline for what was served" grep -q '^Call sites of memory served (' "$tmp/err"
tap_ok "headline for what was passed" grep -q '^Call sites of memory passed (' "$tmp/err"
tap_ok "bytes and calls of malloc's memory" grep -q '^     1 *7\.8 MiB .* 1 call$' "$tmp/err"
tap_ok "an exported or static function" grep -q '^  *site_of_malloc+0x[0-9a-f]*  *sites+0x' "$tmp/err"
tap_ok "bytes and calls of ten" grep -q '^     2 *3\.9 MiB .* 10 calls$' "$tmp/err"
tap_ok "below main" grep -q '^  *static_site+0x[0-9a-f]*  *sites+0x' "$tmp/err"
tap_ok "bytes and calls of passed ones" grep -q ' 8\.2 MiB .* 7 calls$' "$tmp/err"
tap_ok "where they are" grep -q '^  *site_of_passed+0x[0-9a-f]*  *sites+0x' "$tmp/err"
tap_not "none of our own frames" grep -q 'libllfree-preload' "$tmp/err"

# addr2line takes module and offset.
if command -v addr2line >/dev/null; then
	offset=$(sed -n 's/^ *site_of_passed+.* sites+\(0x.*\)/\1/p' "$tmp/err" | head -n 1)
	addr2line -f -e "$tmp/sites" "$offset" >"$tmp/line"
	tap_ok "addr2line agrees" grep -qx site_of_passed "$tmp/line"
fi

LLFREE_PROFILE_TOP=1 preloaded "$tmp/sites" 2>"$tmp/err"
tap_ok "LLFREE_PROFILE_TOP" \
	test "$(grep -c '^ *[0-9][0-9]* .* calls\{0,1\}$' "$tmp/err")" -eq 2

LLFREE_STATS=json preloaded "$tmp/sites" 2>"$tmp/err"
tap_ok "JSON" grep -q '"profile": {"served": {"sites": ' "$tmp/err"
if perl -MJSON::PP -e 1 2>/dev/null; then
	tap_ok "JSON with a site's function" perl -MJSON::PP -e '
		my $top = decode_json(<>)->{profile}{passed}{top};
		my ($site) = grep { $_->{calls} == 7 } @$top;
		exit !grep { ($_->{function} // "") eq "site_of_passed" &&
			$_->{module} =~ /sites$/ && $_->{offset} > 0 }
			@{$site->{frames}};' "$tmp/err"
fi

LLFREE_STATS_FILE=$tmp/fork-%p preloaded "$tmp/sites" fork
cat "$tmp"/fork-* >"$tmp/err"
tap_ok "parent and child report" test "$(grep -c 'sites, process' "$tmp/err")" -eq 2
tap_ok "the child's sites" grep -q site_of_child "$tmp/err"
tap_ok "the parent's are not the child's" \
	test "$(grep -c static_site "$tmp/err")" -eq 1

LLFREE_STATS_FILE=$tmp/crowd preloaded timeout "$patience" "$tmp/sites" crowd &&
	status=0 || status=$?
tap_ok "threads, signals and forks" test "$status" -eq 0
tap_ok "with a report" grep -q 'site_of_served+' "$tmp/crowd"

# Descriptors are the program's affair.
preloaded ls /proc/self/fd >"$tmp/with" 2>/dev/null
LLFREE_PROFILE=0 preloaded ls /proc/self/fd >"$tmp/with-off" 2>/dev/null
tap_ok "no descriptors for it" diff "$tmp/with-off" "$tmp/with"

# A program that uses exceptions has its own unwinder.
cat >"$tmp/throw.cc" <<'EOT'
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
int main()
{
	for (int i = 0; i < 100; i++) {
		try {
			free(malloc(1 << 20));
			throw std::runtime_error("thrown");
		} catch (const std::exception &e) {
			if (i == 99)
				std::puts(e.what());
		}
	}
}
EOT
if [ -n "$CXX" ] && $CXX -o "$tmp/throw" "$tmp/throw.cc" 2>/dev/null; then
	tap_ok "exceptions" test "$(preloaded "$tmp/throw" 2>/dev/null)" = thrown
else
	tap_skip "exceptions" "no C++ compiler"
fi

tap_done
