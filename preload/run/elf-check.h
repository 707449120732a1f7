/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Looks at a program's file: will the loader load a preload library into it?
 * For llfree-run; uses libc.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether there is something to warn of, with the sentence in `why`: a static
 * program, one for another machine or loader, one that runs with other rights
 * than its caller. Scripts are followed to their interpreter. A file that
 * cannot be read gives no warning.
 */
bool elf_look(const char *path, char *why, size_t cap);
