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
#   ACCEL   how QEMU runs it (tcg,thread=multi)

srcdir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
builddir=${builddir:-$PWD}
. "$srcdir/tests/tap.sh"
rounds=${ROUNDS:-20000}

case $(uname -m) in
x86_64) ;;
*) tap_skip_all "a kernel for x86-64" ;;
esac
for tool in "${CC:-gcc}" ld qemu-system-x86_64; do
	command -v "${tool%% *}" >"$tmp/which" ||
		tap_skip_all "$tool is not installed"
done

# boot CPUS MACHINE PARAMETER...: what it printed is in $tmp/console, and true
# when it ended itself with success: QEMU's status is 33 then, 35 without.
boot() {
	cpus=$1 machine=$2
	shift 2
	status=0
	timeout 300 qemu-system-x86_64 -nodefaults -display none -no-reboot \
		-accel "${ACCEL:-tcg,thread=multi}" -cpu max -M "$machine" \
		-m 256 -smp "$cpus" -serial stdio \
		-device isa-debug-exit,iobase=0xf4,iosize=4 \
		-kernel "$tmp/kernel" -append "cpus=$cpus $*" \
		>"$tmp/console" || status=$?
	cat "$tmp/console"
	echo "# QEMU's status: $status"
	return $((status != 33))
}

stress() { # CPUS MACHINE
	boot "$1" "$2" "rounds=$rounds" && grep -qx '# done' "$tmp/console"
}

# The kernel ends by its own check, whose message this is.
found() { # TEXT PARAMETER...
	text=$1
	shift
	! boot 2 pc rounds=1000 "$@" && test "$status" -eq 35 &&
		grep -qF "$text" "$tmp/console"
}

tap_ok "builds" sh "$srcdir/examples/bare/build.sh" "$srcdir" "$tmp/kernel" \
	kernel.c stress.c
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
