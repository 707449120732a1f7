# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
# shellcheck shell=bash

# Work for bash; its argument is the number of forks.

forks=$1

# A megabyte of text that each child inherits.
printf -v text '%0*d' 1000000 7
declare -A table
for ((i = 0; i < 20000; i++)); do
	table[key$i]=$i
done

echo "subshells"
sum=0
for ((i = 0; i < forks * 8 / 10; i++)); do
	n=$(copy=$text$i; echo "${#copy}")
	((sum += n + ${table[key$((i % 20000))]}))
done
echo "$sum"

echo "programs"
for ((i = 0; i < forks / 10; i++)); do
	/bin/true || echo "true said $?"
	/bin/false && echo "false said $?"
done

echo "pipes"
for ((i = 0; i < forks / 50; i++)); do
	printf '%s\n' "$i" "${text:0:100000}" | sed 's/0/00/g' | wc -c
done | sort -n | uniq -c

echo "jobs"
for ((i = 0; i < 20; i++)); do
	(exit "$i") &
	pids[i]=$!
done
for ((i = 0; i < 20; i++)); do
	wait "${pids[i]}"
	printf '%d ' $?
done
echo
(
	trap 'echo caught; exit 3' TERM
	kill -TERM "$BASHPID"
)
echo "trap $?"
exec 2>&1
exec bash -c 'echo "replaced by exec ${#1}"' bash "${text:0:1000}"
