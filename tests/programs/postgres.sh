#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# PostgreSQL with pgbench and some queries. The server refuses to run as root:
# then it runs as nobody.

# shellcheck disable=SC2086 # $user: a command and its arguments, or nothing
. "$srcdir/tests/programs/program.sh"
. "$srcdir/tests/programs/server.sh"

for folder in /usr/lib/postgresql/*/bin; do
	PATH=$folder:$PATH
done
needs initdb postgres pg_ctl pgbench psql
user=
if [ "$(id -u)" -eq 0 ]; then
	needs setpriv
	user='setpriv --reuid nobody --clear-groups'
	chmod 755 "$tmp"
	$user test -r "$preload" ||
		tap_skip_all "nobody can read the library"
fi
rows=$(size 20000 200000)
transactions=$(size 300 3000)

# No address at all: a socket in the folder that the test runs in.
server() {
	become $user postgres -D "$PWD/data" -k "$PWD" -c listen_addresses= \
		-c fsync=off -c jit=off -c work_mem=16MB
}

sql() {
	limited psql -X -q -A -t -h "$PWD" -U user postgres "$@"
}

answers() {
	[ "$(sql -c 'select 1' 2>/dev/null)" = 1 ]
}

bench() {
	limited pgbench -h "$PWD" -U user "$@" postgres
}

# Everyone may write here: the server its socket, its processes their reports.
make_data() {
	chmod 777 . "$reports"
	limited $user initdb -U user -A trust --no-sync -D "$PWD/data" \
		>initdb.log 2>&1 || { cat initdb.log >&2; return 1; }
}

run() {
	make_data && start_server || return
	bench -q -i -s 1 >init.log 2>&1 || cat init.log
	bench -n -c 4 -j 2 -t "$transactions" --random-seed=1 2>/dev/null |
		grep 'actually processed'
	sql -c 'select sum(abalance), count(*) from pgbench_accounts' \
		-c 'select count(*), sum(delta) from pgbench_history' \
		-c "select md5(string_agg(x::text, ',' order by x % 977, x))
			from generate_series(1, $rows) x" \
		-c 'select count(distinct md5(aid::text)) from pgbench_accounts' \
		-c 'select nonsense' 2>&1
	limited $user pg_ctl -D "$PWD/data" -s -m fast -w -t 30 stop
	wait "$pid"
	echo "the server said $?"
}

program_test 'postgres'
