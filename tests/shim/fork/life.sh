#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# Processes that fork at any moment, become daemons, execute others, and come
# by the hundreds: each one that owes a report writes it, whole and balanced.

. "$srcdir/tests/tap.sh"

ends=$builddir/tests/shim/report/ends
processes=$(size 400 4000)

# with [NAME=VALUE...] COMMAND...: in a folder of its own, reports in
# $tmp/here/report.
with() {
	rm -rf "$tmp/here"
	mkdir "$tmp/here"
	(cd "$tmp/here" && env LD_PRELOAD="$preload" LLFREE_STATS=json \
		LLFREE_STATS_FILE=report "$@")
}

# The file has N reports, and nothing else is left.
reports() { # N
	ls -A "$tmp/here"
	wc -l "$tmp/here/report"
	[ "$(ls -A "$tmp/here")" = report ] &&
		[ "$(wc -l <"$tmp/here/report")" -eq "$1" ] &&
		perl "$srcdir/tests/shim/report/report.pl" "$tmp/here/report"
}

# What each of three threads that are gone, and the one that a handler has
# interrupted, may have had in its hands: a region of 600 pages that it was about
# to move, another one for it, and free frames of a tree to give back.
in_hands=$((4 * (2 * 600 + 4096)))
forked() {
	[ "$(wc -l <"$tmp/here/report")" -gt 5 ] &&
		perl "$srcdir/tests/shim/report/report.pl" "$tmp/here/report" "" \
			"$in_hands"
}
tap_ok "forks while threads map and unmap" \
	with "$builddir/tests/shim/fork/forks"
tap_ok "each child is balanced, and has lost a little at most" forked

tap_ok "a program executed by a thread" with "$ends" thread-exec
tap_ok "two reports" reports 2
tap_ok "one that is not there" with "$ends" thread-exec-nothing
tap_ok "one report" reports 1

# The parents end at once; the daemon does so some time later.
daemon() {
	with "$ends" daemon
	eventually two_or_more
}
two_or_more() {
	[ "$(wc -l <"$tmp/here/report")" -ge 2 ]
}
tap_ok "a daemon, which has gone elsewhere and closed everything" daemon
tap_ok "reports where it was started" reports 2

# Two at a time, all into one file, whose name stands in each report: so these
# are long.
long=report
while [ ${#long} -lt 2000 ]; do
	long=./$long
done
crowd() {
	with LLFREE_STATS_FILE="$long" sh -c 'i=0
		while [ $i -lt "$2" ]; do
			"$1" exit & "$1" _exit; i=$((i + 1))
			wait $!
		done; exit 0' - "$ends" $((processes / 2))
}
tap_ok "hundreds of short processes" crowd
tap_ok "as many whole reports" reports $((processes + 1))
tap_done
