#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT

# Surroundings in which little works: the program ends as it would without the
# library, whatever becomes of the report.

. "$srcdir/tests/tap.sh"

ends=$builddir/tests/shim/report/ends

# well COMMAND...: ends with 3, as `ends exit` does.
well() {
	"$@"
	status=$?
	echo "status $status"
	[ "$status" -eq 3 ]
}

# with SETTING... COMMAND...
with() {
	env LD_PRELOAD="$preload" "$@"
}

agrees() {
	grep -q 'counters agree' "$1"
}

# ---------------------------------------------------------------------------
# Files

if [ -c /dev/full ]; then
	tap_ok "a full disk" \
		well with LLFREE_STATS=1 LLFREE_STATS_FILE=/dev/full "$ends" exit
else
	tap_skip "a full disk" "no /dev/full"
fi

to_stderr() {
	well with LLFREE_STATS=1 LLFREE_STATS_FILE="$1" "$ends" exit \
		2>"$tmp/err" && agrees "$tmp/err" &&
		grep -q "^llfree: LLFREE_STATS_FILE=.*cannot be opened" "$tmp/err"
}
tap_ok "a folder that is not there" to_stderr "$tmp/nowhere/report"
tap_ok "a folder" to_stderr "$tmp"

read_only() {
	unshare -m sh -c '
		mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 77
		cd "$1" && LD_PRELOAD=$2 LLFREE_STATS=1 LLFREE_STATS_FILE=report \
			"$3" exit' - "$tmp/ro" "$preload" "$ends" 2>"$tmp/err"
	status=$?
	cat "$tmp/err"
	[ "$status" -eq 3 ] && agrees "$tmp/err"
}
mkdir "$tmp/ro"
if unshare -m mount --bind "$tmp/ro" "$tmp/ro" 2>/dev/null; then
	tap_ok "a read-only file system" read_only
else
	tap_skip "a read-only file system" "may not mount"
fi

# A disk with room for the file, but for nothing in it.
full() {
	unshare -m sh -c 'mount -t tmpfs -o size=64k none "$1" || exit 77
		cd "$1" && cat /dev/zero >filler 2>/dev/null
		LD_PRELOAD=$2 LLFREE_STATS=json LLFREE_STATS_FILE=report \
			LLFREE_STATS_SIGNAL=USR1 "$3" exit
		status=$?; ls -l; exit $status' - "$tmp/ro" "$preload" "$ends"
}
if unshare -m mount -t tmpfs none "$tmp/ro" 2>/dev/null; then
	tap_ok "a full file system" well full
else
	tap_skip "a full file system" "may not mount"
fi

# Without a limit the report is a few kilobytes.
short_files() {
	(
		ulimit -f 1
		well with LLFREE_STATS=json LLFREE_STATS_FILE="$tmp/short" \
			"$ends" exit
	)
}
tap_ok "files limited to less than a report" short_files

tap_ok "all descriptors closed" \
	well sh -c 'LD_PRELOAD=$1 LLFREE_STATS=1 exec "$2" exit <&- >&- 2>&-' \
	- "$preload" "$ends"
few_descriptors() {
	well sh -c 'ulimit -n 4; LD_PRELOAD=$1 LLFREE_STATS=1 exec "$2" exit' \
		- "$preload" "$ends" 2>"$tmp/err"
	status=$?
	cat "$tmp/err"
	[ "$status" -eq 0 ] && agrees "$tmp/err"
}
tap_ok "four descriptors in all" few_descriptors

# ---------------------------------------------------------------------------
# A folder as the root, without /proc, /sys and /dev

