/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include <llfree_platform.h>

struct llfree_retry_line llfree_retry_lines[RETRY_LINES];
