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

srcdir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
builddir=${builddir:-$PWD}
. "$srcdir/tests/tap.sh"
. "$srcdir/examples/bare/qemu.sh"
kills=${KILLS:-40}
seed=${SEED:-$(date +%s)}
QEMU_OPTIONS="-m 128,slots=1,maxmem=1G -M pc,nvdimm=on -device nvdimm,memdev=pool \
	-object memory-backend-file,id=pool,share=on,size=64M,mem-path=$tmp/pool"

new_pool() {
	rm -f "$tmp/pool" && truncate -s 64M "$tmp/pool"
}

# Seconds until each kill, the same for the same seed. Some machines still start
# and recover then.
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
	(qemu 4 "$@") &
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
	new_pool && kill_at 3 mistake=1 && ! boot 4 check=1 &&
		test "$status" -eq 35 &&
		grep -F 'frames are allocated that no call asked for' \
			"$tmp/console"
}

CPPFLAGS=-DPERSISTENT
export CPPFLAGS
tap_ok "builds" build pool.c
tap_ok "$kills kills, each recovered by the next start" kill_again_and_again
echo "# seed $seed"
tap_ok "what is left is good" boot 4 check=1
sed '/^# done/d' "$tmp/console"
tap_ok "machines were killed at work" killed_at_work
tap_ok "a put that is forgotten is found" mistake_is_found
tap_done
