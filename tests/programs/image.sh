#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# Image conversion: large temporary images, some threads.

. "$srcdir/tests/programs/program.sh"

convert=/usr/bin/convert
[ -x "$convert" ] || tap_skip_all "imagemagick not installed"
edge=$(size 500 1500)

# A picture by arithmetic alone.
prepare() {
	awk -v edge="$edge" 'BEGIN {
		printf "P3\n%d %d\n255\n", edge, edge
		for (y = 0; y < edge; y++)
			for (x = 0; x < edge; x++)
				print x % 256, y % 256, x * y % 256
	}' >"$in/picture.ppm"
}

run() {
	"$convert" "$in/picture.ppm" -rotate 90 -blur 0x3 -resize 80% \
		-depth 8 rgb:- | sha256sum
	"$convert" "$in/picture.ppm" -flip -edge 2 -colorspace Gray \
		-depth 8 gray:- | sha256sum
}

program_test 'convert'
