/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/sys/sys.h"
#include "preload/report/unwind.h"

#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <ucontext.h>

/* The header of libunwind gives each function a name for the processor. These
 * macros make it a string. */
#define TEXT(name) #name
#define NAME(name) TEXT(name)

static struct {
	int (*init_local)(unw_cursor_t *, unw_context_t *);
	int (*step)(unw_cursor_t *);
	int (*get_reg)(unw_cursor_t *, int, unw_word_t *);
	int (*get_proc_info)(unw_cursor_t *, unw_proc_info_t *);
	int (*set_caching_policy)(unw_addr_space_t, unw_caching_policy_t);
	unw_accessors_t *(*get_accessors)(unw_addr_space_t);
	unw_addr_space_t *local;
} unwind;

/* Where the code and the data of this library are. */
static uintptr_t own_start, own_end;

static __thread uintptr_t good_page;
static size_t words_read;

/*
 * Return whether the word at `addr` can be read: the kernel copies a signal mask
 * from there before it finds that there is no such command. libunwind itself
 * writes to a pipe to find out, but its descriptors may belong to the program
 * by now.
 */
static bool readable(uintptr_t addr)
{
	const int no_command = -1;

	return sys_rt_sigprocmask(no_command, (const uint64_t *)addr, NULL) !=
	       -EFAULT;
}

/* Read a word, in place of libunwind's own function. The page that the walk read
 * last needs no check. */
static int read_word(unw_addr_space_t space, unw_word_t addr, unw_word_t *value,
		     int write, void *arg)
{
	uintptr_t page = addr / 4096;

	(void)space;
	(void)arg;
	if (write || addr % sizeof(unw_word_t) != 0)
		return -UNW_EINVAL;
	if (page != good_page && !readable(addr))
		return -UNW_EINVAL;
	good_page = page;
	words_read++;
	*value = *(const unw_word_t *)addr;
	return 0;
}

static size_t collect(unw_context_t *context, uintptr_t *frames, size_t max)
{
	unw_proc_info_t info;
	unw_cursor_t cursor;
	size_t count = 0;
	bool own = true;

	if (unwind.init_local(&cursor, context) != 0)
		return 0;
	while (count < max && unwind.step(&cursor) > 0) {
		unw_word_t ip = 0;

		unwind.get_reg(&cursor, UNW_REG_IP, &ip);
		own = own && ip >= own_start && ip < own_end;
		if (!own && ip != 0)
			frames[count++] = ip;
		/* Behind code without a file libunwind guesses. */
		if (unwind.get_proc_info(&cursor, &info) < 0)
			break;
	}
	return count;
}

size_t unwind_stack(uintptr_t *frames, size_t max)
{
	/* libunwind's context is libc's, or has the registers where libc has
	 * them. */
	union {
		unw_context_t unwind;
		ucontext_t libc;
	} context;
	int saved = errno;
	size_t count = 0;

	good_page = 0;
	if (getcontext(&context.libc) == 0)
		count = collect(&context.unwind, frames, max);
	errno = saved;
	return count;
}

/* ------------------------------------------------------------------------ */
/* Loading                                                                   */

static int own_visit(struct dl_phdr_info *object, size_t size, void *arg)
{
	uintptr_t start = UINTPTR_MAX, end = 0;
	uintptr_t self = (uintptr_t)&unwind;

	(void)size;
	(void)arg;
	for (size_t i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *phdr = &object->dlpi_phdr[i];
		uintptr_t at = object->dlpi_addr + phdr->p_vaddr;

		if (phdr->p_type != PT_LOAD)
			continue;
		start = at < start ? at : start;
		end = at + phdr->p_memsz > end ? at + phdr->p_memsz : end;
	}
	if (self < start || self >= end)
		return 0;
	own_start = start;
	own_end = end;
	return 1;
}

static bool load_one(void *library, const char *name, void *function)
{
	void *symbol = dlsym(library, name);

	memcpy(function, &symbol, sizeof(symbol));
	return symbol;
}

static bool load_all(void *library)
{
	return load_one(library, NAME(unw_init_local), &unwind.init_local) &&
	       load_one(library, NAME(unw_step), &unwind.step) &&
	       load_one(library, NAME(unw_get_reg), &unwind.get_reg) &&
	       load_one(library, NAME(unw_get_proc_info),
			&unwind.get_proc_info) &&
	       load_one(library, NAME(unw_set_caching_policy),
			&unwind.set_caching_policy) &&
	       load_one(library, NAME(unw_get_accessors),
			&unwind.get_accessors) &&
	       load_one(library, NAME(unw_local_addr_space), &unwind.local);
}

/* Store the numbers that the next two descriptors will have. */
static void next_descriptors(long *fds)
{
	fds[0] = sys_open("/dev/null", O_RDONLY | O_CLOEXEC, 0);
	fds[1] = sys_open("/dev/null", O_RDONLY | O_CLOEXEC, 0);
	for (size_t i = 0; i < 2; i++)
		if (!sys_failed(fds[i]))
			sys_close((int)fds[i]);
}

/* Close the pipe that libunwind has opened and does not need any more. */
static void close_pipe(const long *fds)
{
	struct stat st;

	for (size_t i = 0; i < 2; i++)
		if (!sys_failed(fds[i]) &&
		    !sys_failed(sys_fstat((int)fds[i], &st)) &&
		    S_ISFIFO(st.st_mode))
			sys_close((int)fds[i]);
}

/*
 * Make two walks. The first one initialises libunwind; the second one has to use
 * our read_word. A cache for each thread would need thread-local storage, for
 * which the loader allocates.
 */
static const char *prime(void)
{
	uintptr_t frames[4];
	long fds[2];

	next_descriptors(fds);
	unwind_stack(frames, 4);
	unwind.set_caching_policy(*unwind.local, UNW_CACHE_GLOBAL);
	unwind.get_accessors(*unwind.local)->access_mem = read_word;
	words_read = 0;
	if (unwind_stack(frames, 4) == 0 || words_read == 0)
		return "this libunwind cannot walk the stack safely";
	close_pipe(fds);
	return NULL;
}

const char *unwind_start(void)
{
	void *library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return "libunwind.so.8 cannot be loaded";
	if (!load_all(library))
		return "libunwind.so.8 lacks functions";
	dl_iterate_phdr(own_visit, NULL);
	return prime();
}
