#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# The library's settings: nonsense gives one line and a running program, and
# what is right has an effect.

. "$srcdir/tests/tap.sh"

settings=$("$builddir/llfree-run" --list | sed -n 's/^\(LLFREE_[A-Z_]*\)=.*/\1/p')
for setting in $settings; do
	unset "$setting"
done

# with VARIABLE=VALUE... PROGRAM [ARG]...: $tmp/out, $tmp/err
with() {
	env LD_PRELOAD="$preload" "$@" >"$tmp/out" 2>"$tmp/err"
}

lines() {
	cat "$tmp/err"
	[ "$(wc -l <"$tmp/err")" -eq "$1" ]
}

echo works >"$tmp/works"
works() {
	diff "$tmp/works" "$tmp/out"
}

tap_ok "there are settings" test -n "$settings"
tap_ok "none set" with echo works
tap_ok "the program works" works
tap_ok "nothing is printed" lines 0

long=$(printf %5000s x | tr ' ' x)
for setting in $settings; do
	for value in %zonk -1 99999999999999999999999 " " "%
%" "%$long" "%$(printf '\377\033')"; do
		# Any text without a % is a path.
		[ "$setting" = LLFREE_STATS_FILE ] && [ "${value#%}" = "$value" ] &&
			continue
		# Never.
		[ "$setting=$value" = LLFREE_DECAY_MS=-1 ] && continue
		with "$setting=$value" echo works || :
		tap_ok "$setting: the program works" works
		tap_ok "$setting: one line" lines 1
		tap_ok "$setting: is named, and what is accepted" \
			env LC_ALL=C grep -aq "^llfree: $setting=.*: not accepted, must be " \
			"$tmp/err"
	done
	tap_ok "$setting: empty" with "$setting=" echo works
	tap_ok "$setting: is not set" lines 0
done

nonsense=
for setting in $settings; do
	nonsense="$nonsense $setting=%"
done
# shellcheck disable=SC2086 # one word for each setting
with $nonsense echo works
tap_ok "all at once: the program works" works
# shellcheck disable=SC2086
tap_ok "all at once: a line for each" lines "$(set -- $settings && echo $#)"

tap_ok "an unknown one" with LLFREE_NOSUCH=1 echo works
tap_ok "is not mentioned" lines 0
tap_ok "except to the curious" with LLFREE_NOSUCH=1 LLFREE_VERBOSE=1 echo works
tap_ok "by a line" grep -q '^llfree: LLFREE_NOSUCH: no such setting$' "$tmp/err"
for setting in $settings; do
	tap_ok "LLFREE_VERBOSE shows $setting" grep -q "^  $setting=" "$tmp/err"
done

# Before libc has the environment: a resolver of the program's own functions.
cat >"$tmp/early.c" <<'EOT'
#include <stdio.h>
#include <sys/mman.h>
static char *memory;
static void function(void)
{
	puts("works");
}
static void *resolver(void)
{
	memory = mmap(0, 1 << 20, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return function;
}
void resolved(void) __attribute__((ifunc("resolver")));
int main(void)
{
	memory[0] = 1;
	resolved();
}
EOT
if $CC -o "$tmp/early" "$tmp/early.c" 2>/dev/null; then
	with LLFREE_ARENA=%z LLFREE_STATS=json "$tmp/early" || :
	tap_ok "a very early call: works" works
	tap_ok "settings are known by then" grep -q '^llfree: LLFREE_ARENA=%z' "$tmp/err"
	tap_ok "and kept" grep -q '"program": "early".*"stats": "json"' "$tmp/err"
else
	tap_skip "a very early call" "the compiler has no ifunc"
fi

# Not even when stderr is closed, or the reader has gone.
tap_ok "no stderr" sh -c "LD_PRELOAD='$preload' LLFREE_STATS=1 ls / 2>&-"
tap_ok "a full stderr" sh -c "LD_PRELOAD='$preload' LLFREE_STATS=1 ls / 2>/dev/full"
cat >"$tmp/broken" <<'EOT'
{ (trap '' PIPE; while echo; do :; done) 2>/dev/null
LD_PRELOAD=$1 LLFREE_STATS=1 sh -c 'exit 5' 2>&1
echo $? >"$2"; } | true
EOT
sh "$tmp/broken" "$preload" "$tmp/status"
tap_ok "a broken pipe" grep -qx 5 "$tmp/status"

with LLFREE_STATS=json LLFREE_STATS_FILE="$tmp/%n-%p-%%.json" \
	sh -c 'echo $$ >&2; exit 0'
pid=$(cat "$tmp/err")
tap_ok "%n, %p and %% in a file's name" test -s "$tmp/sh-$pid-%.json"
with LLFREE_STATS=json LLFREE_STATS_FILE=/nosuch/folder/file echo works
tap_ok "a file that cannot be written: works" works
tap_ok "and is said" grep -q "/nosuch/folder/file" "$tmp/err"

tap_done
