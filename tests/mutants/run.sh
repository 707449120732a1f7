#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# run.sh [--part I/N] [--run I/N] [WORD]...
# Shows that the tests can fail: applies each deliberate defect in this folder
# (or only those with a WORD in their name) to a copy of lib/ and preload/,
# alone, and runs the check that it names, which must fail. make check-mutants
# runs this.
#
# A defect is NUMBER-NAME.patch (two or three digits): a diff below lib/ or
# preload/, after comments that say what is wrong and what finds it, as a path
# in the source tree and either
#
#   # caught by: tests/unit/NAME [COMPILER FLAG]...
#   # caught by: tests/model/interleavings FAMILY
#   # caught by: tests/fuzz/replay ARG...
#   # caught by: tests/shim/NAME [ARG]...     (with the library preloaded)
#   # caught by: tests/programs/NAME.sh
#   # caught by: nothing on x86
#
# The last kind is in the table, and not in what has to be caught.
# Each check is first run on the sources as they are, where it must pass.
#
# --part takes each Nth defect only, from the Ith on: N processes take all.
# --run compiles each of these, and runs the check of each Nth only.
#
# Exits with failure when a defect survives or cannot be tried.

: "${CC:=cc}"
here=$(cd "$(dirname "$0")" && pwd) || exit
: "${srcdir:=$(cd "$here/../.." && pwd)}"
tmp=$(mktemp -d) || exit
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

flags="-std=gnu11 -O1 -w -pthread -U_FORTIFY_SOURCE"
limit=60 # seconds of processor time; a check that does not end has failed
asleep=600 # seconds, for one that sleeps for ever
caught=0
tried=0
compiled=0
errors=0
beyond=0 # what can be caught here
part=0 parts=1 # of the defects that are taken
turn=0 turns=1 # of those whose checks are run
number=0
# What does not happen soon never does, in a program with a defect.
LLFREE_TEST_PATIENCE=${LLFREE_TEST_PATIENCE:-60}
export LLFREE_TEST_PATIENCE

while :; do
	case ${1-} in
	--part) part=${2%/*} parts=${2#*/} ;;
	--run) turn=${2%/*} turns=${2#*/} ;;
	*) break ;;
	esac
	shift 2
done

row() { # MUTANT CHECK RESULT SECONDS
	printf '%-32s %-44s %-9s %3s\n' "$@"
}

# The copy in which defects are made, as the sources are.
fresh() {
	rm -rf "${tmp:?}/lib" "$tmp/preload"
	cp -R "$srcdir/lib" "$srcdir/preload" "$tmp"
	defect=
}

# The C files in a list of preload/Makemodule.am.
listed() { # VARIABLE
	sed -n "/^$1 =/,/[^\\\\]\$/p" "$srcdir/preload/Makemodule.am" |
		grep -o 'preload/[^ ]*\.c'
}

