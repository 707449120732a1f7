#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2086 # lists of flags

# The core without a C library: compiled freestanding with a platform header of
# its own it needs memcpy and memset, and works.

. "$srcdir/tests/tap.sh"

flags="-std=gnu11 -O2 -ffreestanding -nostdlib -Wall -Wextra -Werror"
include="-I$srcdir/tests/unit/lib/freestanding -I$srcdir -I$srcdir/include"

# The core: lib/ without the folders below it.
sources() {
	find "$srcdir/lib" -maxdepth 1 -name '*.c'
}

# COMPILER [OPTION]...: every source of the core in one object
compile() {
	rm -f "$tmp"/*.o
	for f in $(sources); do
		"$@" $flags $include -c "$f" \
			-o "$tmp/$(basename "$f" .c).o" || return
	done
	"$1" -nostdlib -r -o "$tmp/core.o" "$tmp"/*.o
}

# Nothing of the system's headers came in.
no_libc_header() { # COMPILER
	for f in $(sources); do
		"$@" $flags $include -M "$f" >"$tmp/deps" || return
		! grep -E '/(stdio|stdlib|string|unistd|pthread)\.h' "$tmp/deps" ||
			return
	done
}

symbols() {
	nm -u "$tmp/core.o" >"$tmp/undefined" || return
	! grep -Evw 'memcpy|memset' "$tmp/undefined"
}

works() { # COMPILER
	"$@" -std=c11 -O1 -I"$srcdir/include" \
		"$srcdir/tests/unit/lib/test_compat.c" "$tmp/core.o" \
		-o "$tmp/works" && "$tmp/works"
}

for cc in gcc clang; do
	if ! command -v $cc >"$tmp/which"; then
		tap_skip "freestanding, $cc" "$cc is not installed"
		continue
	fi
	tap_ok "compiles, $cc" compile $cc
	tap_ok "needs memcpy and memset only, $cc" symbols
	tap_ok "works in a program, $cc" works $cc
	tap_ok "includes no system header, $cc" no_libc_header $cc
done
cross=aarch64-linux-gnu-gcc
if command -v $cross >"$tmp/which"; then
	tap_ok "compiles, $cross" compile $cross -mno-outline-atomics
	tap_ok "needs memcpy and memset only, $cross" symbols
else
	tap_skip "freestanding, $cross" "$cross is not installed"
fi
tap_done
