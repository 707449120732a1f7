#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT

. "$srcdir/tests/tap.sh"

prints() { # PATTERN
	cat "$tmp/out"
	grep -Eq "$1" "$tmp/out"
}

run() {
	"$builddir/examples/quickstart" >"$tmp/out" 2>&1
}

tap_ok "runs" run
tap_ok "1001 frames and a huge frame are in use" \
	prints '^now  *260631 frames free'
tap_ok "a second put is refused" prints '^put it again  *error 1$'
tap_ok "what is allocated is recovered" \
	prints '^recovered  *261207 frames free'
tap_done