fill_root() {
	mkdir -p "$tmp/root" || return
	for file in "$ends" "$preload" $(
		ldd "$ends" "$preload" | grep -o '/[^ :]*' | sort -u
	); do
		[ -f "$file" ] || continue
		mkdir -p "$tmp/root/${file%/*}" &&
			cp -L "$file" "$tmp/root/$file" || return
	done
}
in_root() {
	well chroot "$tmp/root" "$ends" exit 2>"$tmp/err"
	status=$?
	cat "$tmp/err"
	[ "$status" -eq 0 ] && agrees "$tmp/err" &&
		grep -Eq 'served from the arena +[1-9]' "$tmp/err"
}
if [ "$(id -u)" -eq 0 ] && fill_root; then
	export LD_PRELOAD="$preload" LLFREE_STATS=1
	tap_ok "a root without /proc" in_root
	unset LD_PRELOAD LLFREE_STATS
else
	tap_skip "a root without /proc" "not root"
fi

# ---------------------------------------------------------------------------
# Memory

# Served by the kernel alone, and the report says why.
off_because() {
	well sh -c 'ulimit -v $((100 << 10)); SHIM_TEST_UNSERVED=1 \
		LD_PRELOAD=$1 LLFREE_STATS=1 exec "$2" exit' \
		- "$preload" "$ends" 2>"$tmp/err"
	status=$?
	cat "$tmp/err"
	[ "$status" -eq 0 ] &&
		grep -q "Nothing was served: the address space is limited" \
			"$tmp/err"
}
tap_ok "100 MiB of address space" off_because

# Where the kernel promises only what it has. What it then charges is tested by
# limits as well, wherever it runs.
promised() {
	for name in calls/contents calls/heap concurrency/threads fork/fork \
		limits/limits; do
		with "$builddir/tests/shim/$name" || return
	done
}
if [ "$(cat /proc/sys/vm/overcommit_memory)" = 2 ]; then
	tap_ok "no overcommit" promised
else
	tap_skip "no overcommit" "a setting of the machine: vm.overcommit_memory=2"
fi

# A group of processes that may have 48 MiB, of which one needs 30 at a time,
# again and again, and in pieces of all sizes. With an argument it is wrong.
cat >"$tmp/rounds.c" <<'EOT'
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv)
{
	static char *p[MIB << 8];
	volatile char *gone = malloc(9);
	free((char *)gone);
	if (argc > 1)
		return gone[3] ? 4 : 5;
	for (size_t piece = 4096; piece <= 16 << 20; piece *= 4)
		for (int round = 0; round < 4; round++) {
			size_t n = (MIB << 20) / piece;
			for (size_t i = 0; i < n; i++)
				memset(p[i] = malloc(piece), 'm', piece);
			for (size_t i = 0; i < n; i++)
				free(p[i]);
		}
	return 3;
}
EOT
group=
for folder in /sys/fs/cgroup/memory /sys/fs/cgroup; do
	[ -n "$group" ] && break
	mkdir "$folder/llfree-$$" 2>/dev/null || continue
	group=$folder/llfree-$$
	for file in memory.limit_in_bytes memory.max; do
		echo $((48 << 20)) 2>/dev/null >"$group/$file" && break
	done || { rmdir "$group"; group=; }
done
in_group() {
	well sh -c 'echo $$ >"$1/cgroup.procs" && LD_PRELOAD=$2 exec "$3"' \
		- "$group" "$preload" "$tmp/rounds"
}
if [ -z "$group" ]; then
	tap_skip "a group of 48 MiB" "no control group can be made"
elif $CC -O1 -DMIB=30 -o "$tmp/rounds" "$tmp/rounds.c" 2>"$tmp/err"; then
	tap_ok "a group of 48 MiB" in_group
else
	tap_skip "a group of 48 MiB" "no compiler"
fi
[ -z "$group" ] || rmdir "$group"

# ---------------------------------------------------------------------------
# Programs built with a sanitizer, whose library has to come first where it is
# shared; and under valgrind

quickly() {
	timeout -k 5 "$patience" "$@"
}

sanitized() { # PRELOADED
	quickly env LD_PRELOAD="$1" LLFREE_STATS=1 "$tmp/sanitized" \
		>"$tmp/out" 2>"$tmp/err"
	status=$?
	cat "$tmp/err"
	[ "$status" -eq 3 ] &&
		grep -q "Nothing was served: the program was built with" \
			"$tmp/err"
}

