#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT

. "$srcdir/tests/tap.sh"

run() {
	sh "$srcdir/examples/compare/compare.sh" --quick >"$tmp/out" 2>&1
}

row() { # NAME
	cat "$tmp/out"
	grep -Eq "^ *$1 +[0-9.]+ \(.*\) +[0-9.]+ +[0-9]+ +[0-9.]+$" "$tmp/out"
}

export builddir
tap_ok "runs" run
for name in "glibc" "glibc on LLFree" "jemalloc" "jemalloc on LLFree" \
	"jemalloc, retain:false" "the same on LLFree"; do
	if [ "${name#glibc}" = "$name" ] && grep -q '^left out: jemalloc' "$tmp/out"; then
		tap_skip "$name" "jemalloc not installed"
	else
		tap_ok "$name" row "$name"
	fi
done
tap_not "a row without an environment is refused" \
	"$builddir/examples/compare/compare" 1 100 'row'
tap_done
