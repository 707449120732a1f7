#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# node: objects, buffers, children, and threads that do the same.

. "$srcdir/tests/programs/program.sh"

needs node
scale=$(size 1 4)

run() {
	timeout --foreground -k 5 "$patience" node --no-warnings "$work/node.js" "$scale"
}

program_test 'node'
