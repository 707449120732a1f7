#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# Puts the allocator into Linux 6.1 and 6.12 in place of the buddy allocator,
# builds these kernels from Debian's sources and works on them in a virtual
# machine. It prints TAP; make check-linux runs it, and by hand:
#
#   sh examples/linux/mm/check.sh
#
# Kernels (3 GiB), CSV and plots are left in check-linux/ of the build tree.
#
#   VERSIONS  of Linux (6.1 6.12)
#   KEEP      yes: take the kernels of an earlier run
#   BOOT      no: only rename, and compile mm/
#   JOBS      of make (the number of processors, at most 2)

srcdir=${srcdir:-$(cd "$(dirname "$0")/../../.." && pwd)}
builddir=${builddir:-$PWD}
. "$srcdir/tests/tap.sh"
. "$srcdir/examples/linux/guest/guest.sh"
results=$builddir/check-linux
mm=$srcdir/examples/linux/mm
processors=$(nproc)
jobs=${JOBS:-$((processors < 2 ? processors : 2))}

case $(uname -m) in
x86_64) ;;
*) tap_skip_all "a kernel for x86-64" ;;
esac
need gcc make perl flex bison bc xz
echo '#include <gelf.h>' | gcc -E - >"$tmp/which" 2>&1 ||
	tap_skip_all "libelf-dev is not installed"
if test "${BOOT:-yes}" = yes; then
	need qemu-system-x86_64 cpio gzip
	need_busybox
fi

# ---------------------------------------------------------------------------
# Building

# What this kernel needs of its source: no drivers of hardware, but all Kconfig.
unpack() {
	rm -rf "$work"
	mkdir -p "$work/source" "$work/build"
	tar xf "/usr/src/linux-source-$version.tar.xz" -C "$work/source" \
		--strip-components=1 --wildcards \
		--exclude='*/Documentation/*/*' --exclude='*/sound/*/*.[ch]' \
		--exclude='*/drivers/gpu/*.[ch]' --exclude='*/drivers/net/*.[ch]' \
		--exclude='*/drivers/media/*.[ch]' \
		--exclude='*/drivers/staging/*.[ch]' \
		--exclude='*/tools/testing/*' --exclude='*/tools/perf/*' \
		--exclude='*/arch/*/boot/dts/*'
}

kmake() {
	make -C "$work/source" O="$work/build" -j"$jobs" "$@" \
		>"$work/log" 2>&1 || {
		tail -n 30 "$work/log"
		return 1
	}
	! grep -i 'warning:' "$work/log"
}

# configure [LINE]...: tiny.config, and these lines instead of it.
configure() {
	cp "$mm/tiny.config" "$tmp/config"
	for line; do
		sed -i "/^${line%%=*}=/d" "$tmp/config"
		echo "$line" >>"$tmp/config"
	done
	kmake KCONFIG_ALLCONFIG="$tmp/config" allnoconfig
}

# All that the file asks for is there, and was not dropped by a dependency.
configured() {
	configure || return
	grep '^CONFIG' "$mm/tiny.config" >"$tmp/wanted"
	! grep -vxF -f "$work/build/.config" "$tmp/wanted"
}

hooked='page_alloc vmstat compaction'

compile_before() {
	configure || return
	for file in $hooked; do
		kmake "mm/$file.o" && cp "$work/build/mm/$file.o" "$work" ||
			return
	done
}

graft() {
	perl "$mm/graft.pl" "$srcdir" "$work/source"
}

# The same bytes, with all of it in the source and turned off.
compile_off() {
	configure CONFIG_LLFREE=n || return
	for file in $hooked; do
		kmake "mm/$file.o" &&
			cmp "$work/build/mm/$file.o" "$work/$file.o" || return
	done
}

compile_on() {
	kmake mm/
}

image() {
	kmake bzImage
}

