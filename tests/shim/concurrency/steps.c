/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Two threads whose calls are interleaved instruction by instruction: one runs
 * at a time, in single steps, and gives way to the other at any instruction of
 * the library. Each looks after memory of its own; none gets the other's, and
 * all of it reads as it should.
 *
 * Which instructions follows from the seed, as far as the library is the same:
 * others may be given as arguments.
 */
#include "tests/shim/shim.h"

#ifdef __x86_64__

#include <dlfcn.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <ucontext.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define RW (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)
#define THREADS 2u
#define REGIONS 12
#define MOST 64 /* pages of a region */
#define OPERATIONS 80 /* of each thread */
#define STEPS 1500 /* of a call, then it goes on as usual */
#define TRAP_FLAG 0x100

struct region {
	char *at;
	size_t pages;
	uint32_t number; /* at both ends of each page; 0: fresh */
};

static struct world {
	struct region regions[REGIONS];
	struct random random;
	struct region *busy; /* of the call under way */
	uint32_t next_number;
	unsigned id;
} worlds[THREADS];

static size_t page;
static bool good = true;

/* ------------------------------------------------------------------------ */
/* Whose turn it is                                                          */

static unsigned turn = THREADS;
static bool finished[THREADS];
static struct random schedule;

static void await_turn(unsigned id)
{
	unsigned now;

	while ((now = __atomic_load_n(&turn, __ATOMIC_ACQUIRE)) != id)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, now, NULL);
}

static void set_turn(unsigned id)
{
	__atomic_store_n(&turn, id, __ATOMIC_RELEASE);
	syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, THREADS);
}

static void give_way(unsigned id)
{
	if (finished[!id])
		return;
	set_turn(!id);
	await_turn(id);
}

/* ------------------------------------------------------------------------ */
/* Single steps                                                              */

static __thread unsigned steps, next_turn, me;

/* Long, and of no interest inside: one step each. */
static uintptr_t fill_function, copy_functions[2];

static unsigned some_steps(void)
{
	static const size_t most[] = { 4, 30, 200, 1000, 1u << 20 };

	return 1 +
	       (unsigned)draw_below(&schedule, most[draw_below(&schedule, 5)]);
}

static bool do_at_once(greg_t *g)
{
	uintptr_t at = (uintptr_t)g[REG_RIP];

	if (at == fill_function)
		memset((void *)g[REG_RDI], (int)g[REG_RSI], (size_t)g[REG_RDX]);
	else if (at == copy_functions[0] || at == copy_functions[1])
		memmove((void *)g[REG_RDI], (void *)g[REG_RSI],
			(size_t)g[REG_RDX]);
	else
		return false;
	g[REG_RAX] = g[REG_RDI];
	g[REG_RIP] = *(greg_t *)g[REG_RSP];
	g[REG_RSP] += (greg_t)sizeof(greg_t);
	return true;
}

static void on_step(int signal, siginfo_t *info, void *arg)
{
	greg_t *g = ((ucontext_t *)arg)->uc_mcontext.gregs;
	int saved = errno;

	(void)signal;
	(void)info;
	do_at_once(g);
	if (!steps || !--steps)
		g[REG_EFL] &= ~TRAP_FLAG;
	else if (!--next_turn) {
		give_way(me);
		next_turn = some_steps();
	}
	errno = saved;
}

/* Out of the way of what the compiler keeps below the stack. */
static void trap(bool on)
{
	if (on)
		__asm__ volatile("sub $128,%%rsp; pushfq; orq $0x100,(%%rsp);"
				 "popfq; lea 128(%%rsp),%%rsp" ::
					 : "memory", "cc");
	else
		__asm__ volatile("sub $128,%%rsp; pushfq; andq $~0x100,(%%rsp);"
				 "popfq; lea 128(%%rsp),%%rsp" ::
					 : "memory", "cc");
}

static void begin(struct world *w, struct region *busy)
{
	w->busy = busy;
	if (!draw_below(&schedule, 4))
		return;
	steps = STEPS;
	next_turn = some_steps();
	trap(true);
}

static void end(struct world *w)
{
	trap(false);
	steps = 0;
	w->busy = NULL;
}

/* A call, one instruction after the other. */
#define STEPPED(w, busy, call) (begin(w, busy), (void)(call), end(w))

/* ------------------------------------------------------------------------ */
/* Memory                                                                    */

static void look(const struct region *r, size_t pages, uint32_t number)
{
	for (size_t i = 0; i < pages; i++) {
		const uint32_t *p = (const uint32_t *)(r->at + i * page);

		good = good && p[0] == number && p[page / 4 - 1] == number;
	}
}

static void look_at_all(const struct world *w)
{
	for (size_t i = 0; i < REGIONS; i++)
		look(&w->regions[i], w->regions[i].pages, w->regions[i].number);
}

/* No one else has it, but perhaps who is just unmapping it. */
static void look_for_others(const struct region *mine)
{
	for (size_t i = 0; i < THREADS * REGIONS; i++) {
		const struct world *w = &worlds[i / REGIONS];
		const struct region *r = &w->regions[i % REGIONS];

		if (r != mine && r != w->busy && r->pages &&
		    mine->at < r->at + r->pages * page &&
		    r->at < mine->at + mine->pages * page)
			good = false;
	}
}

static void fill(struct world *w, struct region *r)
{
	r->number = w->next_number += THREADS;
	for (size_t i = 0; i < r->pages; i++) {
		uint32_t *p = (uint32_t *)(r->at + i * page);

		p[0] = p[page / 4 - 1] = r->number;
	}
}

