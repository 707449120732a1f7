# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What the checks of this folder share, after tap.sh. The status of QEMU is that
# of machine_exit: 33 for success, 35 for a check that failed.
#
#   ACCEL  how QEMU runs it (tcg,thread=multi)

case $(uname -m) in
x86_64) ;;
*) tap_skip_all "a kernel for x86-64" ;;
esac
for tool in "${CC:-gcc}" ld qemu-system-x86_64; do
	command -v "${tool%% *}" >"$tmp/which" ||
		tap_skip_all "$tool is not installed"
done

build() { # FILE...
	sh "$srcdir/examples/bare/build.sh" "$srcdir" "$tmp/kernel" "$@"
}

# qemu CPUS PARAMETER...: in place of the shell. QEMU_OPTIONS has more options,
# LIMIT a command that runs it.
qemu() {
	cpus=$1
	shift
	# shellcheck disable=SC2086 # several options
	exec ${LIMIT-} qemu-system-x86_64 -nodefaults -display none -no-reboot \
		-accel "${ACCEL:-tcg,thread=multi}" -cpu max -smp "$cpus" \
		-serial stdio -device isa-debug-exit,iobase=0xf4,iosize=4 \
		-kernel "$tmp/kernel" -append "cpus=$cpus $*" $QEMU_OPTIONS \
		</dev/null >"$tmp/console"
}

# Runs a machine until it ends itself; true when that is with success.
boot() { # CPUS PARAMETER...
	status=0
	(LIMIT="timeout 300" && qemu "$@") || status=$?
	cat "$tmp/console"
	echo "# QEMU's status: $status"
	test "$status" -eq 33 && grep -qx '# done' "$tmp/console"
}
