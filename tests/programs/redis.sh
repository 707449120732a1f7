#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# redis-server, which brings jemalloc, driven by redis-benchmark.

. "$srcdir/tests/programs/program.sh"

needs redis-server redis-benchmark redis-cli
requests=$(size 20000 60000)
keys=$(size 5000 60000)

# Commands whose answers do not depend on time.
prepare() {
	awk -v keys="$keys" 'BEGIN {
		for (i = 0; i < keys; i++) {
			printf "SET key:%d value-%d-%0*d\n", i, i, i % 300, i
			if (i % 10 == 0)
				printf "HSET hash:%d a %d b %d\n", i % 100, i, i
		}
		for (i = 0; i < keys; i += 3)
			printf "DEL key:%d\n", i
		for (i = 0; i < keys; i += 97)
			printf "GET key:%d\nHGETALL hash:%d\n", i, i % 100
		print "DBSIZE\nDEBUG DIGEST\nNOSUCHCOMMAND"
	}' >"$in/commands"
}

answers() {
	[ "$(redis-cli -p "$port" ping 2>/dev/null)" = PONG ]
}

# Starts the server on a port that is free: another one's ends at once.
start() {
	port=$((20000 + $$ % 20000))
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		redis-server --bind 127.0.0.1 --port "$port" --save '' \
			--appendonly no --enable-debug-command yes \
			--daemonize no >server.log 2>&1 &
		server=$!
		for _ in $(seq 100); do
			kill -0 "$server" 2>/dev/null || break
			answers && return
			sleep 0.05
		done
		kill "$server" 2>/dev/null
		wait "$server"
		port=$((port + 7))
	done
	return 1
}

benchmark() {
	redis-benchmark -p "$port" -n "$requests" -c 20 -r 100000 -d 200 -q \
		-t set,get,lpush,lpop,sadd,hset,mset "$@" >benchmark.log 2>&1 ||
		echo "redis-benchmark said $?"
}

run() {
	start || {
		cat server.log >&2
		return 1
	}
	benchmark
	benchmark -P 16
	redis-cli -p "$port" flushall
	redis-cli -p "$port" <"$in/commands" | sha256sum
	redis-cli -p "$port" get key:1
	redis-cli -p "$port" dbsize
	redis-cli -p "$port" debug digest
	kill "$server"
	wait "$server"
	echo "redis-server said $?"
}

program_test 'redis-server'
