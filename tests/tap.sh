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
# Seconds to wait for what must happen, on a machine however busy.
patience=${LLFREE_TEST_PATIENCE:-300}
test_size=${LLFREE_TEST_SIZE:-short}
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

# size SHORT LONG: how much of something; the second is for make check-long.
size() {
	if [ "$test_size" = long ]; then
		echo "$2"
	else
		echo "$1"
	fi
}

# eventually COMMAND [ARG]...: waits until the command succeeds; fails when
# patience is over before.
eventually() {
	tap_end=$(($(date +%s) + patience))
	until "$@"; do
		[ "$(date +%s)" -lt "$tap_end" ] || return
		sleep 0.05
	done
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
