#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# make demo: python3 and, where there is one, php, as they are installed, at
# work on memory that LLFree manages, with the report of what happened. Fails
# when less was served than should have been.

set -eu

: "${srcdir:?run it by make demo}" "${builddir:?}"
preload=$builddir/.libs/libllfree-preload.so
work=$srcdir/tests/programs/work
share_wanted=95
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

under_preload() { # SETTING=VALUE... COMMAND...
	env LD_PRELOAD="$preload" "$@"
}

# The program once for the eye, and once for the figures.
demo() { # NAME COMMAND...
	name=$1
	shift
	printf '\n$ LD_PRELOAD=libllfree-preload.so LLFREE_STATS=1 %s ...\n' "$name"
	under_preload LLFREE_STATS=1 "$@"
	mkdir "$tmp/$name"
	under_preload LLFREE_STATS=json LLFREE_STATS_FILE="$tmp/$name/%n.%p" \
		"$@" >"$tmp/$name.out" 2>&1
	perl "$srcdir/tests/programs/report.pl" "$name" "$share_wanted" \
		"$tmp/$name" >"$tmp/$name.figures" || {
		echo "demo: $name: less than $share_wanted %, or wrong:" >&2
		cat "$tmp/$name.figures" >&2
		exit 1
	}
	cat <<-EOT

	What one sees: an unmodified $name had its memory from an arena of LLFree,
	$(head -n 1 "$tmp/$name.figures"); the rest is listed with reasons.
	EOT
}

for variable in $(env | sed -n 's/^\(LLFREE_[A-Z_]*\)=.*/\1/p'); do
	unset "$variable"
done

if [ -z "${PYTHON3-}" ]; then
	echo "demo: python3 not installed" >&2
	exit 1
fi
# What python3 is may be a script that looks for the real one.
python=$("$PYTHON3" -c 'import sys; print(sys.executable)')
demo python3 "$python" "$work/demo.py"
if command -v php >/dev/null; then
	demo php php -d memory_limit=-1 "$work/php.php" 1
else
	echo "demo: php not installed, left out"
fi
