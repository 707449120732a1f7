#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# ruby: strings, arrays, hashes, threads, collections.

. "$srcdir/tests/programs/program.sh"

needs ruby
count=$(size 50000 400000)

run() {
	ruby --disable-gems -e '
		n = ARGV[0].to_i
		srand(1)
		all = Array.new(n) { |i| "value #{i} " * (1 + i % 5) }
		sums = 4.times.map { |t|
			Thread.new { (t...n).step(4).sum { |i| all[i].size } }
		}.map(&:value)
		groups = all.group_by(&:size).transform_values(&:count)
		big = 20.times.map { |i| ("x" * (i * 50_000)).reverse }
		GC.start
		p sums, groups.sort.first(5), big.sum(&:size), all.hash == all.dup.hash
		p all.shuffle(random: Random.new(2)).sort.first(3)
	' "$count"
}

program_test 'ruby'
