/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena/state.h"

struct arena arena;
struct region arena_bounds, arena_heap_zone, arena_data;

enum arena_state arena_state(void)
{
	return atom_load_acquire(&arena.state);
}

const struct arena_os *arena_kernel(void)
{
	return arena.os;
}

const char *arena_why_off(void)
{
	return arena_state() == ARENA_OFF ? arena.why_off : "";
}

bool arena_start_once(void)
{
	enum arena_state fresh = ARENA_NEW;

	return atom_cas(&arena.state, &fresh, ARENA_STARTING);
}

void arena_stay_off(const char *why)
{
	arena.why_off = why;
	atom_store_release(&arena.state, ARENA_OFF);
}
