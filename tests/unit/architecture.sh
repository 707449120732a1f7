#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT

# What the library exports, which file may include which, and whether each
# promise of doc/architecture.md has a check.

. "$srcdir/tests/tap.sh"

# ---------------------------------------------------------------------------
# Exports: the functions that the headers declare, no more and no less.

declared() {
	echo '#include <llfree_pool.h>' | $CC -E -P -I"$srcdir/include" - |
		tr '\n' ' ' | sed 's/__attribute__ *(([^()]*))//g
			s/{[^{}]*}/{}/g; s/{[^{}]*}/{}/g' |
		sed 's/{}/{}\
/g; s/;/;\
/g' | grep -v typedef | grep -v inline |
		sed -n 's/^[^(]*[ *]\(llfree_[a-z_]*\) *(.*;$/\1/p' | sort -u
}

exported() {
	nm -D --defined-only "$builddir/.libs/libllfree.so" |
		awk '$2 != "A" {print $3}' | sed 's/@.*//' | sort -u
}

exports_agree() {
	declared >"$tmp/declared"
	exported >"$tmp/exported" || return
	test -s "$tmp/declared" && diff "$tmp/declared" "$tmp/exported"
}

# The hidden half of the version script: nothing of ours but these.
preload_exports_no_allocator() {
	nm -D --defined-only "$preload" >"$tmp/symbols" || return
	! grep -E ' (llfree|lower|upper|bitfield)_' "$tmp/symbols"
}

# ---------------------------------------------------------------------------
# Includes: FILE may include only what stands behind its name, by base name.

layers() {
	cat <<-'END'
		lib/atom.h: llfree_platform.h
		lib/ids.h: llfree.h
		lib/bitfield: ids.h atom.h
		lib/child: ids.h
		lib/whole: bitfield.h child.h
		lib/lower: bitfield.h child.h ids.h whole.h
		lib/tree: bitfield.h
		lib/local: atom.h ids.h
		lib/upper: local.h lower.h tree.h
		lib/classing.c: ids.h
		lib/bulk.c: upper.h
		lib/inspect.c: upper.h
		lib/llfree.c: upper.h
		lib/pool/superblock: llfree_pool.h lower.h string.h
		lib/pool/pool.c: llfree_pool.h superblock.h errno.h fcntl.h file.h mman.h resource.h stat.h string.h unistd.h
		include/llfree.h: llfree_types.h
		include/llfree_pool.h: llfree.h
		include/llfree_types.h: stdbool.h stddef.h stdint.h
	END
}

# Base names of what a file includes, but for its own header.
included() { # FILE
	own=$(basename "$1" .c).h
	sed -n 's/^#include [<"]\([^>"]*\)[>"].*/\1/p' "$srcdir/$1" |
		sed 's|.*/||' | grep -vx "$own"
}

allowed() { # FILE
	layers | awk -v file="$1" -v stem="${1%.[ch]}" \
		'$1 == file ":" || $1 == stem ":" {
			for (i = 2; i <= NF; i++) print $i; found = 1 }
		END { exit !found }'
}

layer_obeyed() { # FILE
	allowed "$1" >"$tmp/allowed" || {
		echo "$1 has no line in the layers of this test"
		return 1
	}
	included "$1" >"$tmp/included"
	! grep -vxF -f "$tmp/allowed" "$tmp/included"
}

# Ours are written from the root, so that each line shows its layer.
from_the_root() {
	! grep -n '#include "' "$srcdir"/lib/*.[ch] "$srcdir"/lib/pool/*.[ch] \
		"$srcdir"/preload/*.[ch] "$srcdir"/preload/*/*.[ch] |
		grep -Ev '#include "(lib|preload)/'
}

preload_keeps_out_of_lib() {
	! grep -nE '#include [<"]((\.\./)?lib/|llfree_platform)' \
		"$srcdir"/preload/*.[ch] "$srcdir"/preload/*/*.[ch]
}

# What may be included below preload/: FOLDER OR FILE: FOLDERS AND FILES.
preload_layers() {
	cat <<-'END'
		sys/: sys/
		reason: sys/
		config: sys/
		hook/: hook/ sys/
		arena/: arena/ sys/ reason.h report/stats.h
		report/: report/ arena/arena.h hook/hook.h config.h reason.h sys/
		housekeeping: arena/arena.h report/report.h config.h sys/
		background: arena/arena.h report/report.h housekeeping.h config.h sys/
		calls/: calls/ arena/arena.h hook/hook.h report/ background.h config.h housekeeping.h reason.h sys/
		run/: run/ config.h sys/print.h
	END
}

