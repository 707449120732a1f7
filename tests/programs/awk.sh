#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# awk: large tables and long strings.

. "$srcdir/tests/programs/program.sh"

needs awk
keys=$(size 150000 1500000)

run() {
	awk -v keys="$keys" -f "$work/awk.awk"
}

program_test 'awk'
