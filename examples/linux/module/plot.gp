# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# gnuplot -e "folder='...'" plot.gp: one page of the module's tables.

set datafile separator ","
set terminal svg size 1000,900 font "sans,12" background "white"
set output folder."/module.svg"
set multiplot layout 3,3 title "LLFree and the kernel's allocator, in one kernel"
set key top left
set logscale x 2
set xlabel "virtual processors"
set yrange [0:*]

bench = folder."/bench.csv"
rows(workload, order, side) = sprintf( \
	"< awk -F, '$1 == \"%s\" && $2 == %d && $4 == \"%s\"' '%s'", \
	workload, order, side, bench)

do for [workload in "bulk repeat rand"] {
	do for [order in "0 9"] {
		set title sprintf("%s, order %s: ns a get and put", workload, order)
		plot for [side in "llfree kernel"] \
			rows(workload, int(order), side) \
			using 3:($6 + $7) with linespoints title side
	}
	if (workload eq "bulk") {
		set title "rand, order 0: contended a 1000 calls"
		plot for [side in "llfree kernel"] rows("rand", 0, side) \
			using 3:(1000.0 * $8 / $5) with linespoints title side
	}
	if (workload eq "repeat") {
		unset logscale x
		set title "free memory in huge frames, %"
		set xlabel "rounds"
		set yrange [0:100]
		plot for [side in "llfree kernel"] \
			sprintf("< grep '^%s,' '%s/frag.csv'", side, folder) \
			using 2:5 with lines title side
		set logscale x 2
		set xlabel "virtual processors"
		set yrange [0:*]
	}
	if (workload eq "rand") {
		unset logscale x
		set title "instructions of get and put"
		set style data histograms
		set style fill solid 0.6
		set xlabel "order"
		plot for [side in "llfree kernel"] \
			sprintf("< grep ',%s,' '%s/instructions.csv'", side, folder) \
			using 5:xticlabels(1) title side
	}
}
unset multiplot
