/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * mlockall of what is the program's. The kernel compares all that is mapped
 * with the limit on locked memory, and with it what is ours: the allocator's
 * data, this library, free memory of the arena. When it refuses, this compares
 * the rest, and locks that mapping by mapping.
 *
 * Any thread at any time; what others map meanwhile may be locked or not. No
 * lock, no memory of its own. 0 or -errno.
 */
#pragma once

long lock_all(int flags);
