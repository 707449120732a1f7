/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A kernel that refuses what the library asks for in the midst of a call, now
 * and then, with ENOMEM; some have taken away by then what was to be mapped over.
 * Whatever the call returns, memory has what it should have, and what cannot be
 * unmapped now can be unmapped later.
 *
 * A filter sends the library's system calls, told by where they come from, to a
 * handler, which makes them or does not. It can also be another thread's turn
 * there, in the midst of the library.
 */
#include "tests/shim/shim.h"

#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define RW (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)
#define TO_PLACE (MREMAP_MAYMOVE | MREMAP_FIXED)
#define OPERATIONS 8000

static size_t page;
static struct random numbers = { 0x9e3779b97f4a7c15 };

static size_t below(size_t n)
{
	return draw_below(&numbers, n);
}

/* ------------------------------------------------------------------------ */
/* The kernel                                                                */

static struct {
	int pass; /* so many calls first; then */
	int count; /* so many are refused */
	bool takes; /* what is in the place of a mapping */
	bool moves; /* only the first mremap of a call: others are to undo it */
	bool keeps; /* contents: madvise is not refused */
} refuse;

/* libc's own syscall(): by that name the library would be called again. */
static long (*kernel)(long number, ...);

static uintptr_t code, code_end;
static void (*after_mmap)(void); /* once */

static void find_code(void)
{
	char line[4096];
	FILE *maps = fopen("/proc/self/maps", "r");

	while (maps && fgets(line, sizeof(line), maps))
		if (strstr(line, " r-xp ") && strstr(line, "libllfree-preload"))
			must(sscanf(line, "%lx-%lx", &code, &code_end) == 2);
	if (maps)
		fclose(maps);
}

#ifdef __x86_64__
static const int arguments[] = { REG_RDI, REG_RSI, REG_RDX,
				 REG_R10, REG_R8,  REG_R9 };
#define ARGUMENT(context, i) ((context)->uc_mcontext.gregs[arguments[i]])
#define RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])
#else
#define ARGUMENT(context, i) ((context)->uc_mcontext.regs[i])
#define RESULT(context) ((context)->uc_mcontext.regs[0])
#endif

static bool is_refused(long number, const long *a)
{
	if (!refuse.count ||
	    (number == SYS_madvise && (refuse.keeps || a[2] == MADV_NORMAL)) ||
	    (number == SYS_mremap && !refuse.moves))
		return false;
	if (refuse.pass) {
		refuse.pass--;
		return false;
	}
	refuse.count--;
	if (number == SYS_mremap)
		refuse.moves = false;
	if (refuse.takes && number == SYS_mmap && a[3] & MAP_FIXED)
		kernel(SYS_munmap, a[0], a[1]);
	return true;
}

