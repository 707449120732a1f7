#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# nginx with two workers, under load.

. "$srcdir/tests/programs/program.sh"
. "$srcdir/tests/programs/server.sh"

PATH=$PATH:/usr/sbin
needs nginx ab perl
requests=$(size 2000 10000)

prepare() {
	mkdir "$in/www"
	seq 100000 >"$in/www/numbers.txt"
	seq 10 >"$in/www/few.txt"
}

settings() {
	[ "$(id -u)" -ne 0 ] || echo 'user root;'
	cat <<-END
		daemon off;
		pid $PWD/pid;
		error_log stderr crit;
		worker_processes 2;
		events { worker_connections 64; }
		http {
			access_log off;
			client_body_temp_path $PWD/a;
			proxy_temp_path $PWD/b;
			fastcgi_temp_path $PWD/c;
			uwsgi_temp_path $PWD/d;
			scgi_temp_path $PWD/e;
			gzip on;
			gzip_http_version 1.0;
			gzip_types text/plain;
			server {
				listen 127.0.0.1:$port;
				root $in/www;
			}
		}
	END
}

fetch() { # NAME
	limited perl -MHTTP::Tiny -e 'my $got = HTTP::Tiny->new->get($ARGV[0]);
		print $got->{status} == 599 ? "" : $got->{content}' \
		"http://127.0.0.1:$port/$1"
}

server() {
	settings >nginx.conf
	become nginx -e stderr -c "$PWD/nginx.conf"
}

answers() {
	[ -n "$(fetch few.txt)" ]
}

load() { # REQUESTS ARG...
	limited ab -q -c 20 -n "$@" |
		grep -E '^(Complete|Failed|Document Length)'
}

run() {
	start_server || return
	load "$requests" "http://127.0.0.1:$port/few.txt"
	load "$requests" -k "http://127.0.0.1:$port/numbers.txt"
	load $((requests / 20)) -H 'Accept-Encoding: gzip' \
		"http://127.0.0.1:$port/numbers.txt"
	fetch numbers.txt | sha256sum
	stop_server QUIT
}

program_test 'nginx'
