/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/calls/setup.h"

#include "preload/background.h"
#include "preload/calls/brk.h"
#include "preload/calls/calls.h"
#include "preload/hook/hook.h"
#include "preload/report/profile.h"
#include "preload/report/report.h"
#include "preload/sys/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#define MIB ((size_t)1 << 20)

/* With less address space than that, what our trees leave unused would be
 * missed. */
#define ADDRESS_SPACE_LEAST (256 * MIB)

/* ------------------------------------------------------------------------ */
/* The kernel, as the arena sees it                                          */

/* In a sandbox, which may know the flags of ordinary allocators only, the
 * address is a hint. */
static long kernel_mmap(void *addr, size_t len, int prot, int flags, int fd,
			off_t offset)
{
	if (sandboxed())
		flags &= ~MAP_FIXED_NOREPLACE;
	return sys_mmap(addr, len, prot, flags, fd, offset);
}

static long kernel_mincore(void *addr, size_t len, unsigned char *vec)
{
	return sandboxed() ? -EPERM : sys_mincore(addr, len, vec);
}

static bool kernel_is_mapped(void *addr, size_t len)
{
	return !sandboxed() && !sys_madvise(addr, len, MADV_NORMAL);
}

static const struct arena_os kernel = {
	.mmap = kernel_mmap,
	.munmap = sys_munmap,
	.mprotect = sys_mprotect,
	.mremap = sys_mremap,
	.madvise = sys_madvise,
	.munlock = sys_munlock,
	.mincore = kernel_mincore,
	.is_mapped = kernel_is_mapped,
	.cpu = sys_cpu,
	.alone = background_alone,
	.yield = sys_yield,
};

/* ------------------------------------------------------------------------ */
/* The machine, the process and its limits                                   */

void __asan_init(void) __attribute__((weak));
void __tsan_init(void) __attribute__((weak));
void __msan_init(void) __attribute__((weak));

bool setup_has_sanitizer(void)
{
	return __asan_init != NULL || __tsan_init != NULL ||
	       __msan_init != NULL;
}

static size_t limit_of(int resource)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	sys_prlimit(resource, &limit);
	return limit.rlim_cur;
}

/* "0-7" or "0,2-3": one more than the last number. */
static size_t processors(void)
{
	char text[256];
	int fd = (int)sys_open("/sys/devices/system/cpu/possible",
			       O_RDONLY | O_CLOEXEC, 0);
	long len = fd < 0 ? -1 : sys_read(fd, text, sizeof(text));
	size_t number = 0;

	if (fd >= 0)
		sys_close(fd);
	for (long i = 0; i < len; i++) {
		if (text[i] >= '0' && text[i] <= '9')
			number = number * 10 + (size_t)(text[i] - '0');
		else if (text[i] != '\n')
			number = 0;
	}
	return len > 0 && number < 4096 ? number + 1 : 64;
}

/* More than all memory there is would only cost the allocator's own data. */
static size_t memory_at_most(size_t wanted)
{
	struct sysinfo info;
	size_t there;

	if (sys_call(SYS_sysinfo, (long)&info, 0, 0, 0, 0, 0))
		return wanted;
	there = (info.totalram + info.totalswap) * info.mem_unit;
	if (there < 256 * MIB)
		there = 256 * MIB;
	return wanted < there ? wanted : there;
}

static int advice_for(uint64_t thp)
{
	return thp == CONFIG_THP_ALWAYS	 ? MADV_HUGEPAGE
	       : thp == CONFIG_THP_NEVER ? MADV_NOHUGEPAGE
					 : 0;
}

const char *setup_heap_refused(const struct config *settings)
{
	return brk_refused(settings->hook == CONFIG_HOOK_BRK);
}

/* ------------------------------------------------------------------------ */
/* Starting                                                                  */

static void start_arena(const struct config *settings)
{
	static struct arena_options options;
	size_t space = limit_of(RLIMIT_AS), data = limit_of(RLIMIT_DATA);

	if (setup_has_sanitizer()) {
		arena_stay_off("the program was built with a sanitizer");
		hook_skip(arena_why_off());
		return;
	}
	if (space < ADDRESS_SPACE_LEAST || data < ADDRESS_SPACE_LEAST) {
		arena_stay_off("the address space is limited too much");
		return;
	}
	options = (struct arena_options){
		.bytes = memory_at_most(settings->arena),
		.page = sys_page_size(),
		.hint = getauxval(AT_RANDOM),
		.limited = space != RLIM_INFINITY || data != RLIM_INFINITY,
		.strict = settings->strict,
		.decay = settings->decay_ms,
		.max = settings->max,
		.advice = advice_for(settings->thp),
		.heap = !setup_heap_refused(settings),
	};
	options.cores = options.limited ? 1 : processors();
	arena_start(&kernel, &options);
}

static bool wants_counters(const struct config *settings)
{
	return settings->stats != CONFIG_STATS_OFF ||
	       settings->stats_signal != CONFIG_SIGNAL_NONE ||
	       settings->stats_interval;
}

/* All that a child of fork does, in this order. */
static void (*const in_child[])(void) = {
	arena_forked,	   stats_forked,   report_forked,
	background_forked, profile_forked, NULL,
};

void setup(void)
{
	if (!arena_start_once())
		return;
	if (sys_prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0)
		sandbox_entered();
	process_start(in_child);
	if (wants_counters(config())) {
		stats_start();
		report_open(config());
	}
	start_arena(config());
}
