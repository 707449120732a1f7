#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# bash: a thousand forks, most of them of a shell that holds served memory.

. "$srcdir/tests/programs/program.sh"

needs bash
forks=$(size 600 3000)

run() {
	bash "$work/bash.bash" "$forks"
}

program_test 'bash'
