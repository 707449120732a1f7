/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/upkeep.h"

#include "preload/arena.h"
#include "preload/real.h"

__thread unsigned upkeep_calls;

void upkeep_start(void)
{
	real_clock_start();
}

void upkeep_look(void)
{
	uint64_t now = real_clock_ms();

	upkeep_calls = 0;
	if (now)
		arena_age(now, ARENA_PURGE);
}
