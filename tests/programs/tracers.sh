#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# Programs under strace and gdb, which are preloaded themselves.

. "$srcdir/tests/programs/program.sh"

needs strace gdb sort
# A sandbox may forbid tracing.
strace -o /dev/null true 2>/dev/null || tap_skip_all "tracing not allowed"

prepare() {
	seq 300000 >"$in/numbers"
}

run() {
	strace -f -o trace sort --parallel=2 -S 50M -r "$in/numbers" |
		sha256sum
	grep -c 'exited with 0' trace
	gdb -q -nx -batch -ex 'set startup-with-shell off' \
		-ex 'break exit' -ex "run -rn $in/numbers >/dev/null" \
		-ex 'print 6 * 7' -ex continue sort </dev/null 2>/dev/null |
		grep -c '= 42'
}

program_test 'strace'