# A name without a definition stops it.
graft_refuses() {
	mkdir -p "$tmp/kernel/mm" &&
		cp "$work/source/Makefile" "$tmp/kernel" &&
		cp "$work/source/mm/Makefile" "$work/source/mm/Kconfig" \
			"$work/source/mm/vmstat.c" \
			"$work/source/mm/compaction.c" "$tmp/kernel/mm" &&
		sed 's/rmqueue_buddy/rmqueue_other/' \
			"$work/source/mm/page_alloc.c" \
			>"$tmp/kernel/mm/page_alloc.c" || return
	! perl "$mm/graft.pl" "$srcdir" "$tmp/kernel" 2>"$tmp/message" &&
		grep 'rmqueue_buddy has no definitions' "$tmp/message"
}

# ---------------------------------------------------------------------------
# Guests

# guest CPUS MIB PARAMETERS COMMAND...
guest() {
	cpus=$1 mib=$2 parameters=$3
	shift 3
	printf '%s\n' "$@" >"$tmp/tasks"
	initramfs "$tmp/image" "$mm/guest-script" "$tmp/tasks" "$tmp/work" \
		"$tmp/cc1" "$tmp/lib" "$tmp/lib64" "$tmp/source.i" || return
	# shellcheck disable=SC2086 # several parameters
	boot "$work/build/arch/x86/boot/bzImage" "$tmp/image" "$cpus" "$mib" \
		oops=panic $parameters
}

