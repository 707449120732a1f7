/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Tell from the file of a program whether the loader will load a preload library
 * into it. For llfree-run; uses libc.
 */
#pragma once

#include <stddef.h>

enum elf_verdict {
	ELF_LOADS, /* the library, as far as can be told */
	ELF_IGNORES, /* it: LD_PRELOAD has no effect, or not for every user */
	ELF_BREAKS, /* by it: the program belongs to another loader */
};

/*
 * Return which of these the program does, and unless it loads the library store
 * a sentence with the reason in `why`: the program is static, is for another
 * machine or loader, or runs with other rights than its caller. For a script,
 * check its interpreter. A file that cannot be read is taken to load it.
 */
enum elf_verdict elf_check(const char *path, char *why, size_t cap);
