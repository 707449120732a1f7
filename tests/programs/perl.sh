#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# perl: hashes, strings, sorting, children by fork.

. "$srcdir/tests/programs/program.sh"

needs perl
scale=$(size 1 8)

run() {
	PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0 perl "$work/perl.pl" "$scale"
}

program_test 'perl'
