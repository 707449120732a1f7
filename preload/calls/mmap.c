/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The calls that the library takes over, by symbol and inside libc. Each one
 * asks whether the arena is concerned and then calls it or the kernel; what
 * they count is in stats.h. They may run at any time: before the constructor
 * and after the destructors, in signal handlers, after vfork.
 */
#include "preload/calls/range.h"
#include "preload/arena/arena.h"
#include "preload/background.h"
#include "preload/config.h"
#include "preload/calls/brk.h"
#include "preload/hook/hook.h"
#include "preload/calls/mlock.h"
#include "preload/calls/mremap.h"
#include "preload/sys/personality.h"
#include "preload/report/profile.h"
#include "preload/sys/sys.h"
#include "preload/report/report.h"
#include "preload/reason.h"
#include "preload/report/stats.h"
#include "preload/housekeeping.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define MIB ((size_t)1 << 20)

/* With less address space than that, what our trees leave unused would be
 * missed. */
#define ADDRESS_SPACE_LEAST (256 * MIB)

#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* ------------------------------------------------------------------------ */
/* Setting up                                                                */

static const struct arena_os kernel = {
	.mmap = sys_mmap,
	.munmap = sys_munmap,
	.mprotect = sys_mprotect,
	.mremap = sys_mremap,
	.madvise = sys_madvise,
	.munlock = sys_munlock,
	.mincore = sys_mincore,
	.cpu = sys_cpu,
	.alone = background_alone,
	.yield = sys_yield,
};

/* The sanitizers' run-time libraries know every mapping of their program. */
void __asan_init(void) __attribute__((weak));
void __tsan_init(void) __attribute__((weak));
void __msan_init(void) __attribute__((weak));

static bool has_sanitizer(void)
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

/* Where libc keeps the break, NULL until its first call of brk. */
extern void *__curbrk __attribute__((weak));

/* Why the heap stays with the kernel, NULL if it need not. What is there
 * already cannot move, and malloc takes two places for a mistake. */
static const char *heap_refused(const struct config *settings)
{
	if (settings->hook != CONFIG_HOOK_BRK)
		return "not wanted";
	if (!&__curbrk)
		return "libc does not say where it is";
	if (__curbrk)
		return "in use before us";
	return personality_places_heap() ? "its place is behind the program"
					 : NULL;
}

static int advice_for(uint64_t thp)
{
	return thp == CONFIG_THP_ALWAYS	 ? MADV_HUGEPAGE
	       : thp == CONFIG_THP_NEVER ? MADV_NOHUGEPAGE
					 : 0;
}

static void start_arena(const struct config *settings)
{
	size_t space = limit_of(RLIMIT_AS), data = limit_of(RLIMIT_DATA);
	struct arena_options options = {
		.bytes = memory_at_most(settings->arena),
		.page = sys_page_size(),
		.hint = getauxval(AT_RANDOM),
		.limited = space != RLIM_INFINITY || data != RLIM_INFINITY,
		.strict = settings->strict,
		.decay = settings->decay_ms,
		.max = settings->max,
		.advice = advice_for(settings->thp),
		.heap = !heap_refused(settings),
	};

	if (sys_prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0)
		sandbox_entered();
	if (has_sanitizer()) {
		arena_stay_off("the program was built with a sanitizer");
		hook_skip(arena_why_off());
	} else if (space < ADDRESS_SPACE_LEAST || data < ADDRESS_SPACE_LEAST)
		arena_stay_off("the address space is limited too much");
	else {
		options.cores = options.limited ? 1 : processors();
		arena_start(&kernel, &options);
	}
}

static bool wants_counters(const struct config *settings)
{
	return settings->stats != CONFIG_STATS_OFF ||
	       settings->stats_signal != CONFIG_SIGNAL_NONE ||
	       settings->stats_interval;
}

/* One caller sets everything up; the others go on without meanwhile. */
static bool start(void)
{
	if (!arena_start_once())
		return arena_state() == ARENA_READY;
	if (wants_counters(config())) {
		stats_on_fork(report_forked);
		stats_start();
		report_open(config());
	}
	start_arena(config());
	return arena_state() == ARENA_READY;
}

static inline bool ready(void)
{
	enum arena_state state = arena_state();

	if (__builtin_expect(state == ARENA_READY, 1))
		return true;
	return state == ARENA_NEW && start();
}

