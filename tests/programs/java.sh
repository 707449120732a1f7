#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# A Java program, compiled, then run under each collector: threads that fill
# tables and buffers outside the heap.

. "$srcdir/tests/programs/program.sh"

needs javac java
scale=$(size 1 2)
collectors=$(size 'G1GC ParallelGC' 'G1GC ParallelGC SerialGC')

# The machine writes what it measured to files of its own: not wanted here.
run() {
	javac -J-XX:-UsePerfData -d . "$work/Work.java" && sha256sum ./*.class ||
		return
	for collector in $collectors; do
		timeout --foreground -k 5 "$patience" java -XX:-UsePerfData \
			"-XX:+Use$collector" -Xmx400m -cp . Work "$scale" ||
			return
	done
}

program_test 'java'
