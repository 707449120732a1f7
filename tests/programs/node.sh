#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# node: objects, buffers, workers, children.

. "$srcdir/tests/programs/program.sh"

needs node
scale=$(size 1 8)

run() {
	node --no-warnings "$work/node.js" "$scale"
}

program_test 'node'
