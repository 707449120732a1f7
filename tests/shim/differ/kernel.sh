#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT

# Each test of the shim as the kernel alone would have it: passes without the
# library, and prints the same with it.

. "$srcdir/tests/tap.sh"

# same NAME: with and without the library.
same() {
	env -u LD_PRELOAD "$builddir/tests/shim/$1" >"$tmp/kernel" 2>&1 ||
		{ cat "$tmp/kernel"; return 1; }
	LD_PRELOAD=$preload "$builddir/tests/shim/$1" >"$tmp/shim" 2>&1 ||
		{ cat "$tmp/shim"; return 1; }
	diff "$tmp/kernel" "$tmp/shim"
}

for name in calls/advise calls/alter calls/contents calls/errors calls/mremap \
	calls/numbers \
	calls/placed calls/strict calls/unmap \
	concurrency/beside concurrency/signals concurrency/threads \
	fork/fork fork/spawn \
	limits/full limits/guards limits/limits limits/lockall limits/mappings \
	limits/maps \
	purge/decay purge/warm surroundings/sandbox; do
	tap_ok "$name: the same as without the library" same "$name"
done

tap_done
