# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# TAP for test scripts: . "$srcdir/tests/tap.sh", then one line for each test,
# and tap_done at the end. Scripts run in the build tree, with
#
#   srcdir builddir     absolute, of the whole tree
#   preload             the preload library
#   tmp                 a directory of their own, removed at exit
#   CC CXX PYTHON3      as configure found them; CXX and PYTHON3 may be empty

: "${srcdir:?run it by make check T=...}" "${builddir:?}"
# shellcheck disable=SC2034 # for the scripts
preload=$builddir/.libs/libllfree-preload.so
tap_count=0
tap_failed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

# tap_ok NAME COMMAND [ARG]...: the test passes when the command succeeds.
tap_ok() {
	tap_name=$1
	shift
	tap_count=$((tap_count + 1))
	if "$@" >"$tmp/.tap" 2>&1; then
		echo "ok $tap_count - $tap_name"
	else
		echo "not ok $tap_count - $tap_name"
		tap_failed=$((tap_failed + 1))
		echo "# failed: $*"
		sed 's/^/#   /' "$tmp/.tap"
	fi
}

# tap_not NAME COMMAND [ARG]...: the test passes when the command fails.
tap_not() {
	tap_name=$1
	shift
	tap_ok "$tap_name" tap_invert "$@"
}

tap_invert() {
	! "$@"
}

# tap_skip NAME REASON
tap_skip() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

# tap_skip_all REASON: nothing in this script can be tested.
tap_skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}

tap_done() {
	echo "1..$tap_count"
	exit $((tap_failed > 0))
}