/* In whole pages; 0 when there is no such number. */
static size_t whole_pages(size_t len)
{
	size_t mask = sys_page_size() - 1;

	return (len + mask) & ~mask;
}

/* The same, but what the kernel will refuse stays as it is. */
static size_t length(size_t len)
{
	return whole_pages(len) ? whole_pages(len) : len;
}

/* ------------------------------------------------------------------------ */
/* Mapping                                                                   */

/* What the kernel makes of it. */
static int effective(int prot)
{
	return prot & PROT_READ && personality_executes() ? prot | PROT_EXEC
							  : prot;
}

static enum reason serve(void *addr, size_t len, int prot, int flags,
			 off_t offset, void **served)
{
	enum reason why = reason_to_pass(addr, len, effective(prot), flags,
					 offset, sys_page_size(),
					 config()->max_region);

	if (why == REASON_TOO_LARGE && config()->max && len > config()->max)
		return REASON_MAX;
	if (why != REASON_NONE)
		return why;
	if (arena_state() != ARENA_READY)
		return arena_state() == ARENA_OFF ? REASON_OFF : REASON_EARLY;
	return arena_get(len, flags & MAP_POPULATE, served);
}

/* Over memory of ours, or where it was: as fresh memory of ours. True when that
 * was done, or *failed: -errno. */
static bool serve_placed(void *addr, size_t len, int prot, int flags,
			 off_t offset, long *failed)
{
	size_t whole = whole_pages(len);
	uintptr_t at = (uintptr_t)addr;
	int others = flags & ~(MAP_FIXED | MAP_FIXED_NOREPLACE);
	long result;

	if (!arena_touches(at, whole) || whole < len || at + whole < at ||
	    at % sys_page_size() ||
	    reason_to_pass(NULL, len, prot, others, offset, sys_page_size(),
			   SIZE_MAX) != REASON_NONE)
		return false;
	if (!(flags & MAP_FIXED))
		return arena_is_free(at, whole) && arena_get_at(at, whole);
	result = arena_map_over(at, whole, flags & MAP_POPULATE);
	*failed = result < 0 ? result : 0;
	return result <= 0;
}

/* What the kernel takes for a wish, not for a demand: it would be granted where
 * nothing is mapped at the moment, in free memory that may be on its way to
 * someone. */
static uintptr_t wish(uintptr_t addr, size_t len)
{
	uintptr_t start = addr & ~(sys_page_size() - 1);
	uintptr_t end = start + len + sys_page_size();

	return end > start && arena_has(start, end - start) ? 0 : addr;
}

static long map_by_kernel(void *addr, size_t len, int prot, int flags, int fd,
			  off_t offset)
{
	size_t whole = whole_pages(len);
	struct arena_detached detached = { 0 };
	uintptr_t want = (uintptr_t)addr;
	long at;

	if (want % sys_page_size() || want + whole < want || whole < len)
		whole = 0;
	if (flags & MAP_FIXED)
		detached = arena_detach(want, whole);
	else if (flags & MAP_FIXED_NOREPLACE)
		detached = arena_detach_free(want, whole);
	else
		addr = (void *)wish(want, whole_pages(len));
	if (detached.count)
		flags = (flags & ~MAP_FIXED_NOREPLACE) | MAP_FIXED;
	at = sys_mmap(addr, len, prot, flags, fd, offset);
	if (at == -ENOMEM && arena_trim())
		at = sys_mmap(addr, len, prot, flags, fd, offset);
	if (sys_failed(at))
		arena_reattach(&detached, false);
	else
		arena_detach((uintptr_t)at, whole_pages(len));
	return at;
}

EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd,
		  off_t offset)
{
	void *served;
	enum reason why;
	long failed = 0;

	stats_enter();
	ready();
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
	return sys_result_ptr(
		failed ? failed
		       : map_by_kernel(addr, len, prot, flags, fd, offset));
}

EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd,
		    off_t offset) __attribute__((alias("mmap")));

EXPORT int munmap(void *addr, size_t len)
{
	struct arena_tally tally = { 0, 0 };
	uintptr_t at = (uintptr_t)addr;
	size_t whole = whole_pages(len);
	long failed;

	stats_enter();
	if (!arena_touches(at, whole) || whole < len || at + whole < at ||
	    at % sys_page_size()) {
		failed = sys_munmap(addr, len);
		tally.kernel = failed ? 0 : whole;
	} else
		failed = arena_unmap(at, whole, &tally);
	if (tally.ours)
		stats_served(STAT_MUNMAP_SERVED, tally.ours);
	if (tally.kernel || failed)
		stats_served(STAT_MUNMAP_PASSED, tally.kernel);
	housekeeping_tick(whole);
	return (int)sys_result(failed);
}

