#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# stress-ng, which does strange things with memory and checks what comes of
# them. One worker does so many rounds, so that each run is the same.

. "$srcdir/tests/programs/program.sh"

needs stress-ng
times=$(size 1 3)

# NAME ROUNDS [OPTION]...
stressors() {
	cat <<-'EOT'
	aio 200
	bad-altstack 50
	bigheap 200
	brk 3000
	clone 10
	context 50
	daemon 20
	env 1
	fault 50
	fork 50
	io-uring 100
	judy 1 --judy-size 10000
	longjmp 50
	madvise 1
	malloc 3000 --malloc-bytes 1M
	memfd 1 --memfd-bytes 8M
	mincore 50
	mlock 100
	mmap 2 --mmap-bytes 4M
	mmapaddr 300
	mmapfixed 3
	mmapmany 1000
	mremap 10 --mremap-bytes 4M
	msync 20 --msync-bytes 1M
	munmap 1000
	numa 1
	pagemove 10 --pagemove-bytes 1M
	pageswap 300
	personality 20
	pkey 100
	prctl 20
	pthread 100
	ptrace 100
	remap 5
	rmap 5
	shm-sysv 5 --shm-sysv-bytes 1M
	sigsegv 500
	stackmmap 2
	tree 1 --tree-size 2000
	userfaultfd 1000 --userfaultfd-bytes 4M
	vfork 200
	vm 2000 --vm-bytes 8M --vm-method all
	vm-addr 2
	vm-segv 20
	vm-splice 500
	EOT
}

run() {
	stressors | while read -r name rounds options; do
		# shellcheck disable=SC2086 # several words
		timeout "$patience" stress-ng --quiet --verify --"$name" 1 \
			--"$name"-ops $((rounds * times)) $options
		echo "$name: $?"
	done
}

program_test 'stress-ng'
