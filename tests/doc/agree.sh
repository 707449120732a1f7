#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# README.md and the manual pages agree with the tables of settings and of the
# report's figures, and with the headers.

. "$srcdir/tests/tap.sh"

readme=$srcdir/README.md
include=$srcdir/include
doc=$srcdir/doc

# NAME=DEFAULT lines, sorted, of the table, of README.md (| `NAME` | `DEFAULT`
# | ...) and of the manual page (.It Ev NAME Pq Li DEFAULT).
settings() {
	"$builddir/llfree-run" --list | grep '^LLFREE_' | sort
}

settings_of_readme() {
	sed -n 's/^| `\(LLFREE_[A-Z_]*\)` | `\{0,1\}\([^`|]*[^`| ]\)\{0,1\}`\{0,1\} *|.*/\1=\2/p' \
		"$readme" | sort
}

settings_of_manual() {
	sed -n -e 's/^\.It Ev \(LLFREE_[A-Z_]*\) Pq Li \(.*\)/\1=\2/p' \
		-e 's/^\.It Ev \(LLFREE_[A-Z_]*\) Pq none$/\1=/p' \
		"$doc/llfree-preload.7" | sort
}

settings >"$tmp/settings"
settings_of_readme >"$tmp/readme"
settings_of_manual >"$tmp/manual"
tap_ok "there are settings" test -s "$tmp/settings"
tap_ok "README.md: settings and defaults" diff "$tmp/settings" "$tmp/readme"
tap_ok "llfree-preload(7): settings and defaults" \
	diff "$tmp/settings" "$tmp/manual"

# The list of settings is for a terminal of 100 columns.
lines_fit() {
	! "$builddir/llfree-run" --list | grep -E '.{101}'
}
tap_ok "llfree-run --list: lines of 100 columns" lines_fit

# Figures of the report that the manual page lacks, or has in other words.
figures_named() {
	"$builddir/tests/doc/fields" | sort >"$tmp/figures" &&
		test -s "$tmp/figures" &&
		awk -f "$srcdir/tests/doc/items.awk" "$doc/llfree-preload.7" |
		sort | comm -23 "$tmp/figures" - >"$tmp/missing"
	cat "$tmp/missing"
	[ -s "$tmp/figures" ] && [ ! -s "$tmp/missing" ]
}
tap_ok "llfree-preload(7): figures of the report" figures_named

# Functions that a header declares or defines.
calls() { # HEADER
	tr '\n\t' '  ' <"$include/$1.h" |
		grep -oE '(llfree_[a-z_]+|llreq)\((const llfree_(pool_)?t|llfree_(pool_)?t|llfree_pool_error_t|const llfree_classing_t|size_t cores|uint8_t requested)' |
		sed 's/(.*//' | sort -u
}

calls_of_manual() { # PAGE
	sed -n 's/^\.Fn \(llfree_[a-z_]*\) ".*/\1/p' "$doc/$1.3" | sort -u
}

missing() { # HEADER and PAGE
	calls "$1" >"$tmp/calls"
	calls_of_manual "$1" >"$tmp/documented"
	[ -s "$tmp/calls" ] && comm -23 "$tmp/calls" "$tmp/documented" >"$tmp/missing"
	cat "$tmp/missing"
	[ ! -s "$tmp/missing" ]
}

for name in llfree llfree_pool; do
	tap_ok "$name(3) has all calls of the header" missing $name
done

if command -v mandoc >/dev/null; then
	for page in "$doc"/*.[1-9]; do
		tap_ok "mandoc accepts ${page##*/}" mandoc -Tlint -Wwarning "$page"
	done
else
	tap_skip "mandoc accepts the pages" "mandoc not installed"
fi
tap_done
