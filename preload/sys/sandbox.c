/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/sys/sandbox.h"

#include "preload/sys/atomic.h"

static bool entered;

void sandbox_entered(void)
{
	atom_store(&entered, true);
}

bool sandboxed(void)
{
	return atom_load(&entered);
}
