# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# Servers, for tests of programs. A script that sources this after program.sh
# says
#
#   server()    calls become with the server's command; $port is free for it
#   answers()   succeeds once the server does what it should
#
# and in its run(): start_server || return, the work, stop_server SIGNAL.

# limited COMMAND [ARG]...: ends it when it takes far too long; so no test waits
# for ever. Signals go on to the command, and its status comes back.
limited() {
	timeout --foreground -k 5 "$patience" "$@"
}

become() {
	exec timeout --foreground -k 5 "$patience" "$@"
}

# True once the server answers, false when it has ended.
up() {
	eventually up_or_gone && kill -0 "$pid" 2>/dev/null
}

up_or_gone() {
	! kill -0 "$pid" 2>/dev/null || answers
}

# On a port that is free: where another one listens, a server ends.
start_server() {
	port=$((20000 + $$ % 20000))
	for _ in 1 2 3 4 5; do
		server >server.log 2>&1 &
		pid=$!
		up && return
		kill "$pid" 2>/dev/null
		wait "$pid"
		port=$((port + 7))
	done
	cat server.log >&2
	return 1
}

stop_server() { # SIGNAL
	kill -"$1" "$pid"
	wait "$pid"
	echo "the server said $?"
}
