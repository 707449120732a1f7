#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# What README.md and the manual pages say of settings and calls is what the
# table of settings and the header say.

. "$srcdir/tests/tap.sh"

readme=$srcdir/README.md
header=$srcdir/include/llfree.h
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

# Functions that the header declares or defines.
calls() {
	tr '\n\t' '  ' <"$header" |
		grep -oE '(llfree_[a-z_]+|llreq)\((const llfree_t|llfree_t|const llfree_classing_t|size_t cores|uint8_t requested)' |
		sed 's/(.*//' | sort -u
}

calls_of_manual() {
	sed -n 's/^\.Fn \(llfree_[a-z_]*\) ".*/\1/p' "$doc/llfree.3" | sort -u
}

missing() {
	calls >"$tmp/calls"
	calls_of_manual >"$tmp/documented"
	[ -s "$tmp/calls" ] && comm -23 "$tmp/calls" "$tmp/documented" >"$tmp/missing"
	cat "$tmp/missing"
	[ ! -s "$tmp/missing" ]
}

tap_ok "llfree(3) has all calls of the header" missing

if command -v mandoc >/dev/null; then
	for page in "$doc"/*.[1-9]; do
		tap_ok "mandoc accepts ${page##*/}" mandoc -Tlint -Wwarning "$page"
	done
else
	tap_skip "mandoc accepts the pages" "mandoc not installed"
fi
tap_done
