#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2086 # lists of flags

# The public headers as programs meet them: strict C11, C++17, on their own.

. "$srcdir/tests/tap.sh"

strict='-Wall -Wextra -Wpedantic -Werror'

# Without the flags of this build, such as a sanitizer's.
compile_lib() {
	mkdir "$tmp/lib" && cd "$tmp/lib" &&
		$CC -std=gnu11 -O1 -c -I"$srcdir" -I"$srcdir/include" \
			-I"$srcdir/lib/platform" \
			"$srcdir"/lib/*.c "$srcdir"/lib/*/*.c
}

alone() { # COMPILER OPTION...
	for header in llfree.h llfree_pool.h llfree_types.h; do
		echo "#include <$header>" | "$@" $strict \
			-I"$srcdir/include" -fsyntax-only - || return
	done
}

compat() { # COMPILER
	"$@" -std=c11 $strict -O1 -I"$srcdir/include" \
		"$srcdir/tests/unit/lib/test_compat.c" "$tmp"/lib/*.o \
		-o "$tmp/compat" && "$tmp/compat"
}

cxx() { # COMPILER
	"$@" -std=c++17 $strict -O1 -I"$srcdir/include" \
		"$srcdir/tests/unit/lib/header.cc" "$tmp"/lib/*.o \
		-o "$tmp/header" && "$tmp/header"
}

tap_ok "the library compiles by hand" compile_lib
for cc in gcc clang; do
	if ! command -v $cc >"$tmp/which"; then
		tap_skip "C11 with $cc" "$cc is not installed"
		continue
	fi
	tap_ok "headers alone, C11, $cc" alone $cc -std=c11 -xc
	tap_ok "a program in strict C11, $cc" compat $cc
done
for cc in g++ clang++; do
	if ! command -v $cc >"$tmp/which"; then
		tap_skip "C++17 with $cc" "$cc is not installed"
		continue
	fi
	tap_ok "headers alone, C++17, $cc" alone $cc -std=c++17 -xc++
	tap_ok "a program in C++17, $cc" cxx $cc
done
tap_done
