#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2086 # lists of flags

# The persistent layout is the same whoever compiles: a program of one compiler
# must be able to open what that of another wrote.

. "$srcdir/tests/tap.sh"

dump() { # NAME COMPILER OPTION...
	out=$tmp/$1
	shift
	"$@" -std=gnu11 -I"$srcdir" -I"$srcdir/include" \
		-I"$srcdir/lib/platform" "$srcdir/tests/unit/lib/layout.c" \
		"$srcdir"/lib/*.c "$srcdir"/lib/*/*.c -o "$out.exe" &&
		"$out.exe" >"$out" && test -s "$out"
}

tap_ok "as built here" dump first $CC -O0
for cc in "gcc -O2" "gcc -Os -funsigned-bitfields" "clang -O2" "clang -O0"; do
	if ! command -v "${cc%% *}" >"$tmp/which"; then
		tap_skip "$cc" "it is not installed"
		continue
	fi
	tap_ok "$cc compiles" dump other $cc
	tap_ok "$cc has the same bytes" cmp "$tmp/first" "$tmp/other"
done
tap_done
