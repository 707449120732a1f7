/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Names for code addresses: the loader's symbols of every library, and of the
 * program all symbols that its file still has.
 *
 * Nothing is opened after symbolize_start, so a sandbox that the program has
 * entered meanwhile does not matter.
 */
#pragma once

#include <stdint.h>

struct symbol {
	const char *function; /* NULL: not known */
	const char *module; /* file name without folders; NULL: no file */
	const char *path; /* of the module, NULL likewise */
	uintptr_t function_offset;
	uintptr_t module_offset; /* as addr2line takes it */
};

/* In the constructor: maps the program's file. */
void symbolize_start(void);

struct symbol symbolize(uintptr_t addr);
