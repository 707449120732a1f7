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

for name in advise alter beside contents decay errors fork full guards limits lockall \
	mappings maps mremap placed sandbox signals spawn strict \
	threads unmap warm; do
	tap_ok "$name: the same as without the library" same "$name"
done

tap_done
