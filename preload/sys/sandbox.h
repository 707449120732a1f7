/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Whether the process is in a sandbox that may kill it for a system call that
 * libc's allocator does not make. Such calls are left out from then on.
 *
 * Any thread at any time.
 */
#pragma once

#include <stdbool.h>

/* The process has entered a sandbox, or is about to. */
void sandbox_entered(void);

bool sandboxed(void);
