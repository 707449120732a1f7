# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
# shellcheck shell=bash

# with_setting FILE VALUE COMMAND [ARG]...: with another value in a file of the
# kernel's, if that can be written. However this shell ends, by
# SIGKILL as well, the file gets its value back: a watcher in a session of its
# own writes it when the pipe from this shell ends. Bash keeps that pipe from
# the commands that it runs.
with_setting() {
	local file=$1 value=$2 pid to status
	shift 2
	coproc WATCHER { exec setsid bash -c "$watcher" - "$file" "$value"; }
	pid=$WATCHER_PID to=${WATCHER[1]}
	read -r <&"${WATCHER[0]}"
	"$@"
	status=$?
	exec {to}>&-
	wait "$pid"
	return "$status"
}

watcher='trap "" HUP INT TERM
before=$(cat "$1") && echo "$2" >"$1" || before=
echo
cat >/dev/null
[ -z "$before" ] || echo "$before" >"$1"'