# The objects of lib/ and of lists of preload/Makemodule.am, in the copy.
build_objects() { # VARIABLE...
	mkdir -p "$tmp/objects" "$tmp/build/.libs"
	objects=
	for source in lib/*.c lib/platform/*.c \
		"preload/hook/$(uname -m).c" "preload/sys/$(uname -m).c" \
		preload/report/unwind-none.c \
		$(for list; do listed "$list"; done); do
		object "$source" || return
	done
}

# Whether the object depends on a file that the defect changes.
is_changed() { # OBJECT
	for file in $defect; do
		! grep -qF "$tmp/$file" "${1%.o}.d" || return 0
	done
	return 1
}

# What the defect does not change is compiled once.
object() { # SOURCE
	base=$(echo "$1" | tr / _)
	to=$tmp/objects/$base.o
	if test -e "$to" && is_changed "$to"; then
		to=$tmp/objects/changed-$base.o
		rm -f "$to"
	fi
	objects="$objects $to"
	# shellcheck disable=SC2086 # several words
	test -e "$to" || $CC $flags -D_GNU_SOURCE -fPIC -fvisibility=hidden \
		-ftls-model=initial-exec -I"$tmp" -I"$srcdir/include" \
		-I"$tmp/lib/platform" -MMD -c "$tmp/$1" -o "$to"
}

library_objects() {
	build_objects preload_sources libllfree_preload_la_SOURCES &&
		object "preload/calls/$(uname -m).c"
}

build_library() {
	library_objects || return
	# shellcheck disable=SC2086 # several words each
	$CC -shared $objects -o "$tmp/build/.libs/libllfree-preload.so" \
		-Wl,-z,now -Wl,-z,initfirst -Wl,-Bsymbolic-functions \
		-Wl,--version-script="$srcdir/preload/preload.map"
}

# PROGRAM: a unit test of the library, without the calls that it takes over.
build_inner() {
	cd "$tmp" && build_objects preload_sources || return
	# shellcheck disable=SC2086 # several words each
	$CC $flags -D_GNU_SOURCE -I"$tmp" -I"$srcdir/include" -I"$srcdir" \
		"$srcdir/$1.c" $objects -lcmocka -o "$tmp/check"
}

# PROGRAM: a test of the library.
build_shim() {
	(cd "$tmp" && build_library) || return
	case $1 in
	*.sh) return ;;
	*/differ) set -- "$srcdir"/tests/shim/differ/*.c ;;
	*) set -- "$srcdir/$1.c" ;;
	esac
	# shellcheck disable=SC2086 # several words
	$CC $flags -D_GNU_SOURCE -I"$srcdir" "$@" -o "$tmp/check"
}

# PROGRAM [ARG]...: compiles the named check with the copy of lib/.
build() {
	include="-I$tmp -I$srcdir/include -I$srcdir"
	platform="-I$tmp/lib/platform"
	if grep -q '"preload/' "$srcdir/$1.c" 2>/dev/null; then
		(build_inner "$1")
		return
	fi
	case $1 in
	tests/shim/* | tests/programs/*)
		build_shim "$1"
		return
		;;
	tests/model/*)
		platform="-I$srcdir/tests/model/platform"
		rm -r "$tmp/lib/pool"
		set -- "$srcdir"/tests/model/[!l]*.c # but lines.c
		;;
	tests/fuzz/*)
		set -- "$srcdir"/tests/fuzz/*.c "$tmp"/lib/platform/*.c
		;;
	*)
		program=$1
		shift
		set -- "$@" "$srcdir/$program.c" "$tmp"/lib/pool/*.c \
			"$srcdir"/tests/unit/lib/fixture.c \
			"$srcdir"/tests/unit/lib/threads.c \
			"$tmp"/lib/platform/*.c -lcmocka
		;;
	esac
	# shellcheck disable=SC2086 # several words each
	$CC $flags $platform $include "$tmp"/lib/*.c "$@" -o "$tmp/check"
}

# PROGRAM [ARG]...: what was compiled, with its arguments if it takes any.
run() {
	library=$tmp/build/.libs/libllfree-preload.so
	program=$1
	shift
	case $program in
	*.sh) set -- env CC="$CC" srcdir="$srcdir" builddir="$tmp/build" \
		sh "$srcdir/$program" ;;
	*/differ) set -- "$tmp/check" --library "$library" "$@" ;;
	tests/shim/*) set -- env LD_PRELOAD="$library" "$tmp/check" "$@" ;;
	tests/model/* | tests/fuzz/*) set -- "$tmp/check" "$@" ;;
	*) set -- "$tmp/check" ;;
	esac
	# shellcheck disable=SC3045 # every shell that is used as sh has it
	(ulimit -t "$limit" && exec timeout -k 5 "$asleep" "$@")
}

broken() { # MUTANT CHECK REASON
	row "$1" "$2" ERROR -
	echo "$1: $3" >&2
	sed 's/^/  /' "$tmp/log" >&2
	errors=$((errors + 1))
}

# CHECK: on the sources as they are, once.
passes_unchanged() {
	grep -qxF "$1" "$tmp/passed" && return
	fresh
	start=$(date +%s)
	# shellcheck disable=SC2086 # a program and its arguments
	if ! build $1 >"$tmp/log" 2>&1; then
		broken "(unchanged)" "$1" "the check does not compile"
	elif ! run $1 >"$tmp/log" 2>&1; then
		broken "(unchanged)" "$1" "the check fails without a defect"
	else
		row "(unchanged)" "$1" passes $(($(date +%s) - start))
		echo "$1" >>"$tmp/passed"
		return
	fi
	return 1
}

# Whether it is this defect's turn.
is_run() {
	[ $((number % turns)) -eq "$turn" ]
}

# FILE: one defect.
mutant() {
	name=$(basename "$1" .patch)
	check=$(sed -n 's/^# caught by: //p' "$1")
	case $check in
	nothing*) check= ;;
	*) ! is_run || passes_unchanged "$check" || return ;;
	esac
	start=$(date +%s)
	fresh
	if ! patch -f -s -p1 -d "$tmp" <"$1" >"$tmp/log" 2>&1; then
		broken "$name" "$check" "the patch no longer applies"
		return
	fi
	defect=$(sed -n 's|^+++ b/||p' "$1")
	if test -z "$check"; then
		row "$name" "(nothing on x86)" - -
		beyond=$((beyond + 1))
		return
	fi
	# shellcheck disable=SC2086 # a program and its arguments
	if ! build $check >"$tmp/log" 2>&1; then
		broken "$name" "$check" "the patch does not compile"
		return
	fi
	if ! is_run; then
		row "$name" "$check" compiles $(($(date +%s) - start))
		compiled=$((compiled + 1))
		return
	fi
	tried=$((tried + 1))
	# shellcheck disable=SC2086
	if run $check >"$tmp/log" 2>&1; then
		row "$name" "$check" SURVIVED $(($(date +%s) - start))
		return
	fi
	caught=$((caught + 1))
	row "$name" "$check" caught $(($(date +%s) - start))
}

# FILE [WORD]...: is it one of those asked for?
chosen() {
	file=$1
	shift
	test $# -gt 0 || return 0
	for word; do
		case $(basename "$file") in
		*"$word"*) return 0 ;;
		esac
	done
	return 1
}

# Before the first defect: what is compiled once is compiled without any.
fresh
(cd "$tmp" && library_objects) || exit
: >"$tmp/passed"
row mutant check result s
for patch in "$here"/[0-9][0-9]-*.patch "$here"/[0-9][0-9][0-9]-*.patch; do
	chosen "$patch" "$@" || continue
	number=$((number + 1))
	if [ $((number / turns % parts)) -eq "$part" ]; then
		mutant "$patch"
	fi
done
echo "$caught of $((tried + errors)) caught, $compiled compiled, $beyond beyond" \
	"what x86 shows"
test "$number" -gt 0 && test "$caught" -eq $((tried + errors))
