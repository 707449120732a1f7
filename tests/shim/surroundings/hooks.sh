#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# Calls inside libc are caught in programs that map memory by malloc only.

. "$srcdir/tests/tap.sh"

export LLFREE_STATS=json
unset LLFREE_HOOK LLFREE_STATS_FILE

# report NAME PROGRAM [ARG]...: the report of a run is $tmp/NAME.
report() {
	file=$tmp/$1
	shift
	LD_PRELOAD=$preload LLFREE_STATS_FILE=$file "$@" >/dev/null
}

# served NAME LEAST: bytes of memory served in the report.
served() {
	bytes=$(sed -n 's/.*"mmap": {"served": [0-9]*, "served_bytes": \([0-9]*\).*/\1/p' \
		"$tmp/$1")
	echo "$bytes bytes served, at least $2 wanted"
	[ "$bytes" -ge "$2" ]
}

heap_served() {
	grep -q '"brk": true.*"brk": {"served": [1-9]' "$tmp/$1"
}

# tested NAME PROGRAM [ARG]...: needs 40 MB from malloc.
tested() {
	name=$1
	if ! command -v "$2" >/dev/null; then
		tap_skip "$2" "not installed"
		return
	fi
	shift
	tap_ok "$name: runs" report "$name" "$@"
	tap_ok "$name: all hooks" grep -q '"hooks": {"libc": true' "$tmp/$name"
	tap_ok "$name: memory of malloc" served "$name" 40000000
	tap_ok "$name: its heap" heap_served "$name"
	LLFREE_HOOK=symbols tap_ok "$name: runs by symbols" \
		report "$name-symbols" "$@"
	tap_ok "$name: no hooks" grep -q '"libc": false.*"why_not": "LLFREE_HOOK=symbols"' \
		"$tmp/$name-symbols"
	tap_not "$name: and little memory" served "$name-symbols" 40000000
}

tested perl perl -e 'my $x = "x" x 40000000;'
tested sqlite3 sqlite3 :memory: \
	'select length(randomblob(40000000));'
# 2^26 characters
double='BEGIN { x = "x"; for (i = 0; i < 26; i++) x = x x; print length(x) }'
tested awk awk "$double"
tested sort sort -S 100M /dev/null

LLFREE_HOOK=libc tap_ok "without the heap: runs" report no-heap awk "$double"
tap_ok "without the heap: said" \
	grep -q '"libc": true, "brk": false, "why_not": "brk: not wanted"' \
	"$tmp/no-heap"
tap_not "without the heap: not served" heap_served no-heap

# A constructor that uses the heap. Ours is before it, in whatever order they
# are named, unless it asks to be the first: a heap that exists stays where it is.
cat >"$tmp/used.c" <<'EOT'
#include <stdlib.h>
#include <string.h>
static char *early;
__attribute__((constructor)) static void begin(void)
{
	early = memset(malloc(1000), 'e', 1000);
}
__attribute__((destructor)) static void end(void)
{
	for (int i = 0; i < 1000; i++)
		if (early[i] != 'e')
			abort();
	free(early);
}
EOT
build_used() { # FILE [ARGUMENT]
	$CC -O1 -shared -fPIC -o "$tmp/$1" "$tmp/used.c" ${2:+"$2"} 2>"$tmp/err"
}
with_used() { # REPORT LIBRARIES
	LD_PRELOAD=$2 LLFREE_STATS_FILE=$tmp/$1 awk "$double" >"$tmp/out"
}
if build_used later.so && build_used first.so -Wl,-z,initfirst; then
	tap_ok "a heap used by a later constructor: works" \
		with_used later "$preload:$tmp/later.so"
	tap_ok "a heap used by a later constructor: served" heap_served later
	tap_ok "a library named before ours: works" \
		with_used before "$tmp/later.so:$preload"
	tap_ok "a library named before ours: its heap is served" \
		heap_served before
	tap_ok "a heap in use: works" with_used in-use "$preload:$tmp/first.so"
	tap_ok "a heap in use: left alone, and said" \
		grep -q '"libc": true, "brk": false, "why_not": "brk: in use before us"' \
		"$tmp/in-use"
