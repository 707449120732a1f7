#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# redis-server, which brings jemalloc, driven by redis-benchmark.

. "$srcdir/tests/programs/program.sh"
. "$srcdir/tests/programs/server.sh"

needs redis-server redis-benchmark redis-cli
requests=$(size 8000 25000)
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

server() {
	become redis-server --bind 127.0.0.1 --port "$port" --save '' \
		--appendonly no --enable-debug-command yes --daemonize no
}

answers() {
	[ "$(limited redis-cli -p "$port" ping 2>/dev/null)" = PONG ]
}

benchmark() {
	limited redis-benchmark -p "$port" -n "$requests" -c 20 -r 100000 -d 200 -q \
		-t set,get,lpush,lpop,sadd,hset,mset "$@" >benchmark.log 2>&1 ||
		echo "redis-benchmark said $?"
}

run() {
	start_server || return
	benchmark
	benchmark -P 16
	limited redis-cli -p "$port" flushall
	limited redis-cli -p "$port" <"$in/commands" | sha256sum
	limited redis-cli -p "$port" get key:1
	limited redis-cli -p "$port" dbsize
	limited redis-cli -p "$port" debug digest
	stop_server TERM
}

program_test 'redis-server'
