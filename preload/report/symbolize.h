/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Names of code addresses: for libraries by the symbols that the loader knows,
 * for the program by all symbols that its file has.
 *
 * Nothing is opened after symbolize_start, so that a sandbox cannot forbid it.
 */
#pragma once

#include <stdint.h>

struct symbol {
	const char *function; /* NULL: not known */
	const char *module; /* its file, without folders; NULL: no file */
	const char *path; /* of the module, or NULL */
	uintptr_t function_offset;
	uintptr_t module_offset; /* as addr2line takes it */
};

/* Map the file of the program. Call it in the constructor. */
void symbolize_start(void);

struct symbol symbolize(uintptr_t addr);
