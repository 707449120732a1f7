# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# Real programs with and without the preload library. A test script says
#
#   . "$srcdir/tests/programs/program.sh"
#   needs COMMAND...    the rest is skipped when one is not installed
#   prepare() { ... }   writes inputs to $in; never under the library; optional
#   run() { ... }       the work, in an empty directory, always the same path
#   program_test NAME   NAME: what the main program is called in its report
#
# run() is called once without and once with the library, which then is
# preloaded into all it starts. Output, errors and exit status have to be
# equal byte for byte: run() fixes seeds, dates and thread counts itself and
# prints checksums of the files that it makes. Then the reports of all the
# processes have to balance, and of what each program could have been served
# 95 % were, or share_wanted, which a script sets for a reason that it gives.
#
# n=$(size 1000 100000) is how much a test does, here and in make check-long.

. "$srcdir/tests/tap.sh"

work=$srcdir/tests/programs/work
in=$tmp/in
reports=$tmp/reports
share_wanted=95
status_wanted=0

needs() {
	for command; do
		command -v "$command" >/dev/null ||
			tap_skip_all "$command not installed"
	done
}

prepare() {
	:
}

# random_lines NUMBER: the same ones each time.
random_lines() {
	awk -v lines="$1" 'BEGIN {
		for (i = x = 1; i <= lines; i++) {
			x = (x * 16807) % 2147483647
			printf "%d\tline %d\t%d\n", x, i, x % 1000
		}
	}'
}

# once NAME: one run; NAME.out, NAME.err and NAME.status are what came of it.
once() {
	rm -rf "$tmp/run"
	mkdir "$tmp/run"
	status=0
	(
		cd "$tmp/run" || exit
		if [ "$1" = shim ]; then
			export LD_PRELOAD="$preload" LLFREE_STATS=json \
				LLFREE_STATS_FILE="$reports/%n.%p"
		fi
		run
	) >"$tmp/$1.out" 2>"$tmp/$1.err" </dev/null || status=$?
	echo "$status" >"$tmp/$1.status"
}

same() {
	cmp "$tmp/plain.$1" "$tmp/shim.$1" && return
	diff -a "$tmp/plain.$1" "$tmp/shim.$1" | head -n 20
	return 1
}

# The test would prove nothing about a program that does nothing.
worked() {
	echo "exit status $(cat "$tmp/plain.status")"
	cat "$tmp/plain.err"
	[ "$(cat "$tmp/plain.status")" -eq "$status_wanted" ] &&
		[ -s "$tmp/plain.out" ]
}

# figures BIT: report.pl found nothing wrong of that kind.
figures() {
	cat "$tmp/figures"
	[ $((status & $1)) -eq 0 ]
}

check_reports() {
	if ! perl -MJSON::PP -e 1 2>/dev/null; then
		tap_skip "counters balance" "no perl with JSON::PP"
		tap_skip "served" "no perl with JSON::PP"
		return
	fi
	status=0
	perl "$srcdir/tests/programs/report.pl" "$1" "$share_wanted" "$reports" \
		>"$tmp/figures" 2>&1 || status=$?
	tap_ok "counters of all processes balance" figures 1
	tap_ok "each program was served $share_wanted % of what could be" \
		figures 2
	sed 's/^/# /' "$tmp/figures"
}

program_test() {
	for variable in $(env | sed -n 's/^\(LLFREE_[A-Z_]*\)=.*/\1/p'); do
		unset "$variable"
	done
	export LC_ALL=C TZ=UTC HOME="$tmp/home"
	mkdir "$in" "$reports" "$HOME"
	prepare
	once plain
	once shim
	tap_ok "works without the library" worked
	tap_ok "same output" same out
	tap_ok "same errors" same err
	tap_ok "same exit status" same status
	check_reports "$1"
	tap_done
}