# What is wrong in a program is still found.
finds() { # PRELOADED
	quickly env LD_PRELOAD="$1" "$tmp/sanitized" wrong 2>"$tmp/err"
	status=$?
	cat "$tmp/err"
	[ "$status" -gt 5 ] || [ "$status" -eq 1 ] &&
		grep -qE '(ERROR|WARNING): [A-Z][a-z]*Sanitizer' "$tmp/err"
}

sanitizer() { # NAME COMPILER KIND
	# shellcheck disable=SC2086 # a compiler may have arguments
	if ! $2 -fsanitize="$3" -O1 -DMIB=5 -o "$tmp/sanitized" \
		"$tmp/rounds.c" 2>"$tmp/err"; then
		tap_skip "$1" "no such compiler"
	elif ! well quickly "$tmp/sanitized" >"$tmp/err" 2>&1; then
		tap_skip "$1" "does not run here by itself"
	else
		runtime=$(ldd "$tmp/sanitized" |
			sed -n 's|.* => \(/.*/lib[at]san\.so[^ ]*\) .*|\1|p')
		tap_ok "$1" sanitized "$runtime $preload"
		tap_ok "$1 finds what is wrong" finds "$runtime $preload"
	fi
}

for kind in address thread; do
	sanitizer "$CC -fsanitize=$kind" "$CC" $kind
done
for kind in address thread memory; do
	sanitizer "clang-14 -fsanitize=$kind" clang-14 $kind
done

checked() {
	quickly env LD_PRELOAD="$preload" LLFREE_STATS=1 \
		valgrind -q --error-exitcode=9 "$tmp/rounds" "$@" 2>"$tmp/err"
	status=$?
	cat "$tmp/err"
}
well_checked() {
	checked
	[ "$status" -eq 3 ] && agrees "$tmp/err" &&
		! grep -q 'Invalid' "$tmp/err"
}
wrong_checked() {
	checked wrong
	[ "$status" -eq 9 ] && grep -q 'Invalid read of size 1' "$tmp/err"
}
# Valgrind 3.19 gives up at what clang 14 writes.
unreadable() {
	quickly env LD_PRELOAD="$preload" valgrind -q "$(command -v true)" 2>&1 |
		grep -q 'debuginfo reader'
}
if ! command -v valgrind >/dev/null; then
	tap_skip "under valgrind" "not installed"
elif unreadable; then
	tap_skip "under valgrind" "it cannot read the library's debug information"
elif $CC -g -O1 -DMIB=5 -o "$tmp/rounds" "$tmp/rounds.c" 2>"$tmp/err"; then
	tap_ok "under valgrind" well_checked
	tap_ok "valgrind finds what is wrong" wrong_checked
else
	tap_skip "under valgrind" "no compiler"
fi

# ---------------------------------------------------------------------------
# A sandbox that kills for calls that an allocator does not make

sandboxed() {
	LD_PRELOAD=$preload LLFREE_STATS=json LLFREE_STATS_FILE="$tmp/box" \
		"$builddir/tests/shim/surroundings/sandbox" || return
	boxes
}
# Of the program, of two that it forked, and of two that it started.
boxes() {
	echo "$(wc -l <"$tmp/box") reports:"
	cat "$tmp/box"
	[ "$(wc -l <"$tmp/box")" -eq 5 ] &&
		[ "$(grep -c '"balanced": true' "$tmp/box")" -eq 5 ]
}
sandboxed_to_stderr() {
	LD_PRELOAD=$preload LLFREE_STATS=json \
		"$builddir/tests/shim/surroundings/sandbox" 2>"$tmp/box" || return
	boxes
}
if grep -q '^Seccomp:.*0' /proc/self/status; then
	tap_ok "reports from a sandbox" sandboxed
	tap_ok "reports from a sandbox to stderr" sandboxed_to_stderr
else
	tap_skip "reports from a sandbox" "no sandboxes, or in one already"
fi
tap_done
