#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# One program that allocates a lot, on glibc's malloc and on jemalloc, each
# with memory from the kernel and from the preload library. In the folder of
# the build, after make check or make examples/compare/compare:
#
#   sh .../examples/compare/compare.sh [--quick]

set -eu

builddir=${builddir:-.}
shim=$builddir/.libs/libllfree-preload.so
program=$builddir/examples/compare/compare
runs=7 rounds=2000000
if [ "${1-}" = --quick ]; then
	runs=1 rounds=50000
fi

for file in "$shim" "$program"; do
	if ! [ -e "$file" ]; then
		echo "compare: no $file: run this where the build is" >&2
		exit 1
	fi
done

find_jemalloc() {
	for file in /usr/lib/*/libjemalloc.so.2 /usr/lib*/libjemalloc.so.2 \
		/usr/local/lib*/libjemalloc.so.2; do
		if [ -e "$file" ]; then
			echo "$file"
			return
		fi
	done
}

shim=$(cd "$(dirname "$shim")" && pwd)/${shim##*/}
set -- "glibc|" "glibc on LLFree|LD_PRELOAD=$shim"
jemalloc=$(find_jemalloc)
if [ -n "$jemalloc" ]; then
	set -- "$@" "jemalloc|LD_PRELOAD=$jemalloc" \
		"jemalloc on LLFree|LD_PRELOAD=$shim:$jemalloc" \
		"jemalloc, retain:false|LD_PRELOAD=$jemalloc MALLOC_CONF=retain:false" \
		"  the same on LLFree|LD_PRELOAD=$shim:$jemalloc MALLOC_CONF=retain:false"
fi
"$program" "$runs" "$rounds" "$@"
if [ -z "$jemalloc" ]; then
	echo "left out: jemalloc, jemalloc on LLFree (Debian: libjemalloc2)"
fi
