#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT

# The list is whole after each kill, and what was lost on the way is free.

. "$srcdir/tests/tap.sh"

run() {
	"$builddir/examples/persistent" "$tmp/pool"
}

# By its own process number: libtool's wrapper becomes the program by exec.
killed() { # SECONDS
	"$builddir/examples/persistent" "$tmp/pool" work >"$tmp/out" 2>&1 &
	pid=$!
	eventually grep -q entries "$tmp/out"
	sleep "$1"
	kill -9 "$pid"
	wait "$pid"
	test $? -eq 137 && cat "$tmp/out"
}

found() { # HOW
	run >"$tmp/out" && cat "$tmp/out" &&
		grep -Eq "^$1: [1-9][0-9]* entries are there" "$tmp/out"
}

# On a busy machine it may have been killed before it had an entry.
killed_and_recovered() { # SECONDS
	killed "$1" && found recovered
}

tap_ok "makes a pool" run
for pause in 0.01 0.03 0.1; do
	tap_ok "killed after $pause s of work, is recovered" \
		eventually killed_and_recovered "$pause"
	tap_ok "is closed properly then" found closed
done
printf 'x' | dd of="$tmp/pool" bs=1 seek=40 conv=notrunc 2>"$tmp/dd"
cp "$tmp/pool" "$tmp/damaged"
tap_not "a damaged pool is refused" run
tap_ok "and left as it is" cmp "$tmp/pool" "$tmp/damaged"
tap_done
