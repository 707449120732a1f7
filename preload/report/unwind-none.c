/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/report/unwind.h"

const char *unwind_start(void)
{
	return "this library was built without libunwind";
}

size_t unwind_stack(uintptr_t *frames, size_t max)
{
	(void)frames;
	(void)max;
	return 0;
}
