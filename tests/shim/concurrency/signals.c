/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A signal handler that maps and unmaps while the program is just doing the
 * same, or moves the break, at whatever instruction it is.
 */
#include "tests/shim/shim.h"

#include <malloc.h>
#include <ucontext.h>

#define KEPT 8
#define PERIOD 50 /* microseconds */
#define INTERRUPTIONS 1000 /* at least */
#define INSIDE 100 /* of them in the library */

static size_t page;
static volatile sig_atomic_t interruptions, inside, handler_bad, over;
static char *kept[KEPT];

/* Where the library's instructions are. */
static uintptr_t code, code_end;

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

static uintptr_t instruction_of(const ucontext_t *context)
{
#ifdef __x86_64__
	return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#else
	return (uintptr_t)context->uc_mcontext.pc;
#endif
}

/* Keeps some of its regions from one signal to the next. They are not always
 * the arena's: it may have interrupted who brings the tree online. */
static void handler(int signal, siginfo_t *info, void *context)
{
	int saved = errno;
	size_t at = (size_t)interruptions % KEPT;
	char *p = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)signal;
	(void)info;
	if (instruction_of(context) - code < code_end - code)
		inside++;
	must(p != MAP_FAILED);
	if (p[0] || p[2 * page] || p[3 * page - 1])
		handler_bad = 1;
	memset(p, 'h', 3 * page);
	if (kept[at]) {
		if (!all_bytes(kept[at], 3 * page, 'h'))
			handler_bad = 1;
		munmap(kept[at], 3 * page);
	}
	kept[at] = p;
	interruptions++;
	if (!over)
		signal_after(PERIOD);
	errno = saved;
}

static bool churn(struct random *r, char **slot)
{
	size_t len = (1 + draw_below(r, 40)) * page;
	bool good = true;

	if (*slot) {
		good = (*slot)[0] == 'm' && succeeds(munmap(*slot, page));
		*slot = NULL;
		return good;
	}
	*slot = map(len);
	good = (*slot)[0] == 0 && (*slot)[len - 1] == 0;
	memset(*slot, 'm', len);
	must(len == page || munmap(*slot + page, len - page) == 0);
	return good;
}

/* Each block, and its end, moves the break. */
static bool churn_heap(struct random *r)
{
	size_t len = 50000 + draw_below(r, 100000);
	char *block = calloc(1, len);
	bool good = block && all_bytes(block, len, 0);

	memset(block, 'b', len);
	free(block);
	return good;
}

/* Mostly the program is about its own memory; often enough the library is. */
static bool often_enough(void)
{
	return interruptions >= INTERRUPTIONS &&
	       (!have_shim() || inside >= INSIDE);
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = handler,
				    .sa_flags = SA_RESTART | SA_SIGINFO };
	struct random r = { 11 };
	char *slots[32] = { NULL };
	size_t rounds = sized(20000, 60000);
	bool good = true;

	page = page_size();
	find_code();
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	mallopt(M_TRIM_THRESHOLD, 0);
	mallopt(M_TOP_PAD, 0);
	sigaction(SIGALRM, &action, NULL);
	signal_after(PERIOD);
	for (size_t i = 0; i < rounds || !often_enough(); i++)
		good = churn(&r, &slots[draw_below(&r, 32)]) && good;
	ok(good, "the program maps and unmaps in peace");
	for (int i = 0; i < 2000; i++)
		good = churn_heap(&r) && good;
	over = true;
	ok(good, "and its heap grows and shrinks so");
	ok(!handler_bad, "and so do handlers that interrupt it");
	return done();
}