else
	tap_skip "a heap used by constructors" "no compiler"
fi

# libc's _exit is ours too: no destructor runs in this program.
cat >"$tmp/leave.c" <<'EOT'
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	(void)argv;
	if (argc == 1)
		quick_exit(4);
	if (argc == 2)
		_exit(4);
	if (argc == 3)
		_Exit(4);
	exit(4);
}
EOT
if $CC -o "$tmp/leave" "$tmp/leave.c" 2>"$tmp/err"; then
	for args in "" a "a b" "a b c"; do
		rm -f "$tmp/report"
		# shellcheck disable=SC2086
		LD_PRELOAD=$preload LLFREE_STATS_FILE=$tmp/report \
			"$tmp/leave" $args && status=0 || status=$?
		tap_ok "exit status, way '$args'" test "$status" -eq 4
		tap_ok "one report, way '$args'" \
			test "$(wc -l <"$tmp/report")" -eq 1
	done
else
	tap_skip "ways to exit" "no compiler"
fi

# Another library patches mmap, before us or after.
cat >"$tmp/patch.c" <<'EOT'
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#include <dlfcn.h>
#include <sys/syscall.h>

static void *theirs(void *addr, size_t len, int prot, int flags, int fd,
		    off_t offset)
{
	return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset);
}

__attribute__((constructor)) static void patch(void)
{
	void *libc = dlopen("libc.so.6", RTLD_NOLOAD | RTLD_LAZY);
	uint8_t *code = dlsym(libc, "mmap");
	uintptr_t page = (uintptr_t)code / 4096 * 4096;
	uintptr_t target = (uintptr_t)theirs;

	mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC);
	code[0] = 0xff; /* jmp *0(%rip) */
	code[1] = 0x25;
	*(uint32_t *)(code + 2) = 0;
	*(uintptr_t *)(code + 6) = target;
}
EOT
build_patch() { # FILE [ARGUMENT]
	$CC -O1 -shared -fPIC -o "$tmp/$1" "$tmp/patch.c" ${2:+"$2"} 2>"$tmp/err"
}
patched() { # LIBRARY WHY
	LD_PRELOAD=$preload:$tmp/$1 LLFREE_STATS_FILE=$tmp/$1.report \
		awk "$double" >"$tmp/out"
	tap_ok "patched by $1: works" grep -qx 67108864 "$tmp/out"
	tap_ok "patched by $1: said" \
		grep -q '"libc": false.*"why_not": "mmap: '"$2" "$tmp/$1.report"
}
if [ "$(uname -m)" != x86_64 ]; then
	tap_skip "patched by another library" "the test is for x86-64"
elif build_patch before.so -Wl,-z,initfirst && build_patch after.so; then
	patched before.so "already patched"
	patched after.so "overwritten since"
else
	tap_skip "patched by another library" "no compiler"
fi

# Threads that run before us.
cat >"$tmp/thread.c" <<'EOT'
#include <pthread.h>
#include <stdlib.h>
static volatile int stop;
static void *work(void *arg)
{
	while (!stop)
		free(malloc(1 << 20));
	return arg;
}
static pthread_t thread;
__attribute__((constructor)) static void begin(void)
{
	pthread_create(&thread, 0, work, 0);
}
__attribute__((destructor)) static void end(void)
{
	stop = 1;
	pthread_join(thread, 0);
}
EOT
if $CC -O1 -shared -fPIC -Wl,-z,initfirst -pthread -o "$tmp/thread.so" \
	"$tmp/thread.c" 2>"$tmp/err"; then
	LD_PRELOAD=$preload:$tmp/thread.so LLFREE_STATS_FILE=$tmp/threads \
		awk "$double" >"$tmp/out"
	tap_ok "a thread before us: works" grep -qx 67108864 "$tmp/out"
	tap_ok "a thread before us: what is not safe is left alone" \
		grep -q '"libc": false.*mmap: ' "$tmp/threads"
else
	tap_skip "a thread before us" "no compiler"
fi

tap_done
