#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT

# The fuzzer's inputs that are kept, and random ones, replayed without it.

. "$srcdir/tests/tap.sh"

replay() {
	"$builddir/tests/fuzz/replay" "$@"
}

# NAME ARG...: with how much it was.
replays() {
	name=$1
	shift
	replay "$@" >"$tmp/out" 2>&1
	status=$?
	tap_ok "$name: $(tail -n 1 "$tmp/out")" test $status -eq 0
	test $status -eq 0 || sed 's/^/# /' "$tmp/out" | tail -n 3
}

replays "the corpus" "$srcdir"/tests/fuzz/corpus/*
for seed in 1 10001 20001 30001; do
	replays "random, from $seed on" --random 1500 $seed
done
replays "an empty input" /dev/null
tap_not "an input that is not there" replay "$tmp/none"
tap_done
