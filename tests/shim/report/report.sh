#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT

# The report: exactly one for each process that is to give one, in the right
# words, complete, and with figures that agree; and nothing without being asked.

. "$srcdir/tests/tap.sh"

ends=$builddir/tests/shim/report/ends
check() {
	perl "$srcdir/tests/shim/report/report.pl" "$@"
}

# count N FILE: that many reports in it, one a line.
count() {
	n=$(grep -c '^{"version"' "$2")
	test "$n" = "$1" || { echo "$n reports:"; cat "$2"; return 1; }
}

# run HOW STATUS [ENV]...: one report, in $tmp/report.
run() {
	how=$1 status=$2
	shift 2
	rm -f "$tmp/report"
	env "$@" LD_PRELOAD="$preload" LLFREE_STATS=json "$ends" "$how" \
		2>"$tmp/report"
	got=$?
	test "$got" = "$status" || { echo "status $got"; return 1; }
}

# end HOW STATUS EXIT: ends so, with this status, and reports this.
end() {
	run "$1" "$2" && count 1 "$tmp/report" && check "$tmp/report" "$3"
}

tap_ok "return from main" end return 0 exit
tap_ok "exit" end exit 3 exit
tap_ok "_exit" end _exit 4 _exit
tap_ok "_Exit" end _Exit 5 _exit
tap_ok "quick_exit" end quick_exit 6 exit
tap_ok "exit by a thread" end thread 0 exit
tap_ok "children that only execute report nothing" end spawn 0 exit
tap_ok "a child of fork that asks for nothing reports nothing" \
	end idle-fork 0 exit
tap_ok "a program that could not be executed" end exec-nothing 0 exit

symbols() {
	run "$1" "$2" LLFREE_HOOK=symbols && count 1 "$tmp/report" &&
		check "$tmp/report" "$3"
}
for how in "return 0 exit" "exit 3 exit" "_exit 4 _exit" "quick_exit 6 exit"; do
	# shellcheck disable=SC2086 # three words
	tap_ok "by symbols only: ${how%% *}" symbols $how
done

forked() {
	run fork 0 && count 2 "$tmp/report" || return 1
	sed -n 1p "$tmp/report" >"$tmp/child"
	sed -n 2p "$tmp/report" >"$tmp/parent"
	check "$tmp/child" _exit && check "$tmp/parent" exit &&
		grep -q '"served": 200,' "$tmp/child"
}
tap_ok "a child of fork counts from zero" forked

executed() {
	run exec 0 && count 2 "$tmp/report" || return 1
	sed -n 1p "$tmp/report" >"$tmp/first"
	sed -n 2p "$tmp/report" >"$tmp/second"
	check "$tmp/first" exec && grep -q '"program": "ends"' "$tmp/first" &&
		check "$tmp/second" exit &&
		grep -q '"program": "true"' "$tmp/second"
}
tap_ok "a report before another program is executed" executed

killed() {
	run kill 137 && ! test -s "$tmp/report"
}
tap_ok "none from a process that is killed" killed

# Files

to_file() {
	rm -f "$tmp"/to.*
	LD_PRELOAD=$preload LLFREE_STATS=json LLFREE_STATS_FILE=$tmp/to.%n.%p \
		"$ends" fork >"$tmp/out" 2>&1 && ! test -s "$tmp/out" || return 1
	set -- "$tmp"/to.ends.*
	test $# = 2 && check "$1" && check "$2"
}
tap_ok "a file for each process" to_file

one_file() {
	rm -f "$tmp/one"
	for i in 1 2 3; do
		LD_PRELOAD=$preload LLFREE_STATS=json LLFREE_STATS_FILE=$tmp/one \
			"$ends" exit
	done
	count 3 "$tmp/one"
}
tap_ok "reports are appended to a file" one_file

no_file() {
	LD_PRELOAD=$preload LLFREE_STATS=json \
		LLFREE_STATS_FILE=$tmp/none/report "$ends" exit 2>"$tmp/err"
	count 1 "$tmp/err" && test "$(wc -l <"$tmp/err")" = 2
}
tap_ok "a file that cannot be opened: one line, and stderr" no_file

closed() {
	rm -f "$tmp/closed"
	: >"$tmp/other"
	ENDS_OTHER=$tmp/other LD_PRELOAD=$preload LLFREE_STATS=json \
		"$@" "$ends" close >"$tmp/out" 2>"$tmp/err" || return 1
	! test -s "$tmp/other" || { cat "$tmp/other"; return 1; }
}
closed_file() {
	closed env LLFREE_STATS_FILE="$tmp/closed" && check "$tmp/closed" exit
}
tap_ok "a program that closed everything: still in the file" closed_file
tap_ok "or nowhere, least of all in the program's own file" closed env

# A pipe that no one reads, or that someone does.
unread() {
	mkfifo "$tmp/pipe" && limited "$patience" env LD_PRELOAD="$preload" \
		LLFREE_STATS=json LLFREE_STATS_FILE="$tmp/pipe" "$ends" exit \
		2>"$tmp/err"
	test $? = 3 && grep -q 'cannot be opened' "$tmp/err" &&
		count 1 "$tmp/err"
}
read_pipe() {
	cat "$tmp/pipe" >"$tmp/piped" &
	exec 9>"$tmp/pipe"
	LD_PRELOAD=$preload LLFREE_STATS=json LLFREE_STATS_FILE=$tmp/pipe \
		"$ends" exit 9>&-
	exec 9>&-
	wait $!
	count 1 "$tmp/piped"
}
# limited SECONDS COMMAND...: ended by a signal when it takes longer.
limited() {
	(perl -e 'alarm shift; exec @ARGV' "$@")
}
tap_ok "a pipe that no one reads is not waited for" unread
tap_ok "one that someone reads" read_pipe

# For people

text() {
	LD_PRELOAD=$preload LLFREE_STATS=1 "$ends" exit 2>"$tmp/text"
	for word in ends 'ended by exit' served passed 'at the peak' \
		'counters agree'; do
		grep -q "$word" "$tmp/text" ||
			{ echo "no $word"; cat "$tmp/text"; return 1; }
	done
}
tap_ok "a report for people" text

silent() {
	LD_PRELOAD=$preload "$ends" "$1" >"$tmp/out" 2>&1
	! test -s "$tmp/out" || { cat "$tmp/out"; return 1; }
}
for how in return _exit quick_exit fork spawn exec kill; do
	tap_ok "nothing is printed unless asked for: $how" silent $how
done

verbose() {
	LD_PRELOAD=$preload LLFREE_VERBOSE=1 "$ends" 2>"$tmp/verbose"
	grep -q 'LLFREE_ARENA' "$tmp/verbose" && grep -q libc "$tmp/verbose"
}
tap_ok "LLFREE_VERBOSE=1" verbose
tap_done
