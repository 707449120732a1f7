/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* System V shared memory, where it is attached over the arena. */
#include "preload/calls/calls.h"

#include <sys/shm.h>

/* The region that a segment takes at `addr`; empty when there is none, or the
 * kernel does not tell. */
static struct region segment(int id, const void *addr)
{
	uintptr_t start = (uintptr_t)addr & ~(SHMLBA - 1ul);
	struct region r;
	struct shmid_ds ds;

	if (!addr || sys_call(SYS_shmctl, id, IPC_STAT, (long)&ds, 0, 0, 0) ||
	    !region_of((const void *)start, ds.shm_segsz, &r))
		return region(start, 0);
	return r;
}

/* Over something that is mapped only with SHM_REMAP, as free memory of the
 * arena is. */
EXPORT void *shmat(int id, const void *addr, int flags)
{
	struct arena_detached detached = { .count = 0 };
	struct region want = segment(id, addr);
	long at;

	process_enter();
	if (want.len && flags & SHM_REMAP)
		detached = arena_detach(want);
	else if (want.len)
		detached = arena_detach_free(want);
	if (detached.count)
		flags |= SHM_REMAP;
	at = sys_call(SYS_shmat, id, (long)addr, flags, 0, 0, 0);
	if (sys_failed(at))
		arena_reattach(&detached, false);
	else
		arena_detach(region((uintptr_t)at, detached.region.len));
	return sys_result_ptr(at);
}

EXPORT int shmdt(const void *addr)
{
	long failed;

	process_enter();
	failed = sys_call(SYS_shmdt, (long)addr, 0, 0, 0, 0, 0);
	if (!failed)
		arena_reclaim_hole((uintptr_t)addr);
	return (int)sys_result(failed);
}
