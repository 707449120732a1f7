#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# xz and zstd with threads.

. "$srcdir/tests/programs/program.sh"

needs xz zstd awk
lines=$(size 100000 600000)

prepare() {
	random_lines "$lines" >"$in/lines"
}

run() {
	xz -T 4 --block-size=1MiB -1 -c "$in/lines" >lines.xz &&
		sha256sum lines.xz && xz -T 4 -dc lines.xz | sha256sum
	zstd -q -T4 -B1048576 -5 -c "$in/lines" >lines.zst &&
		sha256sum lines.zst && zstd -q -dc lines.zst | sha256sum
}

program_test 'xz'
