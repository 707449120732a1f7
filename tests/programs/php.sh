#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# php: arrays, objects and strings, request after request.

. "$srcdir/tests/programs/program.sh"

needs php
scale=$(size 1 8)

run() {
	php -d memory_limit=-1 "$work/php.php" "$scale"
}

program_test 'php'
