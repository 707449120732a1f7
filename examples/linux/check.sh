#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# check.sh [WORD]...: runs the checks of the allocator in kernels, or those
# with a word in their name, one after the other. What they leave (logs, CSV,
# plots, kernels) is in check-linux/ of the build tree.

srcdir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
builddir=${builddir:-$PWD}
export srcdir builddir
results=$builddir/check-linux
failed=''

chosen() { # NAME WORD...
	name=$1
	shift
	test $# -gt 0 || return 0
	for word; do
		case $name in *"$word"*) return 0 ;; esac
	done
	return 1
}

# Shows and keeps what it prints, and fails as it does.
logged() { # LOG COMMAND...
	log=$1
	shift
	{ "$@" 2>&1 || echo $? >"$log.status"; } | tee "$log"
	test ! -e "$log.status"
}

mkdir -p "$results"
for name in bare pool module mm; do
	chosen "$name" "$@" || continue
	case $name in
	bare) script=$srcdir/examples/bare/check.sh ;;
	pool) script=$srcdir/examples/bare/check-pool.sh ;;
	*) script=$srcdir/examples/linux/$name/check.sh ;;
	esac
	rm -f "$results/$name.log.status"
	echo "# $name"
	logged "$results/$name.log" sh "$script" ||
		failed="$failed $name"
done
test -z "$failed" || echo "check-linux: failed:$failed (see $results)"
test -z "$failed"