EXPORT void *mremap(void *addr, size_t old_len, size_t new_len, int flags, ...)
{
	struct move move = {
		.old = (uintptr_t)addr,
		.old_len = whole_pages(old_len),
		.new_len = whole_pages(new_len),
		.flags = flags,
		.page = sys_page_size(),
		.max = config()->max_region,
	};
	enum reason why = REASON_OUTSIDE;
	long at;

	stats_enter();
	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
		va_list args;

		va_start(args, flags);
		move.fixed = va_arg(args, uintptr_t);
		va_end(args);
	}
	if (!(flags & MREMAP_FIXED))
		move.fixed = wish(move.fixed, move.new_len);
	if (move_concerns_arena(&move))
		at = move_region(&move, &why);
	else
		at = sys_mremap(addr, old_len, new_len, flags,
				(void *)move.fixed);
	if (why == REASON_NONE)
		stats_served(STAT_MREMAP_SERVED, move.new_len);
	else
		stats_passed(STAT_MREMAP_PASSED, why, move.new_len);
	housekeeping_tick(new_len);
	return sys_result_ptr(at);
}

/* ------------------------------------------------------------------------ */
/* Altering and asking                                                       */

static int altered(const struct alter *alter)
{
	return (int)sys_result(alter_range(alter));
}

EXPORT int mprotect(void *addr, size_t len, int prot)
{
	struct alter alter = {
		.number = SYS_mprotect,
		.args = { prot },
		.addr = (uintptr_t)addr,
		.len = length(len),
		.alters = prot != (PROT_READ | PROT_WRITE),
		.hole_error = ENOMEM,
	};

	stats_count(STAT_MPROTECT, 1);
	return altered(&alter);
}

EXPORT int pkey_mprotect(void *addr, size_t len, int prot, int pkey)
{
	struct alter alter = {
		.number = SYS_pkey_mprotect,
		.args = { prot, pkey },
		.addr = (uintptr_t)addr,
		.len = length(len),
		.alters = true,
		.hole_error = ENOMEM,
	};

	if (pkey == -1)
		return mprotect(addr, len, prot);
	stats_count(STAT_MPROTECT, 1);
	return altered(&alter);
}

static long advise(void *addr, size_t len, int advice)
{
	struct alter alter = {
		.number = SYS_madvise,
		.args = { advice },
		.addr = (uintptr_t)addr,
		.len = length(len),
		.alters = alter_by_advice(advice),
		.holes = alter_holes(advice),
		.hole_error = ENOMEM,
	};

	stats_count(STAT_MADVISE, 1);
	return alter_range(&alter);
}

EXPORT int madvise(void *addr, size_t len, int advice)
{
	return (int)sys_result(advise(addr, len, advice));
}

/* Returns the error; POSIX_MADV_DONTNEED must not lose contents. */
EXPORT int posix_madvise(void *addr, size_t len, int advice)
{
	if (advice == POSIX_MADV_DONTNEED)
		return 0;
	return (int)-advise(addr, len, advice);
}

/* Pages that the range touches: as the kernel rounds for locks. If it fails
 * because of a hole, what is before that is locked, and not populated. */
static int lock_range(long number, const void *addr, size_t len, long flags,
		      bool locks)
{
	uintptr_t start = (uintptr_t)addr & ~(sys_page_size() - 1);
	struct alter alter = {
		.number = number,
		.args = { flags },
		.addr = start,
		.len = whole_pages(len + ((uintptr_t)addr - start)),
		.alters = locks,
		.hole_error = ENOMEM,
	};

	if (locks && alter_meets_hole(&alter)) {
		alter.number = SYS_mlock2;
		alter.args[0] |= MLOCK_ONFAULT;
	}
	return altered(&alter);
}

EXPORT int mlock(const void *addr, size_t len)
{
	return lock_range(SYS_mlock, addr, len, 0, true);
}

EXPORT int mlock2(const void *addr, size_t len, unsigned flags)
{
	return lock_range(SYS_mlock2, addr, len, flags, true);
}

