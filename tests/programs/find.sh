#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# find, xargs, grep and other small programs, each started many times.

. "$srcdir/tests/programs/program.sh"

needs find xargs grep sed
folders=$(size 20 100)

prepare() {
	for n in $(seq "$folders"); do
		mkdir -p "$in/tree/folder$n/sub"
		seq "$n" $((n + 500)) >"$in/tree/folder$n/numbers"
		seq 1 "$n" 5000 >"$in/tree/folder$n/sub/steps"
		touch -d @1000000000 "$in/tree/folder$n/numbers"
	done
}

run() {
	cd "$in" || return
	find tree -type f -size +3k -printf '%p %s\n' | sort
	find tree -name 'num*' -newermt 2020-01-01 | wc -l
	find tree -name steps -exec sed -n '3p;$p' {} \; | sort -n | uniq -c
	find tree -type f -print0 | sort -z | xargs -0 -n 3 cat | sha256sum
	grep -rlE '(49)+9' tree | sort
	# All of it is read: SIGPIPE would end sort without a report.
	grep -rc 77 tree | sort | sed -n '1,10p'
	find tree -type d -exec test -e {}/sub \; -print | sort
	find no-such-folder
	[ $? -eq 1 ]
}

program_test 'find'
