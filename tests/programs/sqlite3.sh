#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# sqlite3: a database in memory, joined, sorted and indexed.

. "$srcdir/tests/programs/program.sh"

needs sqlite3
rows=$(size 100000 800000)

prepare() {
	sed "s/ROWS/$rows/" "$work/sqlite3.sql" >"$in/work.sql"
}

# One of the statements is wrong.
status_wanted=1

run() {
	sqlite3 -batch :memory: <"$in/work.sql"
}

program_test 'sqlite3'
