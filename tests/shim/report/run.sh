#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# llfree-run: settings, exit status, warnings, errors.

. "$srcdir/tests/tap.sh"

run=$builddir/llfree-run
unset LD_PRELOAD
for setting in $("$run" --list | sed -n 's/^\(LLFREE_[A-Z_]*\)=.*/\1/p'); do
	unset "$setting"
done

# run_as STATUS ARG...: llfree-run ARG... ends with STATUS; $tmp/out, $tmp/err.
run_as() {
	wanted=$1
	shift
	status=0
	"$run" "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
	echo "status $status, wanted $wanted"
	cat "$tmp/out" "$tmp/err"
	[ "$status" -eq "$wanted" ]
}

out_is() {
	printf '%s\n' "$@" | diff - "$tmp/out"
}

# One line of errors, and in it this text.
err_says() {
	[ "$(wc -l <"$tmp/err")" -eq 1 ] && grep -qF -- "$1" "$tmp/err"
}

silent() {
	[ ! -s "$tmp/err" ]
}

tap_ok "exit status of the program" run_as 7 sh -c 'exit 7'
tap_ok "nothing printed" silent
tap_ok "arguments of the program stay its own" \
	run_as 0 printf '%s\n' --stats --list
tap_ok "as it got them" out_is --stats --list
tap_ok "after --" run_as 0 --set ARENA=1G -- printf '%s\n' -x
tap_ok "as well" out_is -x

tap_ok "the library comes first" run_as 0 sh -c 'echo "$LD_PRELOAD"'
tap_ok "by its full path" out_is "$preload"
for other in libc.so.6 "libc.so.6 libm.so.6" ":libc.so.6"; do
	LD_PRELOAD=$other tap_ok "before '$other'" \
		run_as 0 sh -c 'echo "$LD_PRELOAD"'
	tap_ok "which stays" out_is "$preload:$other"
done
LD_PRELOAD=libc.so.6:$preload tap_ok "not twice" \
	run_as 0 sh -c 'echo "$LD_PRELOAD"'
tap_ok "where it was" out_is "libc.so.6:$preload"
LD_PRELOAD=$preload.so tap_ok "another one with a longer name" \
	run_as 0 sh -c 'echo "$LD_PRELOAD"'
tap_ok "is another one" out_is "$preload:$preload.so"

show='echo "$LLFREE_STATS,$LLFREE_STATS_FILE,$LLFREE_ARENA"'
tap_ok "--stats" run_as 0 --stats sh -c "$show"
tap_ok "is 1" out_is "1,,"
tap_ok "with a report" grep -q "process" "$tmp/err"
tap_ok "--stats=json" run_as 0 --stats=json sh -c "$show"
tap_ok "is json" out_is "json,,"
tap_ok "--stats-file" run_as 0 --stats-file "$tmp/%n-x" sh -c "$show"
tap_ok "implies --stats" out_is "1,$tmp/%n-x,"
tap_ok "the file is written" grep -q "process" "$tmp/sh-x"
tap_ok "--set" run_as 0 --set ARENA=2G --set LLFREE_STATS=0 sh -c "$show"
tap_ok "with and without LLFREE_" out_is "0,,2G"
LLFREE_ARENA=4G tap_ok "--set without a value" \
	run_as 0 --set ARENA= sh -c "$show"
tap_ok "back to the default" out_is ",,"

# wrong TEXT STATUS ARG...
wrong() {
	text=$1 status=$2
	shift 2
	tap_ok "$* ends with $status" run_as "$status" "$@"
	tap_ok "and says: $text" err_says "$text"
}
wrong "no program given" 125
wrong "ARENA=9X: not accepted, must be a size from" 125 --set ARENA=9X true
wrong "STATS=xml: not accepted, must be 0, 1 or json" 125 --stats=xml true
wrong "STATS_FILE=%d: not accepted" 125 --stats-file=%d true
wrong "NOSUCH: no such setting" 125 --set NOSUCH=1 true
wrong "NAME=VALUE is needed" 125 --set ARENA true
wrong "nosuchprogram: No such file" 127 nosuchprogram
wrong "/nosuch/program: No such file" 127 /nosuch/program
wrong "$tmp: Permission denied" 126 "$tmp"
wrong "$srcdir/LICENSE: Permission denied" 126 "$srcdir/LICENSE"
tap_ok "unknown option" run_as 125 --nosuchoption true
tap_ok "is named" grep -q nosuchoption "$tmp/err"