static void have(struct world *w, struct region *r, char *at, size_t pages)
{
	must(at != MAP_FAILED);
	r->at = at;
	r->pages = pages;
	look_for_others(r);
	look(r, pages, 0);
	fill(w, r);
}

static size_t some_pages(struct world *w)
{
	return draw_below(&w->random, 3) ? 1 + draw_below(&w->random, 24)
					 : 1 + draw_below(&w->random, MOST);
}

static void op_map(struct world *w, struct region *r)
{
	size_t pages = some_pages(w);
	char *at;

	STEPPED(w, r, at = mmap(NULL, pages * page, RW, PRIVATE, -1, 0));
	have(w, r, at, pages);
}

static void op_unmap(struct world *w, struct region *r)
{
	int failed;

	STEPPED(w, r, failed = munmap(r->at, r->pages * page));
	must(!failed);
	r->pages = 0;
}

static void op_cut(struct world *w, struct region *r)
{
	size_t stay = draw_below(&w->random, r->pages);
	int failed;

	STEPPED(w, r,
		failed = munmap(r->at + stay * page, (r->pages - stay) * page));
	must(!failed);
	r->pages = stay;
}

/* At the same place, unless that is someone else's by now. */
static void op_again(struct world *w, struct region *r)
{
	size_t pages = r->pages;
	char *at;

	op_unmap(w, r);
	STEPPED(w, r,
		at = mmap(r->at, pages * page, RW,
			  PRIVATE | MAP_FIXED_NOREPLACE, -1, 0));
	if (at != MAP_FAILED)
		have(w, r, at, pages);
}

static void op_over(struct world *w, struct region *r)
{
	char *at;

	STEPPED(w, r,
		at = mmap(r->at, r->pages * page, RW, PRIVATE | MAP_FIXED, -1,
			  0));
	have(w, r, at, r->pages);
}

static void op_protect(struct world *w, struct region *r)
{
	int failed;

	STEPPED(w, r, failed = mprotect(r->at, r->pages * page, PROT_NONE));
	must(!failed);
	op_unmap(w, r);
}

static void op_resize(struct world *w, struct region *r)
{
	size_t before = r->pages, pages = some_pages(w);
	char *at;

	STEPPED(w, r,
		at = mremap(r->at, before * page, pages * page,
			    MREMAP_MAYMOVE));
	must(at != MAP_FAILED);
	r->at = at;
	r->pages = pages;
	look_for_others(r);
	look(r, pages < before ? pages : before, r->number);
	if (pages > before) {
		struct region more = { at + before * page, pages - before, 0 };

		look(&more, more.pages, 0);
	}
	fill(w, r);
}

/* More than there can be: what no one uses leaves. */
static void op_too_much(struct world *w, struct region *r)
{
	void *at;

	STEPPED(w, r,
		at = mmap(NULL, (size_t)1 << 47, PROT_NONE,
			  PRIVATE | MAP_NORESERVE, -1, 0));
	must(at == MAP_FAILED);
}

static void operate(struct world *w)
{
	static void (*const all[])(struct world *, struct region *) = {
		op_unmap, op_unmap,   op_cut,	 op_again,    op_over,
		op_over,  op_protect, op_resize, op_too_much,
	};
	struct region *r = &w->regions[draw_below(&w->random, REGIONS)];

	if (!r->pages)
		op_map(w, r);
	else
		all[draw_below(&w->random, sizeof(all) / sizeof(all[0]))](w, r);
}

static void *run(void *arg)
{
	struct world *w = arg;

	me = w->id;
	await_turn(me);
	for (size_t i = 0; i < OPERATIONS; i++) {
		operate(w);
		look_at_all(w);
		if (draw_below(&schedule, 2))
			give_way(me);
	}
	for (size_t i = 0; i < REGIONS; i++)
		if (w->regions[i].pages)
			op_unmap(w, &w->regions[i]);
	finished[me] = true;
	set_turn(!me);
	return NULL;
}

static void interleave(size_t seed)
{
	pthread_t threads[THREADS];

	schedule.state = (seed + 1) * 0x9e3779b97f4a7c15;
	turn = THREADS;
	for (unsigned i = 0; i < THREADS; i++) {
		worlds[i].id = worlds[i].next_number = i;
		worlds[i].random.state = draw(&schedule);
		finished[i] = false;
		must(!pthread_create(&threads[i], NULL, run, &worlds[i]));
	}
	set_turn(0);
	for (unsigned i = 0; i < THREADS; i++)
		must(!pthread_join(threads[i], NULL));
}

/* Seeds, or one. */
int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_step,
				    .sa_flags = SA_SIGINFO | SA_NODEFER };

	if (argc < 2)
		with_setting("LLFREE_ARENA", "32M");
	/* Where both are served from the same tree. */
	stay_on_processor();
	page = page_size();
	fill_function = (uintptr_t)dlsym(RTLD_DEFAULT, "memset");
	copy_functions[0] = (uintptr_t)dlsym(RTLD_DEFAULT, "memcpy");
	copy_functions[1] = (uintptr_t)dlsym(RTLD_DEFAULT, "memmove");
	sigaction(SIGTRAP, &action, NULL);
	for (int i = 1; i < argc; i++)
		interleave(strtoul(argv[i], NULL, 10));
	if (argc < 2)
		interleave(2);
	ok(good, "two threads, an instruction at a time");
	return done();
}

#else

int main(void)
{
	printf("1..0 # SKIP single steps are x86's\n");
	return 0;
}

#endif