# What FILE of preload/ may include, a pattern for each.
preload_allowed() { # FILE
	preload_layers | awk -v file="$1" '{
		name = $1; sub(/:$/, "", name)
		folder = name ~ /\/$/ && index(file, name) == 1
		if (!folder && file !~ "^" name "\\.[ch]$") next
		found = 1
		for (i = 2; i <= NF; i++) print ($i ~ /\/$/ ? "^" $i : "^" $i "$")
	} END { exit !found }'
}

preload_obeys() {
	(cd "$srcdir/preload" && find . -name '*.[ch]' | sed 's|^\./||') |
		while read -r file; do
			preload_allowed "$file" >"$tmp/allowed" ||
				echo "$file has no line in the table of this test"
			sed -n 's|^#include "preload/\(.*\)"|\1|p' \
				"$srcdir/preload/$file" |
				grep -vx "${file%.c}.h" |
				grep -v -f "$tmp/allowed" |
				sed "s|^|$file includes |"
		done >"$tmp/wrong"
	cat "$tmp/wrong"
	test ! -s "$tmp/wrong"
}

# The same by the object files, which cannot lie: "FILE FILE", in folders of
# preload/, where one leaves a name undefined that the other defines.
object_uses() {
	(cd "$builddir" && find preload -name '*.o' -path '*/.libs/*') |
		while read -r object; do
			file=$(echo "$object" |
				sed 's|^preload/||; s|\.libs/[^/]*_la-||; s|\.o$||')
			nm -P "$builddir/$object" |
				awk -v file="$file" '{ print file, $1, $2 }'
		done >"$tmp/symbols"
	awk '$3 ~ /^[TDBRC]$/ { print $2, $1 }' "$tmp/symbols" | sort >"$tmp/defined"
	awk '$3 == "U" { print $2, $1 }' "$tmp/symbols" | sort |
		join - "$tmp/defined" | awk '$2 != $3 { print $2, $3 }' | sort -u
}

objects_form_no_circle() {
	object_uses >"$tmp/uses"
	test "$(wc -l <"$tmp/uses")" -gt 50 && tsort "$tmp/uses"
}

# Between folders as the table above says; a folder of which one header may be
# included may be called.
objects_obey() {
	object_uses | while read -r user used; do
		case $user in
		"${used%/*}"/*) continue ;;
		esac
		preload_allowed "$user.c" | sed 's/[$]$//; s|/[^/]*$|/|' |
			while read -r start; do
				echo "$used.h" | grep -q "$start" && echo found
			done | grep -q found || echo "$user calls $used"
	done >"$tmp/wrong"
	cat "$tmp/wrong"
	test ! -s "$tmp/wrong"
}

# FILE FLOOR, of arena/.
floors() {
	sed -n 's/^ \*\t\([1-9]\)\t\([a-z ]*\)$/\1 \2/p' \
		"$srcdir/preload/arena/state.h" |
		while read -r floor files; do
			# shellcheck disable=SC2086 # a list of words
			printf '%s\n' $files | sed "s|.*|arena/& $floor|"
		done
}

arena_keeps_its_floors() {
	floors >"$tmp/floors"
	(cd "$srcdir/preload" && ls arena/*.c) | sed 's/\.c$//' | sort >"$tmp/files"
	cut -d' ' -f1 "$tmp/floors" | sort | diff - "$tmp/files" || return
	object_uses | awk 'NR == FNR { floor[$1] = $2; next }
		$1 in floor && $2 in floor && floor[$1] <= floor[$2] {
			print $1 " calls " $2; bad = 1 }
		END { exit bad }' "$tmp/floors" -
}

# ---------------------------------------------------------------------------
# doc/architecture.md names checks as `FILE: NAME, NAME`: they exist, no line of
# its tables is without one, and each function of the headers is in it.

page=$srcdir/doc/architecture.md

checks() {
	grep -oE '`(unit|model|fuzz|crash)/[a-z0-9_/]+(\.sh)?(: [^`]*)?`' "$page" |
		tr -d '`' | sort -u
}

check_exists() { # FILE NAME
	source=$srcdir/tests/$1
	case $1 in
	*.sh) grep -qF -e "$2" "$source" ;;
	model/interleavings)
		grep -qF "{ \"$2\", " "$srcdir/tests/model/scenarios.c" ;;
	model/*) grep -qF -e "$2" "$source.c" ;;
	*) grep -qE "_test\($2\)|POOL_TEST\($2\)" "$source.c" ;;
	esac
}

checks_exist() {
	checks >"$tmp/checks"
	test "$(wc -l <"$tmp/checks")" -gt 50 || return
	sed 's/:.*//' "$tmp/checks" | while read -r file; do
		test -e "$srcdir/tests/$file" || test -e "$srcdir/tests/$file.c" ||
			echo "$file"
	done >"$tmp/unknown"
	sed -n 's/^\([^:]*\): \(.*\)/\1 \2/p' "$tmp/checks" |
		while read -r file names; do
			echo "$names" | sed 's/, /\n/g' |
				while read -r name; do
					check_exists "$file" "$name" ||
						echo "$file: $name"
				done
		done >>"$tmp/unknown"
	cat "$tmp/unknown"
	test ! -s "$tmp/unknown"
}

