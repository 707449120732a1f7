#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# The tests of programs can fail: each of their checks is shown something wrong.

. "$srcdir/tests/tap.sh"

programs=$srcdir/tests/programs
perl -MJSON::PP -e 1 2>/dev/null || tap_skip_all "no perl with JSON::PP"

# A program that notices the library, and a library that does not exist.
cat >"$tmp/notices" <<'EOT'
. "$srcdir/tests/programs/program.sh"
run() {
	echo "preloaded: ${LD_PRELOAD-nothing}" | tee /dev/stderr
	return ${LD_PRELOAD:+3}
}
program_test notices
EOT
builddir=$tmp sh "$tmp/notices" >"$tmp/out" 2>&1

for check in "same output" "same errors" "same exit status" "counters of all" \
	"each program was served 95 %"; do
	tap_ok "fails when it should: $check" \
		grep -q "^not ok [0-9]* - $check" "$tmp/out"
done
tap_ok "passes when it should" grep -q '^ok 1 - works without' "$tmp/out"

# report FIELD=VALUE...: a report that is right but for these.
report() {
	inherited=2 served=10 given_back=9 live=3 counted=7 scanned=7
	frames=11 lost=1 memory=12288 served_bytes=90 full_bytes=10 brk=true
	for change; do
		eval "$change"
	done
	rm -rf "$tmp/reports"
	mkdir "$tmp/reports"
	tr -d '\n' >"$tmp/reports/some.1" <<-EOT
	{ "program": "some", "pid": 1, "hooks": { "brk": $brk },
	  "calls": { "mmap": {"served_bytes": $served_bytes},
	             "mremap": {"served_bytes": 0} },
	  "passed_because": { "file": {"calls": 1, "bytes": 4096, "servable": false},
	             "arena_full": {"calls": 1, "bytes": $full_bytes,
	                            "servable": true} },
	  "memory": { "live": $memory },
	  "balance": { "inherited": $inherited, "served": $served,
	             "given_back": $given_back, "live": $live,
	             "frames": $frames, "lost": $lost, "claimed": 0,
	             "free_counted": $counted, "free_scanned": $scanned } }
	EOT
}

# figures BIT NAME PERCENT: report.pl finds nothing wrong of that kind.
figures() {
	status=0
	perl "$programs/report.pl" "$2" "$3" "$tmp/reports" || status=$?
	[ $((status & $1)) -eq 0 ]
}

balance() {
	report "$@"
	figures 1 some 0
}

served() { # NAME PERCENT CHANGE...
	name=$1 percent=$2
	shift 2
	report "$@"
	figures 2 "$name" "$percent"
}

tap_ok "balanced" balance
for change in inherited=1 served=11 given_back=8 live=4 counted=8 scanned=6 \
	frames=12 lost=0 memory=4096; do
	tap_not "not balanced: $change" balance "$change"
done
tap_ok "enough served" served som 90
tap_not "too little served" served som 91
tap_not "nothing served" served som 90 served_bytes=0 full_bytes=0
tap_ok "nothing to serve, and nothing wanted" served som 0 served_bytes=0
tap_not "another program" served other 90

# Of two programs one had too little, all had enough.
both() {
	report served_bytes=30 full_bytes=3
	sed 's/"some"/"other"/' "$tmp/reports/some.1" >"$tmp/other"
	report served_bytes=2000
	mv "$tmp/other" "$tmp/reports/other.1"
	figures 2 some "$1"
}

tap_ok "enough served to both" both 90
tap_not "too little served to one of two" both 95
rm "$tmp/reports/other.1"

# table LINE: is in the table of these logs.
table() {
	report brk=false served_bytes=3145728 full_bytes=1048576
	mkdir -p "$tmp/logs"
	perl "$programs/report.pl" some 0 "$tmp/reports" |
		sed 's/^/# /' >"$tmp/logs/one.log"
	echo '1..0 # SKIP not installed' >"$tmp/logs/two.log"
	echo 'not ok 1' >"$tmp/logs/three.log"
	perl "$programs/table.pl" "$tmp/logs/one.log" "$tmp/logs/two.log" \
		"$tmp/logs/three.log" "$tmp/logs/four.log" | tr -s ' ' |
		tee /dev/stderr | grep -qxF "$1"
}

tap_ok "a row of the table" table '| one | 1 | 4.0 | 75.0 | arena_full 1.0 | | 1 |'
tap_ok "a test that was skipped" table 'two: not installed'
tap_ok "a test that failed early" table 'three: no figures'
tap_ok "a test without a log" table 'four: no figures'

# A program that was replaced by another one: a line each.
second() {
	report "$@"
	cp "$tmp/reports/some.1" "$tmp/second"
	report
	echo >>"$tmp/reports/some.1"
	cat "$tmp/second" >>"$tmp/reports/some.1"
	figures 1 some 0
}

tap_ok "two programs in one file" second
tap_not "of two programs, one is not balanced" second live=4

rm "$tmp/reports/some.1"
tap_not "no report, of balance" figures 1 some 0
tap_not "no report, of what was served" figures 2 some 0
echo '{"program": "some"' >"$tmp/reports/some.1"
tap_not "half a report" figures 1 some 0

tap_done
