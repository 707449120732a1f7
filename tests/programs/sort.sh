#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# sort(1) with threads on a large file, in memory and in several passes.

. "$srcdir/tests/programs/program.sh"

needs sort awk
lines=$(size 200000 4000000)

prepare() {
	random_lines "$lines" >"$in/lines"
}

run() {
	sort --parallel=4 -S 200M "$in/lines" | sha256sum
	sort --parallel=2 -S 200M -k3,3n -k1,1nr "$in/lines" | sha256sum
	sort --parallel=1 -S 2M -T . -n "$in/lines" | tail -n 3
	sort -u -S 50M -k3,3 "$in/lines" | wc -l
	sort --parallel=2 -S 5M -T . -m "$in/lines" "$in/lines" | wc -lc
	sort -c "$in/lines"
	[ $? -eq 1 ]
}

program_test 'sort'
