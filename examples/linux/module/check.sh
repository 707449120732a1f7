#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# Builds the module of this folder for Debian's kernel and runs it there, in a
# virtual machine. It prints TAP; make check-linux runs it, and by hand:
#
#   sh examples/linux/module/check.sh
#
# CSV and plots are left in check-linux/ of the build tree.
#
#   KERNEL  the release, of which image and headers are installed

srcdir=${srcdir:-$(cd "$(dirname "$0")/../../.." && pwd)}
builddir=${builddir:-$PWD}
. "$srcdir/tests/tap.sh"
. "$srcdir/examples/linux/guest/guest.sh"
results=$builddir/check-linux
work=$results/module

# The newest kernel that has an image and headers, and is made for this.
installed_kernel() {
	for image in /boot/vmlinuz-*-cloud-amd64; do
		release=${image#/boot/vmlinuz-}
		test -r "$image" && test -d "/lib/modules/$release/build" &&
			echo "$release"
	done | sort -V | tail -n 1
}

case $(uname -m) in
x86_64) ;;
*) tap_skip_all "a guest for x86-64" ;;
esac
need qemu-system-x86_64 make gcc cpio gzip
need_busybox
KERNEL=${KERNEL:-$(installed_kernel)}
test -n "$KERNEL" || tap_skip_all \
	"no linux-image-cloud-amd64 with linux-headers-cloud-amd64"

build() {
	mkdir -p "$work" || return
	echo "include $srcdir/examples/linux/module/Kbuild" >"$work/Kbuild"
	make -C "/lib/modules/$KERNEL/build" M="$work" LLFREE="$srcdir" \
		WERROR=-Werror modules >"$work/build.log" 2>&1 || {
		cat "$work/build.log"
		return 1
	}
	! grep -iE 'warning' "$work/build.log" | grep -v 'BTF'
}

source_is_clean() {
	! find "$srcdir/lib" "$srcdir/examples/linux" "$srcdir/examples/bare" \
		\( -name '*.o' -o -name '.*.cmd' \) -newer "$work/Kbuild" |
		grep -v '/\.libs/' | grep .
}

# guest CPUS TASK...: each task is a line of parameters of the module. LOGLEVEL
# says what reaches the console at once.
guest() {
	cpus=$1
	shift
	printf '%s\n' "$@" >"$tmp/tasks"
	initramfs "$tmp/image" "$srcdir/examples/linux/module/guest-script" \
		"$work/llfree.ko" "$tmp/tasks" || return
	boot "/boot/vmlinuz-$KERNEL" "$tmp/image" "$cpus" 1024 \
		init_on_alloc=0 oops=panic "loglevel=${LOGLEVEL:-4}" || return
	test "$(grep -cx 'done' "$tmp/console")" -eq $#
}

# table NAME: its rows, from the console to a file.
table() {
	sed -n "s/^csv $1,//p" "$tmp/console" >"$results/$1.csv"
	test "$(wc -l <"$results/$1.csv")" -gt 1
}

stress() { # CPUS
	guest "$1" "do=stress mib=256 rounds=20000"
}

found() { # TEXT PARAMETER
	! LOGLEVEL=7 guest 2 "do=stress mib=128 rounds=1000 $2" &&
		grep -F "llfree: $1" "$tmp/console" &&
		grep -F 'Kernel panic - not syncing: llfree: ' "$tmp/console"
}

# One processor of which each instruction takes one nanosecond.
count_instructions() {
	ACCEL=tcg,thread=single QEMU_OPTIONS="-icount shift=0,sleep=off" \
		guest 1 "do=instructions mib=256" && table instructions
}

# In instructions, whatever the machine: a fifth above what was seen.
instructions_bounded() {
	awk -F, '
		BEGIN {
			most["0,get"] = 280; most["0,put"] = 280; most["0,pair"] = 550
			most["9,get"] = 560; most["9,put"] = 250; most["9,pair"] = 490
			most["10,get"] = 1600; most["10,put"] = 920; most["10,pair"] = 1930
		}
		function check(name, n) {
			if (n > 0 && n <= most[$1 "," name]) return
			print "order " $1 ", " name ": " n " instructions, at most " \
				most[$1 "," name]
			bad = 1
		}
		$2 == "llfree" {
			check("get", $3); check("put", $4); check("pair", $5); rows++
		}
		END { exit bad || rows != 3 }' "$results/instructions.csv"
}

measure() {
	GUEST_TIMEOUT=900 guest 8 "do=bench mib=256" "do=frag mib=256" &&
		table bench && table frag
}

# Of the possible huge frames after 100 rounds, in percent.
fragmentation_bounded() {
	awk -F, '$1 == "llfree" && $2 == 100 { llfree = $5 }
		$1 == "kernel" && $2 == 100 { kernel = $5 }
		END { exit !(llfree >= 60 && llfree > kernel) }' \
		"$results/frag.csv"
}

plot() {
	gnuplot -e "folder='$results'" \
		"$srcdir/examples/linux/module/plot.gp" &&
		test -s "$results/module.svg"
}

tap_ok "builds for $KERNEL without a warning" build
tap_ok "the source tree stays clean" source_is_clean
for cpus in 1 4 8; do
	tap_ok "stress on $cpus processors" stress $cpus
	sed -n '/^processors/,/^repeated/s/^/# /p' "$tmp/console"
done
tap_ok "a block that is put twice is found" \
	found "cannot put what is held" mistake=1
tap_ok "a block that is forgotten is found" found "free frames: " mistake=2
tap_ok "instructions are counted" count_instructions
tap_ok "a call takes so many instructions at most" instructions_bounded
sed 's/^/# /' "$results/instructions.csv"
tap_ok "workloads on 1 to 8 processors, LLFree and the kernel" measure
tap_ok "free memory is in huge frames again" fragmentation_bounded
if command -v gnuplot >"$tmp/which"; then
	tap_ok "a page of plots" plot
else
	tap_skip "a page of plots" "gnuplot is not installed"
fi
tap_done
