/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What the module can do. Each prints rows of CSV to the kernel's log, behind
 * the name of the table; 0, or a negative errno.
 */
#pragma once

#include <linux/printk.h>

struct side;

#define csv(table, format, ...) \
	pr_info("llfree: csv " table "," format "\n", __VA_ARGS__)

/* Time and contention of the workloads, on 1 to all processors. */
int bench(void);

/* Free huge frames, as single frames come and go. */
int frag(void);

/* Instructions of each call; where the time stamp counts instructions. */
int instructions(const struct side *sides, unsigned int count);

/* The stress of examples/bare/, with a mistake when that is not 0. */
int stress(unsigned int rounds, unsigned int mistake);
