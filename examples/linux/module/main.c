// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: the llfree-preload contributors

/*
 * insmod llfree.ko do=WHAT [mib=N] [rounds=N] [mistake=N]
 *
 * LLFree beside the kernel's own allocator, on memory of the kernel. What there
 * is to do is done while the module is loaded; it can be removed then.
 */
#include <linux/module.h>
#include <linux/string.h>

#include "examples/linux/module/bench.h"
#include "examples/linux/module/frames.h"
#include "examples/linux/module/side.h"

static char *what = "stress";
module_param_named(do, what, charp, 0444);
MODULE_PARM_DESC(do, "bench, frag, instructions or stress");

static unsigned int mib = 256;
module_param(mib, uint, 0444);
MODULE_PARM_DESC(mib, "memory to take from the kernel, in MiB");

static unsigned int rounds = 10000;
module_param(rounds, uint, 0444);
MODULE_PARM_DESC(rounds, "steps of the stress on each processor");

static unsigned int mistake;
module_param(mistake, uint, 0444);
MODULE_PARM_DESC(mistake, "1: put a block twice; 2: forget one");

static int do_it(void)
{
	if (!strcmp(what, "bench"))
		return bench();
	if (!strcmp(what, "frag"))
		return frag();
	if (!strcmp(what, "instructions"))
		return instructions(sides, SIDES);
	if (!strcmp(what, "stress"))
		return stress(rounds, mistake);
	return -EINVAL;
}

static int __init llfree_module_init(void)
{
	int error = frames_init(mib);

	if (error)
		return error;
	error = do_it();
	llfree_validate(frames_llfree());
	if (error)
		frames_exit();
	else
		pr_info("llfree: done\n");
	return error;
}

static void __exit llfree_module_exit(void)
{
	frames_exit();
}

module_init(llfree_module_init);
module_exit(llfree_module_exit);
MODULE_DESCRIPTION("LLFree beside the kernel's page allocator");
MODULE_LICENSE("Dual MIT/GPL");
