#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# sh build.sh SOURCE KERNEL FILE...: links the allocator of the source tree
# SOURCE and files of this folder to the kernel KERNEL, with objects beside it.
# CC: a gcc or clang for x86-64; CPPFLAGS: more of its options.

set -e
source=$1 kernel=$2
shift 2
here=$source/examples/bare
cc=${CC:-gcc}

mkdir -p "$kernel.objects"
for file in entry.S machine.c "$@" "$source"/lib/*.c; do
	case $file in
	/*) ;;
	*) file=$here/$file ;;
	esac
	# shellcheck disable=SC2086 # several words
	$cc ${CPPFLAGS-} -std=gnu11 -O2 -g -Wall -Wextra -Werror \
		-ffreestanding -fno-pie -fno-stack-protector \
		-fno-asynchronous-unwind-tables \
		-m64 -mno-red-zone -mgeneral-regs-only \
		-I"$here" -I"$source" -I"$source/include" \
		-c "$file" -o "$kernel.objects/${file##*/}.o"
done
ld -nostdlib -static -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments \
	-T "$here/kernel.ld" -o "$kernel" "$kernel.objects"/*.o
