/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The kernel's personality(2) of the process, as far as memory differs by it:
 * programs that are saved images of a running Lisp set it and rely on it.
 *
 * Any thread at any time.
 */
#pragma once

#include <stdbool.h>

/* Whether the program may count on its heap right behind its data: it lies where
 * it was linked to lie, and the kernel is not to place anything at random. Not
 * known, and false, in a sandbox. */
bool personality_places_heap(void);

/* Note that the program has set this personality. */
void personality_changed(unsigned long persona);

/* Whether memory that the program maps now to read is executable as well, where
 * the same was not so at the start; and the protection that it gets. */
bool personality_executes(void);
int personality_protection(int prot);
