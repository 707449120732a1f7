#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# Builds the kernel of this folder and runs it in QEMU, on 1, 4 and 8 virtual
# processors. It prints TAP; make check-linux runs it, and by hand:
#
#   sh examples/bare/check.sh
#
#   ROUNDS  steps on each processor (20000)

srcdir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
builddir=${builddir:-$PWD}
. "$srcdir/tests/tap.sh"
. "$srcdir/examples/bare/qemu.sh"

stress() { # CPUS MACHINE
	QEMU_OPTIONS="-m 256 -M $2" boot "$1" "rounds=${ROUNDS:-20000}"
}

# The machine ends by its own check, whose message this is.
found() { # TEXT PARAMETER
	! QEMU_OPTIONS="-m 256" boot 2 rounds=1000 "$2" &&
		test "$status" -eq 35 && grep -qF "$1" "$tmp/console"
}

tap_ok "builds" build kernel.c stress.c
for cpus in 1 4 8; do
	tap_ok "stress on $cpus processors" stress $cpus pc
	sed '/^# done/d' "$tmp/console"
done
tap_ok "stress where memory has a hole of 4 GiB" \
	stress 4 pc,max-ram-below-4g=64M
tap_ok "a block that is put twice is found" \
	found "cannot put what is held" mistake=1
tap_ok "a block that is forgotten is found" found "free frames: " mistake=2
tap_done