static long carry_out(long number, const long *a)
{
	long result = kernel(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	void (*then)(void) = after_mmap;

	if (result == -1)
		return -errno;
	if (number == SYS_mmap && then) {
		after_mmap = NULL;
		then();
	}
	return result;
}

static void on_call(int signal, siginfo_t *info, void *arg)
{
	ucontext_t *context = arg;
	int saved = errno;
	long a[6];

	(void)signal;
	for (int i = 0; i < 6; i++)
		a[i] = (long)ARGUMENT(context, i);
	RESULT(context) = is_refused(info->si_syscall, a)
				  ? -ENOMEM
				  : carry_out(info->si_syscall, a);
	errno = saved;
}

#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define JUMP(test, value, yes, no) \
	BPF_JUMP(BPF_JMP | (test) | BPF_K, (uint32_t)(value), yes, no)
#define FROM offsetof(struct seccomp_data, instruction_pointer)

static bool take_calls(void)
{
	struct sock_filter filter[] = {
		LOAD(FROM + 4),
		JUMP(BPF_JEQ, code >> 32, 0, 9),
		LOAD(FROM),
		JUMP(BPF_JGE, code, 0, 7),
		JUMP(BPF_JGE, code_end, 6, 0),
		LOAD(offsetof(struct seccomp_data, nr)),
		JUMP(BPF_JEQ, SYS_mmap, 5, 0),
		JUMP(BPF_JEQ, SYS_munmap, 4, 0),
		JUMP(BPF_JEQ, SYS_mremap, 3, 0),
		JUMP(BPF_JEQ, SYS_mprotect, 2, 0),
		JUMP(BPF_JEQ, SYS_madvise, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]),
				      filter };
	struct sigaction action = { .sa_sigaction = on_call,
				    .sa_flags = SA_SIGINFO | SA_NODEFER };

	*(void **)&kernel = dlsym(dlopen("libc.so.6", RTLD_LAZY), "syscall");
	must(kernel);
	/* Unseen by the library, which would take itself to be in a sandbox. */
	return !sigaction(SIGSYS, &action, NULL) &&
	       !kernel(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !kernel(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program,
		       0, 0);
}

/* For the next call of the program. */
static void refuse_some(bool keeps)
{
	refuse.pass = (int)(below(2) * below(5));
	refuse.count = below(3) ? 1 + (int)(below(2) * below(6)) : 0;
	refuse.takes = below(2);
	refuse.moves = true;
	refuse.keeps = keeps;
}

static bool refuse_none(bool result)
{
	refuse.count = 0;
	return result;
}

/* An expression of the program, while the kernel refuses; then no more. */
#define REFUSED(call) (refuse_some(false), refuse_none(call))

/* ------------------------------------------------------------------------ */
/* The program                                                               */

#define REGIONS 40
#define MOST 1200

/* Each page has its number at both ends. */
static struct region {
	char *at;
	size_t pages;
	uint32_t numbers[MOST];
} regions[REGIONS];

static uint32_t next_number;
static int file;
static bool good = true;

static void look(const struct region *r)
{
	for (size_t i = 0; i < r->pages; i++) {
		const uint32_t *p = (const uint32_t *)(r->at + i * page);

		good = good && p[0] == r->numbers[i] &&
		       p[page / 4 - 1] == r->numbers[i];
	}
}

static void look_at_all(void)
{
	for (size_t i = 0; i < REGIONS; i++)
		look(&regions[i]);
}

static void fill(struct region *r, size_t from, size_t count)
{
	for (size_t i = from; i < from + count; i++) {
		uint32_t *p = (uint32_t *)(r->at + i * page);

		p[0] = p[page / 4 - 1] = r->numbers[i] = ++next_number;
	}
}

static void becomes_zero(struct region *r, size_t from, size_t count)
{
	memset(r->numbers + from, 0, count * sizeof(r->numbers[0]));
}

static struct region *unused(void)
{
	for (size_t i = 0; i < REGIONS; i++)
		if (!regions[i].pages)
			return &regions[i];
	return NULL;
}

static void unmap_surely(char *at, size_t pages)
{
	must(munmap(at, pages * page) == 0);
}

/* These pages are gone; what is behind them is a region of its own. */
static void cut(struct region *r, size_t from, size_t count)
{
	size_t behind = r->pages - from - count;
	struct region *other = unused();

	if (behind && other) {
		other->at = r->at + (from + count) * page;
		other->pages = behind;
		memcpy(other->numbers, r->numbers + from + count,
		       behind * sizeof(r->numbers[0]));
	} else if (behind) {
		unmap_surely(r->at + (from + count) * page, behind);
	}
	r->pages = from;
}

static size_t some_pages(void)
{
	switch (below(6)) {
	case 0:
		return 1;
	case 1:
		return 512;
	case 2:
		return 1 + below(800);
	default:
		return 1 + below(64);
	}
}

/* A part of a region that there is. */
struct part {
	struct region *r;
	size_t from, count, len;
	char *at;
};

static struct part part_of(struct region *r, bool all)
{
	struct part part = { .r = r, .count = r->pages };

	if (!all) {
		part.from = below(r->pages);
		part.count = 1 + below(r->pages - part.from);
	}
	part.at = r->at + part.from * page;
	part.len = part.count * page;
	return part;
}

static void unmap(const struct part *p)
{
	if (REFUSED(munmap(p->at, p->len)))
		unmap_surely(p->at, p->count);
	cut(p->r, p->from, p->count);
}

static void op_map(void)
{
	struct region *r = unused();
	size_t pages = some_pages();

	if (!r)
		return;
	if (REFUSED((r->at = mmap(NULL, pages * page, RW, PRIVATE, -1, 0)) ==
		    MAP_FAILED))
		return;
	r->pages = pages;
	becomes_zero(r, 0, pages);
	look(r);
	fill(r, 0, below(pages + 1));
}

static void op_unmap(struct region *r)
{
	struct part p = part_of(r, below(2));

	unmap(&p);
}

static void op_protect(struct region *r)
{
	struct part p = part_of(r, false);

	(void)REFUSED(mprotect(p.at, p.len, below(2) ? PROT_NONE : PROT_READ));
	if (below(2))
		unmap(&p);
	else
		must(mprotect(p.at, p.len, RW) == 0);
}

static void op_advise(struct region *r)
{
	static const int kinds[] = { MADV_DONTNEED, MADV_DONTFORK, MADV_DOFORK,
				     MADV_DONTDUMP };
	int kind = kinds[below(4)];
	struct part p = part_of(r, false);

	if (REFUSED(madvise(p.at, p.len, kind)))
		must(madvise(p.at, p.len, kind) == 0);
	if (kind == MADV_DONTNEED)
		becomes_zero(r, p.from, p.count);
}

static void *map_at(const struct part *p, int flags, int prot, bool of_file)
{
	return mmap(p->at, p->len, prot,
		    flags | (of_file ? MAP_SHARED : PRIVATE),
		    of_file ? file : -1, 0);
}

static void op_map_over(struct region *r)
{
	struct part p = part_of(r, false);
	size_t kind = below(3);

	if (REFUSED(map_at(&p, MAP_FIXED, kind == 1 ? PROT_NONE : RW,
			   kind == 2) == MAP_FAILED)) {
		unmap_surely(p.at, p.count);
		cut(r, p.from, p.count);
	} else if (kind) {
		unmap(&p);
	} else {
		becomes_zero(r, p.from, p.count);
	}
}

/* Where there was something before. */
static void op_map_again(struct region *r)
{
	struct part p = part_of(r, false);
	int flags = below(2) ? MAP_FIXED : MAP_FIXED_NOREPLACE;

	unmap_surely(p.at, p.count);
	if (REFUSED(map_at(&p, flags, below(2) ? RW : PROT_READ, false) ==
		    MAP_FAILED)) {
		cut(r, p.from, p.count);
		return;
	}
	must(mprotect(p.at, p.len, RW) == 0);
	becomes_zero(r, p.from, p.count);
}

static void op_resize(struct region *r)
{
	size_t pages = below(2) ? some_pages() : r->pages + 1 + below(64);
	size_t before = r->pages;
	char *at = r->at;

	if (pages > MOST)
		return;
	if (REFUSED((at = mremap(r->at, before * page, pages * page,
				 below(4) ? MREMAP_MAYMOVE : 0)) ==
		    MAP_FAILED)) {
		if (pages < before)
			unmap_surely(r->at + pages * page, before - pages);
	} else {
		r->at = at;
		r->pages = pages;
	}
	if (pages < before)
		r->pages = pages;
	if (r->pages > before) {
		becomes_zero(r, before, pages - before);
		look(r);
		fill(r, before, below(pages - before + 1));
	}
}

/* Over another one; when that fails, it may be gone. */
static void op_move(struct region *r)
{
	struct region *to = &regions[below(REGIONS)];
	size_t pages = r->pages < to->pages ? r->pages : to->pages;
	int stays = below(4) ? 0 : MREMAP_DONTUNMAP;

	if (!pages || r == to)
		return;
	refuse_some(true);
	if (refuse_none(mremap(r->at, pages * page, pages * page,
			       TO_PLACE | stays, to->at) == MAP_FAILED)) {
		unmap_surely(to->at, pages);
		cut(to, 0, pages);
		return;
	}
	memcpy(to->numbers, r->numbers, pages * sizeof(r->numbers[0]));
	if (stays)
		becomes_zero(r, 0, pages);
	else
		cut(r, 0, pages);
}

/* More than there can be: what no one uses leaves. */
static void op_too_much(struct region *r)
{
	(void)r;
	must(REFUSED(mmap(NULL, (size_t)1 << 47, PROT_NONE,
			  PRIVATE | MAP_NORESERVE, -1, 0) == MAP_FAILED));
}

static void operate(void)
{
	static void (*const operations[])(struct region *) = {
		op_unmap,     op_unmap,	 op_protect, op_advise, op_map_over,
		op_map_again, op_resize, op_resize,  op_move,	op_too_much,
	};
	struct region *r = &regions[below(REGIONS)];

	if (!r->pages || !below(4))
		op_map();
	else
		operations[below(sizeof(operations) / sizeof(operations[0]))](
			r);
}

static void random_calls(void)
{
	file = memfd_create("file", 0);
	must(file >= 0 && ftruncate(file, (off_t)(MOST * page)) == 0);
	for (size_t i = 0; i < OPERATIONS && good; i++) {
		operate();
		look_at_all();
	}
	ok(good, "contents while the kernel refuses");
	for (size_t i = 0; i < REGIONS; i++)
		if (regions[i].pages)
			unmap_surely(regions[i].at, regions[i].pages);
}

/* ------------------------------------------------------------------------ */
/* Another thread                                                            */

static char *others;

static void another_maps(void)
{
	others = mmap(NULL, page, RW, PRIVATE, -1, 0);
}

/* Where nothing is mapped since the kernel has refused it, and free memory is
 * scarce: someone asks for that place, someone else for any. */
static void place_asked_for(void)
{
	static char *all[1 << 15];
	size_t count = 0;
	char *mine, *place;

	while (count < sizeof(all) / sizeof(all[0])) {
		all[count] = mmap(NULL, page, RW, PRIVATE, -1, 0);
		must(all[count] != MAP_FAILED);
		if (!in_arena(all[count++]))
			break;
	}
	place = all[count / 2];
	must(mprotect(place, page, PROT_READ) == 0);
	refuse.pass = 0;
	refuse.count = 1;
	unmap_surely(place, 1);
	refuse.count = 0;
	after_mmap = another_maps;
	mine = mmap(place + 1, page, PROT_READ, PRIVATE, -1, 0);
	must(mine != MAP_FAILED && others != MAP_FAILED);
	ok(mine != others, "a place is not given to two");
}

int main(void)
{
	with_setting("LLFREE_ARENA", "64M");
	page = page_size();
	find_code();
	if (code && (code >> 32 != (code_end - 1) >> 32 || !take_calls())) {
		printf("1..0 # SKIP no filter for system calls\n");
		return 0;
	}
	random_calls();
	place_asked_for();
	return done();
}
