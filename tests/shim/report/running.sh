#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# Reports while the program runs: at a signal, and by interval.

. "$srcdir/tests/tap.sh"

# with SETTING... PROGRAM [ARG]...: $tmp/report, $tmp/out
with() {
	rm -f "$tmp/report"
	env LD_PRELOAD="$preload" LLFREE_STATS_FILE="$tmp/report" "$@" \
		>"$tmp/out" 2>&1
}

reports() { # HOW NUMBER
	cat "$tmp/out" "$tmp/report"
	[ "$(grep -cE "\"exit\": *\"($1)\"" "$tmp/report")" -eq "$2" ]
}

twice="kill -USR2 \$\$; kill -USR2 \$\$; echo works"

tap_ok "two signals" with LLFREE_STATS=json LLFREE_STATS_SIGNAL=USR2 \
	sh -c "$twice"
tap_ok "the program works" grep -qx works "$tmp/out"
tap_ok "two reports" reports demand 2
tap_ok "and that at the end" reports "exit|_exit" 1
tap_ok "another signal" with LLFREE_STATS_SIGNAL=USR1 \
	sh -c 'kill -USR1 $$; echo works'
tap_ok "without a report at the end" \
	sh -c "grep -q 'running, by demand' '$tmp/report' &&
		! grep -q 'ended by' '$tmp/report'"
tap_ok "a program with a handler" with LLFREE_STATS=json \
	LLFREE_STATS_SIGNAL=USR2 \
	sh -c "trap 'echo mine' USR2; $twice"
tap_ok "keeps it" sh -c "[ \$(grep -c mine '$tmp/out') -eq 2 ]"
tap_ok "and reports at the end only" reports demand 0
tap_ok "a program that ignores it" with LLFREE_STATS=json \
	LLFREE_STATS_SIGNAL=USR2 \
	sh -c "trap '' USR2; sh -c 'kill -USR2 \$\$; echo works'"
tap_ok "goes on to do so" grep -qx works "$tmp/out"

# How many lines of a file have a word.
cat >"$tmp/count.h" <<'EOT'
#include <stdio.h>
#include <string.h>
static int count(const char *path, const char *word)
{
	FILE *report = fopen(path, "r");
	static char line[1 << 20];
	int n = 0;

	while (report && fgets(line, sizeof(line), report))
		n += strstr(line, word) != NULL;
	if (report)
		fclose(report);
	return n;
}
EOT

# Maps and unmaps until two reports by interval are in the file.
cat >"$tmp/loop.c" <<'EOT'
#include "count.h"
#include <sys/mman.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	while (argc > 1 && count(argv[1], "\"interval\"") < 2) {
		for (int n = 0; n < 20; n++)
			munmap(mmap(0, 65536, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 65536);
		usleep(20000);
	}
	return 0;
}
EOT
# shellcheck disable=SC2086 # a command, perhaps with options
tap_ok "a program" $CC -o "$tmp/loop" "$tmp/loop.c"
tap_ok "reports each second" with LLFREE_STATS=json LLFREE_STATS_INTERVAL=1 \
	"$tmp/loop" "$tmp/report"
tap_ok "and at the end" reports "exit|_exit" 1

# Signals as fast as they can come, to threads that are busy with memory, until
# there are reports of some; two such processes, of which one has closed all that
# was open, and one file.
cat >"$tmp/storm.c" <<'EOT'
#include "count.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
static int stop;
static void *churn(void *arg)
{
	size_t len = 300000;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		char *p = mmap(0, len, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED || p[0] || p[len - 1])
			abort();
		memset(p, 's', len);
		free(malloc(100000));
		munmap(p, len);
	}
	return arg;
}
int main(int argc, char **argv)
{
	pthread_t threads[2];

	for (int fd = 0; fd < 1024 && argc > 2; fd++)
		close(fd);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, churn, NULL);
	for (int i = 0; i < 200 || count(argv[1], "\"demand\"") < 20; i++) {
		pthread_kill(threads[i & 1], SIGUSR2);
		kill(getpid(), SIGUSR2);
		usleep(1000);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
EOT
storm() {
	rm -f "$tmp/report"
	with_storm="env LD_PRELOAD=$preload LLFREE_STATS=json
		LLFREE_STATS_SIGNAL=USR2 LLFREE_STATS_INTERVAL=1
		LLFREE_STATS_FILE=$tmp/report $tmp/storm $tmp/report"
	# shellcheck disable=SC2086 # a command
	{
		$with_storm & other=$!
		$with_storm closed
	}
	status=$?
	wait "$other" || status=$?
	return "$status"
}
# While threads are at work the counters may disagree; not so at the end.
whole() {
	perl -MJSON::PP -ne 'my $r = decode_json($_); $n{$r->{exit}}++;
		die $_ if $r->{exit} eq "exit" && !$r->{balanced};
		END { print "$_: $n{$_}\n" for keys %n;
		      $? ||= $n{exit} != 2 || $n{demand} < 20 }' \
		"$tmp/report"
}
# shellcheck disable=SC2086 # a command, perhaps with options
tap_ok "a busy program" $CC -pthread -o "$tmp/storm" "$tmp/storm.c"
tap_ok "a storm of signals" storm
tap_ok "every report is whole, and the last ones agree" whole
tap_done