EXPORT int munlock(const void *addr, size_t len)
{
	return lock_range(SYS_munlock, addr, len, 0, false);
}

/* What is mapped from now on would be locked, and with it what no one uses of
 * the arena: it stays as it is meanwhile. */
EXPORT int mlockall(int flags)
{
	bool future = flags & MCL_FUTURE;
	bool before = future && arena_lock_all(true);
	long failed;

	arena_close_free();
	failed = lock_all(flags);
	if (future ? failed : !failed)
		arena_lock_all(before);
	if (!failed && flags & MCL_CURRENT)
		arena_locked();
	return (int)sys_result(failed);
}

EXPORT int munlockall(void)
{
	long failed = sys_call(SYS_munlockall, 0, 0, 0, 0, 0, 0);

	if (!failed)
		arena_lock_all(false);
	return (int)sys_result(failed);
}

EXPORT int mincore(void *addr, size_t len, unsigned char *vec)
{
	struct alter alter = {
		.number = SYS_mincore,
		.args = { (long)vec },
		.addr = (uintptr_t)addr,
		.len = length(len),
		.hole_error = ENOMEM,
	};

	return altered(&alter);
}

EXPORT int msync(void *addr, size_t len, int flags)
{
	struct alter alter = {
		.number = SYS_msync,
		.args = { flags },
		.addr = (uintptr_t)addr,
		.len = length(len),
		.holes = HOLES_FAIL,
		.hole_error = ENOMEM,
	};

	return altered(&alter);
}

/* Declared by libnuma only. */
long mbind(void *addr, unsigned long len, int mode, const unsigned long *nodes,
	   unsigned long max, unsigned flags);

EXPORT long mbind(void *addr, unsigned long len, int mode,
		  const unsigned long *nodes, unsigned long max, unsigned flags)
{
	struct alter alter = {
		.number = SYS_mbind,
		.args = { mode, (long)nodes, (long)max, flags },
		.addr = (uintptr_t)addr,
		.len = length(len),
		.alters = true,
		.holes = mode == MPOL_DEFAULT ? HOLES_PASS : HOLES_END,
		.hole_error = EFAULT,
	};

	return altered(&alter);
}

EXPORT int remap_file_pages(void *addr, size_t len, int prot, size_t page,
			    int flags)
{
	struct alter alter = {
		.number = SYS_remap_file_pages,
		.args = { prot, (long)page, flags },
		.addr = (uintptr_t)addr,
		.len = length(len),
		.alters = true,
		.hole_error = EINVAL,
	};

	/* All or nothing. */
	if (alter_meets_hole(&alter))
		return (int)sys_result(-EINVAL);
	return altered(&alter);
}

/* 0 when there is none. */
static size_t segment_length(int id)
{
	struct shmid_ds ds;

	return sys_call(SYS_shmctl, id, IPC_STAT, (long)&ds, 0, 0, 0)
		       ? 0
		       : whole_pages(ds.shm_segsz);
}

/* Over something that is mapped only with SHM_REMAP, as free memory of ours
 * is. */
EXPORT void *shmat(int id, const void *addr, int flags)
{
	struct arena_detached detached = { 0 };
	uintptr_t want = (uintptr_t)addr & ~(SHMLBA - 1ul);
	size_t len = addr ? segment_length(id) : 0;
	long at;

	if (len && flags & SHM_REMAP)
		detached = arena_detach(want, len);
	else if (len)
		detached = arena_detach_free(want, len);
	if (detached.count)
		flags |= SHM_REMAP;
	at = sys_call(SYS_shmat, id, (long)addr, flags, 0, 0, 0);
	if (sys_failed(at))
		arena_reattach(&detached, false);
	else
		arena_detach((uintptr_t)at, detached.len);
	return sys_result_ptr(at);
}

EXPORT int shmdt(const void *addr)
{
	long failed = sys_call(SYS_shmdt, (long)addr, 0, 0, 0, 0, 0);

	if (!failed)
		arena_reclaim_hole((uintptr_t)addr);
	return (int)sys_result(failed);
}

/* ------------------------------------------------------------------------ */
/* The main heap                                                             */

/* The heap behind `before` is new. */
static void set_rights(uintptr_t before, uintptr_t now)
{
	uintptr_t start = whole_pages(before);

	if (personality_executes() && now > start)
		mprotect((void *)start, now - start, PROT_READ | PROT_WRITE);
}

