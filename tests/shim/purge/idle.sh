#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# With a background thread: reports on time, short processes, programs that
# check what they get, and why there is none where there is none.

. "$srcdir/tests/tap.sh"

LLFREE_BACKGROUND=1 LLFREE_DECAY_MS=1
export LLFREE_BACKGROUND LLFREE_DECAY_MS

# with SETTING... PROGRAM [ARG]...: $tmp/out, $tmp/err
with() {
	env LD_PRELOAD="$preload" "$@" >"$tmp/out" 2>"$tmp/err"
}

says() {
	cat "$tmp/err"
	grep -q "$1" "$tmp/err"
}

# sleeps_until NUMBER PATTERN SETTING...: a program that sleeps, and asks for
# nothing meanwhile, until so many lines of its reports have the pattern.
sleeps_until() {
	number=$1 pattern=$2
	shift 2
	env LD_PRELOAD="$preload" LLFREE_STATS_INTERVAL=1 "$@" sleep 100000 \
		2>"$tmp/err" &
	eventually has_said
	status=$?
	cat "$tmp/err"
	kill $!
	wait $!
	return "$status"
}
has_said() {
	[ "$(grep -c "$pattern" "$tmp/err")" -ge "$number" ]
}
tap_ok "a program that sleeps reports each second" \
	sleeps_until 2 '"exit": *"interval"' LLFREE_STATS=json
tap_ok "and names the thread" says '"background": "running"'
tap_ok "also without statistics, in its report" \
	sleeps_until 1 '^Background thread: running' LLFREE_DECAY_MS=-1

quick() {
	for i in $(seq 200); do
		with sh -c '(exit 3); exit 7'
		[ $? -eq 7 ] && [ ! -s "$tmp/err" ] || return
	done
}
tap_ok "200 short processes, and as many children" quick

tap_ok "nothing to do" with LLFREE_VERBOSE=1 LLFREE_DECAY_MS=-1 true
tap_ok "is a reason" says "background thread: there is nothing to do for it"
tap_ok "no address space" sh -c \
	"ulimit -v 200000; LLFREE_VERBOSE=1 LD_PRELOAD='$preload' sleep 0 2>'$tmp/err'"
tap_ok "as well" says "background thread: nothing is served"

# passes NAME [SETTING]...
passes() {
	program=$builddir/tests/shim/$1
	shift
	with "$@" "$program" && ! grep -q '^not ok' "$tmp/out" && return
	cat "$tmp/out" "$tmp/err"
	return 1
}
for name in calls/contents calls/heap calls/mremap calls/placed calls/unmap \
	concurrency/beside concurrency/jumps concurrency/races \
	concurrency/signals concurrency/threads fork/fork fork/spawn \
	limits/lockall surroundings/sandbox; do
	tap_ok "$name" passes $name
done
tap_ok "strictly" passes calls/contents LLFREE_STRICT=1

agree() {
	"$builddir/tests/shim/differ/differ" --library "$preload" \
		--operations 5000 --seed 9
}
tap_ok "random calls agree with the kernel's" agree
tap_done
