/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What all calls share that the library takes over, by symbol and inside libc.
 * Each call asks whether the arena is concerned and then calls it or the
 * kernel; what it counts is in report/stats.h. Calls may come at any time:
 * before the constructor and after the destructors, in signal handlers, after
 * vfork. An exported function marks itself EXPORT and has a line in
 * preload.map.
 */
#pragma once

#include "preload/arena/arena.h"
#include "preload/housekeeping.h"
#include "preload/report/stats.h"
#include "preload/sys/compat.h"
#include "preload/sys/process.h"
#include "preload/sys/sys.h"

#define EXPORT __attribute__((visibility("default")))
