#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2086 # lists of flags

# Core and tests, compiled and run for every size that a tree can have.

. "$srcdir/tests/tap.sh"

tests="test_values test_init test_getput test_range test_bulk test_trees
test_classes test_debug test_traps test_traps_undo test_recover"

echo '#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>' >"$tmp/probe.c"
$CC -fsyntax-only "$tmp/probe.c" 2>"$tmp/probe" ||
	tap_skip_all "no cmocka (Debian: libcmocka-dev)"

build() { # ORDER
	flags="-std=gnu11 -O1 -DLLFREE_TREE_CHILDREN_ORDER=$1 -pthread
		-Wall -Wextra -Werror
		-I$srcdir -I$srcdir/include -I$srcdir/lib/platform"
	rm -rf "${tmp:?}/$1"
	mkdir "$tmp/$1"
	cd "$tmp/$1" || return
	$CC $flags -c "$srcdir"/lib/*.c "$srcdir"/lib/platform/*.c \
		"$srcdir/tests/unit/lib/fixture.c" \
		"$srcdir/tests/unit/lib/threads.c" || return
	for t in $tests; do
		$CC $flags "$srcdir/tests/unit/lib/$t.c" ./*.o -lcmocka -o "$t" ||
			return
	done
	$CC $flags "$srcdir"/tests/fuzz/*.c ./*.o -lcmocka -o fuzz
}

run() { # ORDER TEST [ARG]...
	program=$tmp/$1/$2
	shift 2
	LLFREE_TEST_SIZE=short "$program" "$@"
}

# One size in make check; CI has the default and 9 as well.
for order in $(size 0 '0 1 2 3 4 5 6 7 8 9'); do
	tap_ok "order $order compiles" build $order
	for t in $tests; do
		tap_ok "order $order, $t" run $order "$t"
	done
	tap_ok "order $order, fuzz" run $order fuzz --random 500 1
	rm -rf "${tmp:?}/$order"
done
tap_done
