/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* From addresses to frames, for the files above; the rest is in arena.h. */
#pragma once

#include "preload/arena/state.h"

/* The frames of the arena, online or not, that the region covers. */
struct span span_within(struct region r);
