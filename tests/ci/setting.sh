#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT

# .ci/setting.bash: a setting gets its value back, however the shell ends.

. "$srcdir/tests/tap.sh"

command -v bash >/dev/null || tap_skip_all "bash not installed"
setting=$tmp/setting

has() { # VALUE
	[ "$(cat "$setting")" = "$1" ]
}

script='. "$0/.ci/setting.bash"; with_setting "$@"'

# with COMMAND...: the value is 2 meanwhile.
with() {
	bash -c "$script" "$srcdir" "$setting" 2 "$@"
}

# ended SIGNAL: the shell, while a command of its own runs, which goes on.
ended() {
	: >"$tmp/sleeper"
	env --default-signal bash -c "$script" "$srcdir" "$setting" 2 \
		sh -c 'echo $$; exec sleep 100000' >"$tmp/sleeper" &
	eventually test -s "$tmp/sleeper" && has 2 || return
	kill -s "$1" $!
	# Bash waits for its command, after SIGINT.
	[ "$1" != INT ] || kill "$(cat "$tmp/sleeper")"
	wait $!
	eventually has 0 || return
	kill "$(cat "$tmp/sleeper")" || [ "$1" = INT ]
}

echo 0 >"$setting"
tap_ok "the command finds the value" with grep -qx 2 "$setting"
tap_ok "which is the old one afterwards" has 0
tap_not "the command's status" with false
tap_ok "the old one again" has 0
for signal in TERM INT HUP KILL; do
	tap_ok "after SIG$signal" ended $signal
done
setting=$tmp/nowhere/setting
tap_ok "a setting that cannot be written is no obstacle" with true
tap_done
