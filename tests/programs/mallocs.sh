#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# Programs with another malloc preloaded behind the library.

. "$srcdir/tests/programs/program.sh"

needs sort sqlite3 perl
mallocs=
for name in libjemalloc.so.2 libmimalloc.so.2 libtcmalloc_minimal.so.4; do
	if [ -z "$(env LD_PRELOAD="$name" true 2>&1)" ]; then
		mallocs="$mallocs $name"
	fi
done
[ -n "$mallocs" ] || tap_skip_all "no other malloc installed"

prepare() {
	seq 200000 >"$in/numbers"
}

run() {
	ours=$(printenv LD_PRELOAD)
	for name in $mallocs; do
		# shellcheck disable=SC2031 # program.sh sets it for itself
		export LD_PRELOAD="$ours $name"
		sort -r --parallel=2 -S 50M "$in/numbers" | sha256sum
		sqlite3 :memory: 'with recursive n(i) as (select 1 union all
			select i + 1 from n where i < 100000)
			select count(*), sum(length(hex(i * i))) from n;'
		perl -e '$h{$_ % 7919} .= $_ for 1 .. 300000;
			print length join(",", map { $h{$_} }
				sort keys %h), "\n"'
	done
}

program_test 'sort'
