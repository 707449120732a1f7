#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# A C++ compiler on templates and the standard library, two files at a time,
# and the program that comes out.

. "$srcdir/tests/programs/program.sh"

needs g++
optimise=$(size -O0 -O3)
scale=$(size 1 10)

compile() {
	g++ -std=c++17 -g -Wall "$optimise" -DPART="$1" -frandom-seed="$1" \
		-c "$work/cxx.cc" -o "part$1.o"
}

# A warning, so that there is something to compare on stderr.
warn() {
	echo 'int f() { int unused; return 1; }' >warn.cc
	g++ -Wall -c warn.cc
}

run() {
	compile 1 &
	compile 2 && wait $! &&
		g++ part1.o part2.o -o program && warn &&
		sha256sum ./*.o program && ./program "$scale"
}

program_test 'cc1plus'
