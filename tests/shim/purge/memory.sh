#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT

# The programs that check the contents of their memory, with settings under
# which it is given back all the time, or never.

. "$srcdir/tests/tap.sh"

# passes NAME SETTING...
passes() {
	program=$builddir/tests/shim/$1
	shift
	env LD_PRELOAD="$preload" "$@" "$program" >"$tmp/out" 2>&1 &&
		! grep -q '^not ok' "$tmp/out" && return
	cat "$tmp/out"
	return 1
}

for name in calls/contents calls/mremap calls/unmap concurrency/threads \
	fork/fork; do
	tap_ok "$name, all given back at once" passes $name LLFREE_DECAY_MS=0
	tap_ok "$name, all the time" passes $name LLFREE_DECAY_MS=1
	tap_ok "$name, never" passes $name LLFREE_DECAY_MS=-1
done
for name in calls/contents concurrency/threads; do
	tap_ok "$name, all the time and strictly" \
		passes $name LLFREE_DECAY_MS=1 LLFREE_STRICT=1
done

# agree MS: random calls, compared with the kernel's.
agree() {
	LLFREE_DECAY_MS=$1 "$builddir/tests/shim/differ/differ" \
		--library "$preload" --operations 5000 --seed 7
}
tap_ok "random calls, all given back at once" agree 0
tap_ok "random calls, all the time" agree 1

tap_done