# The compiler proper, its libraries, and something to compile.
prepare() {
	gcc -O2 -static -o "$tmp/work" "$srcdir/examples/linux/guest/work.c" &&
		cp "$(gcc -print-prog-name=cc1)" "$tmp/cc1" &&
		mkdir -p "$tmp/lib" "$tmp/lib64" || return
	ldd "$tmp/cc1" | grep -o '/[^ ]*' | while read -r library; do
		case $library in
		/lib64/*) cp -L "$library" "$tmp/lib64" ;;
		*) cp -L "$library" "$tmp/lib" ;;
		esac || return
	done
	gcc -E -P -I"$srcdir" -I"$srcdir/include" -I"$srcdir/lib/platform" \
		"$srcdir/lib/llfree.c" >"$tmp/source.i" &&
		"$tmp/cc1" -fpreprocessed -quiet -O2 -o "$tmp/source.s" \
			"$tmp/source.i"
}

contents() { # CPUS
	guest "$1" 256 '' "/work contents $((2 * $1)) 3"
}

compilers() {
	guest 4 1024 LD_LIBRARY_PATH=/lib compile || return
	sum=$(md5sum <"$tmp/source.s")
	test "$(grep -c "^${sum%% *}  /tmp/[1-7].s" "$tmp/console")" -eq 7
}

out_of_memory() {
	guest 4 256 '' '/work oom 5' '/work contents 4 1' &&
		test "$(sed -n 's/^oom_kill //p' "$tmp/console")" -ge 5
}

huge_pages() {
	guest 2 256 '' '/work huge 64' '/work contents 4 1' || return
	grep '^huge pages:' "$tmp/console" >"$tmp/huge"
	cat "$tmp/huge"
	grep -qx 'huge pages: 32 of 32' "$tmp/huge"
}

# Both allocators, of one binary: SIDE is llfree or buddy, TABLE the rows that
# it prints.
measure() { # SIDE TABLE COMMAND
	parameter=''
	test "$1" = llfree || parameter=llfree=0
	guest 1 256 "$parameter" "$3" &&
		sed -n "s/^csv $2,/$1,/p" "$tmp/console" \
			>>"$results/linux-$version-$2.csv"
}

measure_frag() {
	rm -f "$results/linux-$version-frag.csv"
	for side in llfree buddy; do
		measure "$side" frag '/work frag 85 100' || return
		sed -n "s/^huge pages:/# $side: huge pages of a process then:/p" \
			"$tmp/console" >>"$tmp/then"
	done
}

# One processor of which each instruction takes one nanosecond.
measure_instructions() {
	rm -f "$results/linux-$version-instructions.csv"
	for side in llfree buddy; do
		ACCEL=tcg,thread=single \
			QEMU_OPTIONS="-icount shift=0,sleep=off" \
			measure "$side" instructions instructions || return
	done
}

# Against the buddy allocator of the same binary, a fifth above what was seen at
# order 0, a tenth above the same beyond, where preparing pages is nearly all.
instructions_bounded() {
	awk -F, '$1 == $3 { pair[$1 "," $2] = $6 }
		function within(order, factor) {
			return pair["llfree," order] > 0 && \
				pair["llfree," order] <= factor * pair["buddy," order]
		}
		END { exit !(within(0, 2) && within(9, 1.1) && within(10, 1.1)) }' \
		"$results/linux-$version-instructions.csv"
}

# 60 % of what is possible for LLFree, and no more than at first for the buddy.
frag_bounded() {
	awk -F, '$2 == 0 { first[$1] = $5 } $2 == 100 { last[$1] = $5 }
		{ print }
		END {
			exit !(last["llfree"] >= 60 &&
				last["buddy"] <= first["buddy"] + 10 &&
				last["buddy"] < last["llfree"])
		}' "$results/linux-$version-frag.csv" >"$tmp/rows" || {
		grep -E ',(0|100),' "$tmp/rows"
		return 1
	}
}

lost_is_found() {
	! guest 4 256 llfree_mistake=1 '/work contents 8 2' &&
		grep 'llfree: zone .*: free frames: ' "$tmp/console"
}

twice_is_found() {
	! guest 4 256 llfree_mistake=2 '/work contents 8 2' &&
		grep -E 'llfree: |work: |Bad page|BUG' "$tmp/console"
}

plot() {
	gnuplot -e "folder='$results'; version='$version'" "$mm/plot.gp" &&
		test -s "$results/linux-$version-frag.svg"
}

# ---------------------------------------------------------------------------

build() {
	tap_ok "$version: unpacks" unpack
	tap_ok "$version: compiles as it is" compile_before
	tap_ok "$version: a definition that is missing is noticed" graft_refuses
	tap_ok "$version: renames" graft
	tap_ok "$version: CONFIG_LLFREE=n gives the same object" compile_off
	tap_ok "$version: the configuration is what it asks for" configured
	tap_ok "$version: compiles mm/ without a warning" compile_on
}

boots() {
	before=$tap_failed
	tap_ok "$version: builds a kernel" image
	test "$tap_failed" -eq "$before" || return 0
	for cpus in 1 4 8; do
		tap_ok "$version: fork, copy on write, tmpfs, pipes, $cpus processors" \
			contents $cpus
	done
	tap_ok "$version: seven compilers write what the host's does" compilers
	tap_ok "$version: out of memory, processes are killed" out_of_memory
	tap_ok "$version: transparent huge pages" huge_pages
	tap_ok "$version: instructions are counted" measure_instructions
	tap_ok "$version: a call takes so many instructions at most" \
		instructions_bounded
	sed 's/^/# /' "$results/linux-$version-instructions.csv"
	rm -f "$tmp/then"
	tap_ok "$version: fragmentation is measured" measure_frag
	tap_ok "$version: free memory is in huge frames again" frag_bounded
	grep -E '^[a-z]+,(0|50|100),' "$results/linux-$version-frag.csv" |
		sed 's/^/# /'
	cat "$tmp/then"
	tap_ok "$version: lost pages are found" lost_is_found
	tap_ok "$version: pages that are handed out twice are found" \
		twice_is_found
	if command -v gnuplot >"$tmp/which"; then
		tap_ok "$version: a plot of fragmentation" plot
	else
		tap_skip "$version: a plot" "gnuplot is not installed"
	fi
}

if test "${BOOT:-yes}" = yes; then
	tap_ok "programs for the guests" prepare
fi
for version in ${VERSIONS:-6.1 6.12}; do
	if test ! -r "/usr/src/linux-source-$version.tar.xz"; then
		tap_skip "Linux $version" "linux-source-$version is not installed"
		continue
	fi
	work=$results/linux-$version
	test "${KEEP-}" = yes || build
	test "${BOOT:-yes}" != yes || boots
done
tap_done
