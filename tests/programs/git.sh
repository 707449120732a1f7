#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# git: commits, branches, a merge, log, blame, gc, clone and fsck.

. "$srcdir/tests/programs/program.sh"

needs git awk
commits=$(size 15 100)

lines() { # COUNT SEED
	awk -v count="$1" -v x="$2" 'BEGIN {
		for (i = 0; i < count; i++) {
			x = (x * 16807) % 2147483647
			print "line", i, x
		}
	}'
}

commit() { # NUMBER
	date="$((1700000000 + $1)) +0000"
	GIT_AUTHOR_DATE=$date GIT_COMMITTER_DATE=$date \
		git commit -q -m "commit $1"
}

history() {
	for n in $(seq "$commits"); do
		lines $((2000 + n)) "$n" >"file$((n % 5))"
		echo "$n" >>log
		git add . && commit "$n" || return
	done
	lines 300000 77 >large
	git add large && commit 1000
}

merge() {
	git checkout -q -b side HEAD~3
	echo side >side
	git add side && commit 2000
	git checkout -q main
	date="1700005000 +0000"
	GIT_AUTHOR_DATE=$date GIT_COMMITTER_DATE=$date \
		git merge -q --no-edit side
}

run() {
	export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_COMMITTER_NAME=a \
		GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_EMAIL=a@example.org
	git config --global gc.auto 0
	git config --global pack.threads 1
	git init -q -b main repository && cd repository &&
		history && merge || return
	git rev-parse HEAD
	git log --stat --graph | sha256sum
	git log -p -M | sha256sum
	git blame log | cut -c 1-8 | sha256sum
	git gc -q --aggressive && git fsck --strict
	sha256sum .git/objects/pack/*.pack
	git diff --stat HEAD~5
	git clone -q . ../clone && git -C ../clone log --oneline | tail -n 2
	git checkout no-such-branch
	[ $? -eq 1 ]
}

program_test 'git'
