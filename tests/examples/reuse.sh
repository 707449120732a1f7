#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT

. "$srcdir/tests/tap.sh"

faults() { # FILE
	sed -n 's/.* \([0-9]*\) page faults$/\1/p' "$1"
}

# The kernel provides 1000 * 16 pages anew; reused ones cause no fault.
fewer() {
	cat "$tmp/plain" "$tmp/shim"
	[ "$(faults "$tmp/plain")" -ge 16000 ] && [ "$(faults "$tmp/shim")" -lt 1600 ]
}

reuse() { # OUTPUT VARIABLE=VALUE...
	out=$1
	shift
	env "$@" "$builddir/examples/reuse" 64 1000 >"$tmp/$out"
}

tap_ok "runs on the kernel's memory" reuse plain
tap_ok "runs under the library" reuse shim LD_PRELOAD="$preload"
tap_ok "a tenth of the page faults, at most" fewer
for kib in 4 12 2048 2052; do
	tap_ok "$kib KiB, fresh memory is zero" \
		env LD_PRELOAD="$preload" "$builddir/examples/reuse" "$kib" 300
done
tap_done
