#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# python3: dicts, lists, threads, forked workers, mmap, big buffers.

. "$srcdir/tests/programs/program.sh"

needs python3
# What python3 is may be a script that looks for the real one.
python=$(python3 -c 'import sys; print(sys.executable)')
scale=$(size 1 8)

run() {
	PYTHONHASHSEED=0 "$python" -X utf8 -B "$work/python3.py" "$scale"
}

program_test 'python'
