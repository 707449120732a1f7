#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT

# Beside other preloaded libraries, in set-user-ID programs, with bad settings.

. "$srcdir/tests/tap.sh"

early=$builddir/tests/shim/surroundings/.libs/early-library.so
contents=$builddir/tests/shim/calls/contents
ends=$builddir/tests/shim/report/ends

# ends_well LIST HOW: the libraries in this order.
ends_well() {
	LD_PRELOAD="$1" "$ends" "$2" >"$tmp/out" 2>&1
	status=$?
	cat "$tmp/out"
	test "$status" = 0 && grep -qx 'the end' "$tmp/out"
}
tap_ok "a constructor before ours, a destructor after ours" \
	ends_well "$preload $early" return
tap_ok "the other way round" ends_well "$early $preload" return

# again HOW: a constructor starts the program once more.
again() {
	EARLY_EXEC=$1 ends_well "$preload $early" return &&
		EARLY_EXEC=$1 ends_well "$early $preload" return
}
tap_ok "a constructor that calls execv" again execv
tap_ok "one that calls execvp" again execvp

balanced() {
	LD_PRELOAD="$1" LLFREE_STATS=json "$ends" return \
		>"$tmp/out" 2>"$tmp/report"
	perl "$srcdir/tests/shim/report/report.pl" "$tmp/report" exit
}
tap_ok "what a constructor mapped is counted" balanced "$preload $early"
tap_ok "also the other way round" balanced "$early $preload"

# beside LIBRARY: before and after ours. Some have a mmap of their own, so
# whether memory comes from the arena depends.
beside() {
	SHIM_TEST_UNSERVED=1
	export SHIM_TEST_UNSERVED
	for list in "$preload $1" "$1 $preload"; do
		LD_PRELOAD=$list "$contents" >"$tmp/out" ||
			{ cat "$tmp/out"; return 1; }
		LD_PRELOAD=$list "$builddir/tests/shim/concurrency/threads" >"$tmp/out" ||
			{ cat "$tmp/out"; return 1; }
		LD_PRELOAD=$list "$builddir/tests/shim/fork/fork" >"$tmp/out" ||
			{ cat "$tmp/out"; return 1; }
	done
}
for name in jemalloc mimalloc tcmalloc_minimal; do
	library=$(ldconfig -p 2>/dev/null | sed -n "s|.* => \(.*/lib$name\.so.*\)|\1|p" | head -n 1)
	if test -n "$library"; then
		tap_ok "with $name, before and after" beside "$library"
	else
		tap_skip "with $name, before and after" "not installed"
	fi
done

# Bad settings: one line that names them, and the program runs.
bad() {
	env LD_PRELOAD="$preload" "LLFREE_$1=$2" "$ends" return \
		>"$tmp/out" 2>"$tmp/err" || return 1
	cat "$tmp/err"
	test "$(wc -l <"$tmp/err")" = 1 && grep -q "LLFREE_$1" "$tmp/err" &&
		! test -s "$tmp/out"
}
for name in STATS VERBOSE PROFILE PROFILE_TOP HOOK ARENA MAX_REGION STRICT; do
	tap_ok "LLFREE_$name=nonsense" bad $name nonsense
done

# A program that is linked with the library and belongs to someone else ignores
# the environment.
linked() {
	# shellcheck disable=SC2086 # CC may have arguments
	$CC -D_GNU_SOURCE -I"$srcdir" "$srcdir/tests/shim/report/ends.c" \
		-o "$tmp/linked" "$preload" -lpthread \
		-Wl,--no-as-needed -Wl,-rpath,"$(dirname "$preload")" &&
		chown nobody "$tmp/linked" && chmod 4755 "$tmp/linked" &&
		chmod 755 "$tmp"
}
secure() {
	LLFREE_STATS=1 "$tmp/linked" exit 2>"$tmp/err"
	test $? = 3 && ! test -s "$tmp/err"
}
# No file either, where anyone may make one; nor what a bad value brings about.
no_file() {
	mkdir "$tmp/any" && chmod 777 "$tmp/any" || return
	LLFREE_STATS=json LLFREE_STATS_FILE=$tmp/any/report \
		LLFREE_STATS_INTERVAL=1 LLFREE_VERBOSE=1 LLFREE_ARENA=nonsense \
		"$tmp/linked" fork >"$tmp/out" 2>&1
	test $? = 0 && ls -A "$tmp/any" && test -z "$(ls -A "$tmp/any")" &&
		! test -s "$tmp/out"
}
insecure() {
	chmod 755 "$tmp/linked"
	LLFREE_STATS=1 "$tmp/linked" exit 2>"$tmp/err"
	test $? = 3 && grep -q 'counters agree' "$tmp/err"
}
file() {
	LLFREE_STATS=json LLFREE_STATS_FILE=$tmp/any/report "$tmp/linked" fork
	test "$(wc -l <"$tmp/any/report")" = 2
}
if test "$(id -u)" = 0 && id nobody >/dev/null 2>&1 && linked; then
	tap_ok "a set-user-ID program ignores the settings" secure
	tap_ok "and writes no file" no_file
	tap_ok "the same program without that does not" insecure
	tap_ok "and writes one" file
else
	tap_skip "a set-user-ID program ignores the settings" "not root"
fi
tap_done
