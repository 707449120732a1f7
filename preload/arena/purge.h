/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Giving memory back. Free frames are borrowed from the allocator while they
 * are emptied, so that nothing else is served them meanwhile.
 *
 * There are two reasons to give back. Too much is dirty for what the program
 * does (usage.h): then the call that made it too much purges other frames, as
 * many as it has changed and a few more. Or memory is dirty for too long: a
 * clock hand goes round all huge frames, and marks what it finds dirty as aged;
 * what it finds aged, one round later, has not been used since. Both begin with
 * whole huge frames.
 *
 * arena_age and arena_age_step move that hand (arena.h).
 */
#pragma once

#include "preload/arena/state.h"

/* After `count` frames, at or behind `frame`, have become live or dirty: give
 * other frames back if too many are dirty now. */
void purge_excess(size_t frame, size_t count);

/* Alone, once the number of frames is known. */
void purge_set_up(void);