# The rows of the promises' tables: those without a check.
promises_checked() {
	sed -n '/^## Promises/,/^## Cache/p' "$page" >"$tmp/promises"
	grep '^| ' "$tmp/promises" | grep -v '| checks |$' >"$tmp/rows"
	test -s "$tmp/rows" || return
	! grep -vE '`((unit|model|fuzz|crash)/|make bench)' "$tmp/rows"
}

functions_promised() {
	declared >"$tmp/declared"
	while read -r name; do
		grep -qF "\`$name\`" "$tmp/promises" || echo "$name"
	done <"$tmp/declared" >"$tmp/unknown"
	cat "$tmp/unknown"
	test -s "$tmp/declared" && test ! -s "$tmp/unknown"
}

tap_ok "architecture.md names checks that exist" checks_exist
tap_ok "architecture.md: no promise without a check" promises_checked
tap_ok "architecture.md: every function of the headers" functions_promised
if test -e "$builddir/.libs/libllfree.so"; then
	tap_ok "exports are what the headers declare" exports_agree
else
	tap_skip "exports are what the headers declare" "no shared library"
fi
if test -e "$preload"; then
	tap_ok "the preload library exports no allocator" \
		preload_exports_no_allocator
else
	tap_skip "the preload library exports no allocator" "it is not built"
fi
for f in "$srcdir"/lib/*.[ch] "$srcdir"/lib/pool/*.[ch] "$srcdir"/include/*.h; do
	f=${f#"$srcdir/"}
	tap_ok "layers: $f" layer_obeyed "$f"
done
tap_ok "own headers are included from the root" from_the_root
tap_ok "preload/ does not include what is inside lib/" preload_keeps_out_of_lib
tap_ok "includes in preload/ obey the table" preload_obeys
for test in objects_form_no_circle objects_obey arena_keeps_its_floors; do
	if test -e "$preload"; then
		tap_ok "preload/: $test" $test
	else
		tap_skip "preload/: $test" "it is not built"
	fi
done

# ---------------------------------------------------------------------------
# What the preload library exports: the functions marked EXPORT, and those that
# assembly makes global, which stand in preload.map, and no other.

preload_marked() {
	cat "$srcdir"/preload/calls/*.c |
		sed -n 's/^EXPORT [^(]*[ *]\([a-z_A-Z0-9]*\)(.*/\1/p
			s/^EXPORT __attribute__((noreturn)) void \([a-zA-Z_]*\)(.*/\1/p
			s/^.*"\.globl \([a-z]*\)\\n"$/\1/p' |
		sort -u
}

preload_mapped() {
	sed -n '/^global:/,/^local:/p' "$srcdir/preload/preload.map" |
		tr -s '[:space:]' '\n' | sed -n 's/;$//p' | sort
}

preload_exports_agree() {
	preload_marked >"$tmp/marked"
	preload_mapped >"$tmp/mapped"
	nm -D --defined-only "$preload" | awk '$2 != "A" { print $3 }' |
		sort >"$tmp/exported"
	test -s "$tmp/marked" && diff "$tmp/marked" "$tmp/mapped" &&
		diff "$tmp/mapped" "$tmp/exported"
}

if test -e "$preload"; then
	tap_ok "EXPORT, preload.map and the library name the same functions" \
		preload_exports_agree
else
	tap_skip "EXPORT, preload.map and the library name the same functions" \
		"it is not built"
fi
tap_done
