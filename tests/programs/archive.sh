#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# tar, gzip and xz, whose compressor asks for about 100 MiB at once.

. "$srcdir/tests/programs/program.sh"

needs tar gzip xz
lines=$(size 100000 1500000)

prepare() {
	mkdir "$in/tree"
	for n in 1 2 3 4 5 6 7 8; do
		seq "$n" "$n" "$((n * lines / 4))" >"$in/tree/numbers$n"
	done
}

run() {
	tar -C "$in" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
		-cf tree.tar tree || return
	gzip -n -k tree.tar
	xz -k -6 -T1 tree.tar
	xz -c -1 -T2 --block-size=1MiB tree.tar >blocks.xz
	sha256sum tree.tar tree.tar.gz tree.tar.xz blocks.xz
	gzip -dc tree.tar.gz | sha256sum
	xz -dc tree.tar.xz | tar -xf - && diff -r tree "$in/tree"
	xz -dc -T2 blocks.xz | tar -tvf - | sha256sum
	head -c 1000 tree.tar.xz | xz -dc >/dev/null
	[ $? -eq 1 ]
}

program_test 'xz'
