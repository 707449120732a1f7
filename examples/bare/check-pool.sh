#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# A machine whose pool is in persistent memory, a file of the host, is killed at
# random moments; the next one recovers the pool and checks it, see pool.c. It
# prints TAP; make check-linux runs it, and by hand:
#
#   sh examples/bare/check-pool.sh
#
#   KILLS  how many (40)
#   SEED   of the moments (the time)
#   ACCEL  how QEMU runs it (tcg,thread=multi)

srcdir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
builddir=${builddir:-$PWD}
. "$srcdir/tests/tap.sh"
kills=${KILLS:-40}
seed=${SEED:-$(date +%s)}

case $(uname -m) in
x86_64) ;;
*) tap_skip_all "a kernel for x86-64" ;;
esac
for tool in "${CC:-gcc}" ld qemu-system-x86_64; do
	command -v "${tool%% *}" >"$tmp/which" ||
		tap_skip_all "$tool is not installed"
done

build() {
	CPPFLAGS=-DPERSISTENT sh "$srcdir/examples/bare/build.sh" "$srcdir" \
		"$tmp/kernel" pool.c
}

new_pool() {
	rm -f "$tmp/pool" && truncate -s 64M "$tmp/pool"
}

# What boot and start have in common.
qemu() { # PARAMETER...
	exec qemu-system-x86_64 -nodefaults -display none -no-reboot \
		-accel "${ACCEL:-tcg,thread=multi}" -cpu max \
		-M pc,nvdimm=on -m 128,slots=1,maxmem=1G -smp 4 \
		-object memory-backend-file,id=pool,share=on,size=64M,mem-path="$tmp/pool" \
		-device nvdimm,memdev=pool -serial stdio \
		-device isa-debug-exit,iobase=0xf4,iosize=4 \
		-kernel "$tmp/kernel" -append "cpus=4 $*" \
		</dev/null >"$tmp/console"
}

# A machine that checks the pool and ends: QEMU's status is 33 when all is well.
pool_is_good() {
	status=0
	(qemu check=1) || status=$?
	cat "$tmp/console"
	test "$status" -eq 33 && grep -qx '# done' "$tmp/console"
}

# Milliseconds for each kill, the same for the same seed: half of them while it
# still starts and recovers, on an idle machine.
moments() {
	awk -v seed="$seed" -v kills="$1" 'BEGIN {
		srand(seed)
		while (kills--) printf "%.3f\n", 0.1 + rand() * rand() * 2
	}'
}

# A machine that found something wrong has ended before it is killed.
kill_at() { # SECONDS PARAMETER...
	moment=$1
	shift
	(qemu "$@") &
	machine=$!
	sleep "$moment"
	kill -KILL "$machine" 2>"$tmp/gone" || {
		cat "$tmp/console"
		return 1
	}
	wait "$machine"
	! grep -E 'panic|frame|#.*: [0-9]' "$tmp/console" |
		grep -vE '^# (starts|calls|frames owned): '
}

kill_again_and_again() {
	new_pool || return
	for moment in $(moments "$kills"); do
		kill_at "$moment" || return
	done
}

# Enough machines came as far as to work.
count_of() { # NAME
	sed -n "s/^# $1: //p" "$tmp/console"
}

killed_at_work() {
	echo "$(count_of starts) starts, $(count_of calls) calls"
	test "$(count_of starts)" -ge $((kills / 4)) &&
		test "$(count_of calls)" -ge "$kills"
}

mistake_is_found() {
	new_pool && kill_at 3 mistake=1 && ! pool_is_good &&
		test "$status" -eq 35 &&
		grep -F 'frames are allocated that no call asked for' \
			"$tmp/console"
}

tap_ok "builds" build
tap_ok "$kills kills, each recovered by the next start" kill_again_and_again
echo "# seed $seed"
tap_ok "what is left is good" pool_is_good
sed '/^# done/d' "$tmp/console"
tap_ok "machines were killed at work" killed_at_work
tap_ok "a put that is forgotten is found" mistake_is_found
tap_done
