#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# Random calls by the kernel and by the library, DIFFER_OPERATIONS of them, other
# ones for another DIFFER_SEED; and that a difference would be found, made short,
# and printed as a program.

. "$srcdir/tests/tap.sh"

differ=$builddir/tests/shim/differ/differ
: "${DIFFER_OPERATIONS:=$(size 20000 200000)}" "${DIFFER_SEED:=1}"

agree() {
	"$differ" --library "$preload" --operations "$DIFFER_OPERATIONS" \
		--seed "$DIFFER_SEED"
}

# A library whose madvise does nothing.
wrong_library() {
	echo 'int madvise(void *at, unsigned long len, int advice)
	{ return at && len && advice == 4 ? 0 : 0; }' >"$tmp/wrong.c" &&
		$CC -shared -fPIC "$tmp/wrong.c" -o "$tmp/wrong.so"
}

found() {
	"$differ" --library "$tmp/wrong.so" --operations 2000 --seed 19 \
		--length 100 >"$tmp/found"
	test $? -eq 1 && cat "$tmp/found"
}

short() {
	test "$(grep -c '^	' "$tmp/found")" -lt 30
}

# The printed program shows what it was printed for.
program() {
	sed -n '/^\/\*/,/^}/p' "$tmp/found" >"$tmp/found.c" &&
		$CC -D_GNU_SOURCE -I"$srcdir" "$tmp/found.c" \
			"$srcdir/tests/shim/differ/replay.c" -pthread \
			-o "$tmp/program" &&
		"$tmp/program" >"$tmp/kernel" &&
		LD_PRELOAD="$tmp/wrong.so" "$tmp/program" >"$tmp/wrong" &&
		! cmp "$tmp/kernel" "$tmp/wrong"
}

tap_ok "a library that is wrong" wrong_library
tap_ok "is found" found
tap_ok "made short" short
tap_ok "as a program" program
tap_ok "what is not compared is listed" \
	sh -c "'$differ' --help | grep after-unmap"
tap_ok "$DIFFER_OPERATIONS operations: the kernel and the library agree" agree
tap_done
