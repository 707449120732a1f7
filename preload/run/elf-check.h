/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Tell from the file of a program whether the loader will load a preload library
 * into it. For llfree-run; uses libc.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Return whether it will not, or not for every user, and store a sentence with
 * the reason in `why`: the program is static, is for another machine or loader,
 * or runs with other rights than its caller. For a script, check its
 * interpreter. For a file that cannot be read, return false.
 */
bool elf_check(const char *path, char *why, size_t cap);
