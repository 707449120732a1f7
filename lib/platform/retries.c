/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include <llfree_platform.h>

uint64_t llfree_platform_retries;
