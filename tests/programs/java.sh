#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# A Java program: compiled, then run under two collectors.

. "$srcdir/tests/programs/program.sh"

needs javac java
scale=$(size 1 5)

# The machine writes what it measured to files of its own: not wanted here.
run() {
	javac -J-XX:-UsePerfData -d . "$work/Work.java" && sha256sum ./*.class &&
		java -XX:-UsePerfData -Xmx400m -cp . Work "$scale" &&
		java -XX:-UsePerfData -XX:+UseSerialGC -Xmx400m -cp . Work "$scale"
}

program_test 'java'
