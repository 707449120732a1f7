/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* mmap, munmap and mremap. */
#include "preload/calls/calls.h"
#include "preload/calls/mremap.h"
#include "preload/calls/setup.h"
#include "preload/report/profile.h"
#include "preload/sys/personality.h"

#include <errno.h>
#include <stdarg.h>

/* ------------------------------------------------------------------------ */
/* mmap                                                                      */

static enum reason serve(void *addr, size_t len, int prot, int flags,
			 off_t offset, void **served)
{
	enum reason why =
		reason_to_pass(addr, len, personality_protection(prot), flags,
			       offset, sys_page_size(), config()->max_region);

	if (why == REASON_TOO_LARGE && config()->max && len > config()->max)
		return REASON_MAX;
	if (why != REASON_NONE)
		return why;
	if (arena_state() != ARENA_READY)
		return arena_state() == ARENA_OFF ? REASON_OFF : REASON_EARLY;
	return arena_get(len, flags & MAP_POPULATE, served);
}

/* Over memory of the arena, or where it was: as fresh memory of the arena. True
 * when that was done, or *failed: -errno. */
static bool serve_placed(void *addr, size_t len, int prot, int flags,
			 off_t offset, long *failed)
{
	int others = flags & ~(MAP_FIXED | MAP_FIXED_NOREPLACE);
	struct region r;
	long result;

	if (!region_of(addr, len, &r) || !arena_touches(r) ||
	    reason_to_pass(NULL, len, prot, others, offset, sys_page_size(),
			   SIZE_MAX) != REASON_NONE)
		return false;
	if (!(flags & MAP_FIXED))
		return arena_is_free(r) && arena_get_at(r);
	result = arena_map_over(r, flags & MAP_POPULATE);
	*failed = result < 0 ? result : 0;
	return result <= 0;
}

/* An address that the caller does not insist on. In free memory of the arena
 * the kernel would grant it where nothing is mapped at the moment, although the
 * memory may be on its way to another thread: then there is no hint. */
static uintptr_t address_hint(uintptr_t addr, size_t len)
{
	uintptr_t start = page_of((const void *)addr);
	uintptr_t end = start + len + sys_page_size();

	return end > start && arena_has(region(start, end - start)) ? 0 : addr;
}

static long map_by_kernel(void *addr, size_t len, int prot, int flags, int fd,
			  off_t offset)
{
	struct arena_detached detached = { .count = 0 };
	struct region want;
	long at;

	if (!(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
		addr = (void *)address_hint((uintptr_t)addr, whole_pages(len));
	else if (region_of(addr, len, &want))
		detached = flags & MAP_FIXED ? arena_detach(want)
					     : arena_detach_free(want);
	if (detached.count)
		flags = (flags & ~MAP_FIXED_NOREPLACE) | MAP_FIXED;
	at = sys_mmap(addr, len, prot, flags, fd, offset);
	if (at == -ENOMEM && arena_trim())
		at = sys_mmap(addr, len, prot, flags, fd, offset);
	if (sys_failed(at))
		arena_reattach(&detached, false);
	else
		arena_detach(region((uintptr_t)at, whole_pages(len)));
	return at;
}

EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd,
		  off_t offset)
{
	void *served;
	enum reason why;
	long failed = 0;

	/* As the kernel, which takes both flags for the second. */
	if (flags & MAP_FIXED_NOREPLACE)
		flags &= ~MAP_FIXED;
	process_enter();
	setup_ready();
	why = serve(addr, len, prot, flags, offset, &served);
	if ((why == REASON_FIXED || why == REASON_HINT) &&
	    serve_placed(addr, len, prot, flags, offset, &failed)) {
		why = failed ? why : REASON_NONE;
		served = addr;
	}
	profile_record(why == REASON_NONE, len);
	housekeeping_tick(len);
	if (why == REASON_NONE) {
		stats_mapped(whole_pages(len), sys_page_size());
		return served;
	}
	stats_passed(STAT_MMAP_PASSED, why, len);
	if (why == REASON_MAX)
		failed = -ENOMEM;
	if (!failed)
		failed = map_by_kernel(addr, len, prot, flags, fd, offset);
	return sys_result_ptr(failed);
}

EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd,
		    off_t offset) __attribute__((alias("mmap")));

/* ------------------------------------------------------------------------ */
/* munmap                                                                    */

EXPORT int munmap(void *addr, size_t len)
{
	struct arena_tally tally = { 0, 0 };
	struct region r;
	long failed;

	process_enter();
	if (region_of(addr, len, &r) && arena_touches(r)) {
		failed = arena_unmap(r, &tally);
	} else {
		failed = sys_munmap(addr, len);
		tally.kernel = failed ? 0 : r.len;
	}
	if (tally.ours)
		stats_served(STAT_MUNMAP_SERVED, tally.ours);
	if (tally.kernel || failed)
		stats_served(STAT_MUNMAP_PASSED, tally.kernel);
	housekeeping_tick(r.len);
	return (int)sys_result(failed);
}

/* ------------------------------------------------------------------------ */
/* mremap                                                                    */

EXPORT void *mremap(void *addr, size_t old_len, size_t new_len, int flags, ...)
{
	struct mremap_call call = {
		.old = region((uintptr_t)addr, whole_pages(old_len)),
		.new_len = whole_pages(new_len),
		.flags = flags,
		.max = config()->max_region,
	};
	enum reason why = REASON_OUTSIDE;
	long at;

	process_enter();
	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
		va_list args;

		va_start(args, flags);
		call.to = va_arg(args, uintptr_t);
		va_end(args);
	}
	if (!(flags & MREMAP_FIXED))
		call.to = address_hint(call.to, call.new_len);
	if (mremap_concerns_arena(&call))
		at = mremap_region(&call, &why);
	else
		at = sys_mremap(addr, old_len, new_len, flags, (void *)call.to);
	if (why == REASON_NONE)
		stats_served(STAT_MREMAP_SERVED, call.new_len);
	else
		stats_passed(STAT_MREMAP_PASSED, why, call.new_len);
	housekeeping_tick(new_len);
	return sys_result_ptr(at);
}
