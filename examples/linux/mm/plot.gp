# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# gnuplot -e "folder='...'; version='...'" plot.gp: fragmentation over rounds.

set datafile separator ","
set terminal svg size 560,320 font "sans,12" background "white"
set output folder."/linux-".version."-frag.svg"
set title "Linux ".version.": free memory in whole huge frames"
set xlabel "rounds, each of which exchanges a tenth of the memory in use"
set ylabel "%"
set yrange [0:100]
set key center right
plot for [side in "llfree buddy"] \
	sprintf("< grep '^%s,' '%s/linux-%s-frag.csv' | grep -v round", \
	side, folder, version) using 2:5 with lines linewidth 2 title side
