/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Setting up: the arena, statistics, and what a child of fork does. That
 * happens in our constructor, or at the first call of mmap, if that comes
 * earlier.
 */
#pragma once

#include "preload/arena/arena.h"
#include "preload/config.h"

#include <stdbool.h>

/* One caller sets everything up; the others go on without meanwhile. */
void setup(void);

static inline void setup_ready(void)
{
	if (__builtin_expect(arena_state() == ARENA_NEW, 0))
		setup();
}

/* Whether the program was built with a sanitizer, whose run-time library knows
 * every mapping of the program. */
bool setup_has_sanitizer(void);

/* Why the heap stays with the kernel, NULL if it need not. */
const char *setup_heap_refused(const struct config *settings);