# Any setting, without the program being started.
for setting in $("$run" --list | sed -n 's/^LLFREE_\([A-Z_]*\)=.*/\1/p'); do
	tap_ok "nonsense for $setting" run_as 125 --set "$setting=%z" echo ran
	tap_ok "is named" err_says "LLFREE_$setting=%z: not accepted, must be"
	tap_not "and nothing runs" grep -q ran "$tmp/out"
done

tap_ok "--help" run_as 0 --help
tap_ok "names the options" grep -q -- --stats-file "$tmp/out"
tap_ok "--version" run_as 0 --version
tap_ok "is the package's" grep -qF "$VERSION" "$tmp/out"
tap_ok "--list" run_as 0 --list
tap_ok "names, defaults and values" grep -q '^LLFREE_HOOK=libc+brk$' "$tmp/out"

# Programs that the loader will not load the library into.
echo 'int main(void) { return 3; }' >"$tmp/three.c"
dynamic=no static=no
$CC -o "$tmp/dynamic" "$tmp/three.c" 2>/dev/null && dynamic=yes
$CC -static -o "$tmp/static" "$tmp/three.c" 2>/dev/null && static=yes
if [ $static = yes ]; then
	printf '#! %s -x\n' "$tmp/static" >"$tmp/script"
	printf '#!%s\n' "$tmp/script" >"$tmp/script2"
	chmod +x "$tmp/script" "$tmp/script2"
	for program in static script script2; do
		wrong "$tmp/static is statically linked" 3 "$tmp/$program"
	done
	mkdir "$tmp/bin"
	mv "$tmp/static" "$tmp/bin/threestatic"
	PATH=$PATH:$tmp/bin wrong "bin/threestatic is statically linked" \
		3 threestatic
else
	tap_skip "static programs" "the compiler makes none"
fi
if [ $dynamic = yes ]; then
	tap_ok "no warning for a usual one" run_as 3 "$tmp/dynamic"
	tap_ok "is printed" silent
	chmod u+s "$tmp/dynamic"
	wrong "$tmp/dynamic is set-user-ID" 3 "$tmp/dynamic"
	chmod u-s "$tmp/dynamic"
	# The machine is in bytes 18 and 19.
	cp "$tmp/dynamic" "$tmp/foreign"
	printf '\377\377' |
		dd of="$tmp/foreign" bs=1 seek=18 conv=notrunc 2>/dev/null
	"$run" "$tmp/foreign" 2>&1 | head -n 1 >"$tmp/err"
	tap_ok "another machine" err_says "is for another machine"
	# As a program of another C library has.
	loader=$(readelf -l "$tmp/dynamic" | sed -n 's/.*interpreter: \(.*\)]/\1/p')
	cp "$loader" "$tmp/loader"
	$CC -Wl,--dynamic-linker="$tmp/loader" -o "$tmp/other" \
		-x c - <<-'END'
		#include <stdio.h>
		#include <stdlib.h>
		int main(void) { return puts(getenv("LD_PRELOAD") ? "one" : "none") < 0; }
	END
	wrong "$tmp/other is loaded by $tmp/loader" 0 "$tmp/other"
	tap_ok "which gets no LD_PRELOAD" out_is none
else
	tap_skip "dynamic programs" "no compiler"
fi
tap_ok "a short file" sh -c ": >'$tmp/empty'; chmod +x '$tmp/empty'; '$run' '$tmp/empty'"
printf '\177ELF' >"$tmp/cut"
chmod +x "$tmp/cut"
tap_not "a cut file" run_as 0 "$tmp/cut"

# Installed, and moved elsewhere.
mkdir -p "$tmp/there/bin" "$tmp/there/lib"
cp "$run" "$tmp/there/bin/llfree-run"
cp "$preload" "$tmp/there/lib/"
run=$tmp/there/bin/llfree-run
tap_ok "finds ../lib" run_as 0 sh -c 'echo "$LD_PRELOAD"'
tap_ok "beside bin" out_is "$(cd "$tmp/there/lib" && pwd -P)/${preload##*/}"
mv "$tmp/there" "$tmp/with space"
run="$tmp/with space/bin/llfree-run"
wrong "no path with a space" 125 true
rm -r "$tmp/with space/lib"
tap_ok "no library" run_as 125 true
tap_ok "is said" err_says "not found"

tap_done