/* Instead of libc's, which sbrk calls as well: never by symbol alone. */
static int move_break(void *addr)
{
	uintptr_t want = (uintptr_t)addr, before, now;
	size_t more;

	stats_enter();
	before = brk_move(0);
	now = brk_move(want);
	more = want > before ? want - before : 0;
	__curbrk = (void *)now;
	housekeeping_tick(more);
	if (now >= want) {
		set_rights(before, now);
		if (more)
			stats_served(STAT_BRK_SERVED, more);
		return 0;
	}
	stats_passed(STAT_BRK_PASSED, REASON_HEAP_FULL, more);
	errno = ENOMEM;
	return -1;
}

/* ------------------------------------------------------------------------ */
/* The end, and the beginning                                                */

static bool exit_hooked;
static bool exiting;

EXPORT __attribute__((noreturn)) void _exit(int status)
{
	report_last(exiting ? "exit" : "_exit");
	sys_exit_group(status);
}

EXPORT __attribute__((noreturn)) void _Exit(int status)
{
	_exit(status);
}

/* What comes last is _exit; if we do not see it, this has to do. */
static void leave(void)
{
	exiting = true;
	if (!exit_hooked)
		report_last("exit");
}

enum { HOOK_EXIT = 5, HOOK_BRK };

static struct hook hooks[] = {
	{ .symbol = "munmap", .ours = (void (*)(void))munmap, .test = true },
	{ .symbol = "mremap", .ours = (void (*)(void))mremap, .test = true },
	{ .symbol = "madvise", .ours = (void (*)(void))madvise, .test = true },
	{ .symbol = "mprotect",
	  .ours = (void (*)(void))mprotect,
	  .test = true },
	{ .symbol = "mmap",
	  .ours = (void (*)(void))mmap,
	  .test = true,
	  .needs_all = true },
	[HOOK_EXIT] = { .symbol = "_exit", .ours = (void (*)(void))_exit },
	[HOOK_BRK] = { .symbol = "brk",
		       .ours = (void (*)(void))move_break,
		       .test = true,
		       .needs_all = true,
		       .apart = true },
};
#define HOOKS (sizeof(hooks) / sizeof(hooks[0]))

static void take_hooks(const struct config *settings)
{
	hooks[HOOK_BRK].why_not = heap_refused(settings);
	if (settings->hook == CONFIG_HOOK_SYMBOLS)
		hook_skip("LLFREE_HOOK=symbols");
	else if (arena_state() == ARENA_OFF)
		hook_skip(arena_why_off());
	else
		hook_install(hooks, HOOKS);
	exit_hooked = hooks[HOOK_EXIT].took;
}

static void take_signal(const struct config *settings)
{
	static const int numbers[] = {
		[CONFIG_SIGNAL_NONE] = 0,	[CONFIG_SIGNAL_HUP] = SIGHUP,
		[CONFIG_SIGNAL_USR1] = SIGUSR1, [CONFIG_SIGNAL_USR2] = SIGUSR2,
		[CONFIG_SIGNAL_QUIT] = SIGQUIT,
	};

	report_on_signal(numbers[settings->stats_signal]);
}

static void forked(void)
{
	arena_forget_threads();
	background_forked();
	stats_forked();
}

/* This runs before libc's own constructor, which is to set these. */
static void set_for_libc(char **argv, char **env)
{
	if (!environ)
		environ = env;
	if (!program_invocation_name[0] && argv[0])
		program_invocation_name = argv[0];
}

/* -z initfirst: before anything of the program's can use its heap. A sanitizer
 * has functions of its own in front of libc's, which do not work yet: what the
 * report needs waits for the program's first call then, or its end. */
static __attribute__((constructor)) void set_up(int argc, char **argv,
						char **env)
{
	const struct config *settings;

	(void)argc;
	set_for_libc(argv, env);
	if (has_sanitizer())
		return;
	settings = config();
	ready();
	housekeeping_start(settings);
	take_signal(settings);
	take_hooks(settings);
	pthread_atfork(arena_quiesce, arena_resume, forked);
	at_quick_exit(leave);
	background_start(settings);
	if (settings->profile)
		profile_start();
	if (settings->verbose)
		report_settings(settings);
}

static __attribute__((destructor)) void tear_down(void)
{
	ready();
	leave();
}
