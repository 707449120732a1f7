/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A signal handler that maps and unmaps while the program is just doing the
 * same, at whatever instruction it is.
 */
#include "tests/shim/shim.h"

#include <sys/time.h>

#define KEPT 8

static size_t page;
static volatile sig_atomic_t interruptions, handler_bad;
static char *kept[KEPT];

/* Keeps some of its regions from one signal to the next. They are not always
 * the arena's: it may have interrupted who brings the tree online. */
static void handler(int signal)
{
	int saved = errno;
	size_t at = (size_t)interruptions % KEPT;
	char *p = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)signal;
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

int main(void)
{
	struct itimerval often = { { 0, 50 }, { 0, 50 } }, never = { 0 };
	struct sigaction action = { .sa_handler = handler,
				    .sa_flags = SA_RESTART };
	struct random r = { 11 };
	char *slots[32] = { NULL };
	bool good = true;

	page = page_size();
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 60000 || interruptions < 1000; i++)
		good = churn(&r, &slots[draw_below(&r, 32)]) && good;
	setitimer(ITIMER_REAL, &never, NULL);
	ok(good, "the program maps and unmaps in peace");
	ok(!handler_bad, "and so do handlers that interrupt it");
	return done();
}
