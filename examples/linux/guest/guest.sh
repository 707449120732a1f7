# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# Linux in QEMU, from an initramfs of busybox: . "$srcdir/examples/linux/guest/guest.sh"
# after tap.sh.
#
#   ACCEL  how QEMU runs it (tcg,thread=multi)

busybox=${BUSYBOX:-/bin/busybox}

# need TOOL...: skips the whole script by the name of what is not installed.
need() {
	for tool; do
		command -v "$tool" >"$tmp/which" ||
			tap_skip_all "$tool is not installed"
	done
}

need_busybox() {
	test -x "$busybox" || tap_skip_all "$busybox is not installed"
	! ldd "$busybox" >"$tmp/which" 2>&1 ||
		tap_skip_all "$busybox is not static (Debian: busybox-static)"
}

# initramfs IMAGE SCRIPT [FILE]...: a guest that runs SCRIPT, with the files at
# its root, prints its status and ends.
initramfs() {
	image=$1 script=$2 root=$tmp/root
	shift 2
	rm -rf "$root"
	mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/tmp"
	cp "$busybox" "$root/bin/busybox"
	cp "$srcdir/examples/linux/guest/init" "$root/init"
	chmod 755 "$root/init"
	cp "$script" "$root/script"
	test $# -eq 0 || cp -R "$@" "$root" || return
	(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0) |
		gzip -1 >"$image"
}

# boot KERNEL IMAGE CPUS MIB [PARAMETER]...: the console is in $tmp/console.
# True when the script ended with success. QEMU_OPTIONS may hold more.
boot() {
	kernel=$1 image=$2 cpus=$3 mib=$4
	shift 4
	# shellcheck disable=SC2086 # several options
	timeout "${GUEST_TIMEOUT:-300}" qemu-system-x86_64 \
		-accel "${ACCEL:-tcg,thread=multi}" -cpu max \
		-nodefaults -display none -no-reboot -m "$mib" \
		-smp "$cpus,sockets=$cpus,cores=1" ${QEMU_OPTIONS-} \
		-serial stdio -kernel "$kernel" -initrd "$image" \
		-append "console=ttyS0 quiet panic=-1 $*" \
		</dev/null >"$tmp/console.raw" || echo "QEMU failed: $?"
	tr -d '\r' <"$tmp/console.raw" >"$tmp/console"
	grep -qx 'guest: the script ended with 0' "$tmp/console" || {
		tail -n 40 "$tmp/console"
		return 1
	}
}
