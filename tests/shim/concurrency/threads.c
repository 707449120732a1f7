/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Four threads map and unmap at random, parts of regions too, and hand regions
 * to each other. Each page is marked with its owner: memory that is handed out
 * twice, or not zeroed, shows at once.
 */
#include "tests/shim/shim.h"

#include <pthread.h>

#define THREADS 4
#define SLOTS 64

struct region {
	char *at;
	size_t pages;
	uint64_t mark;
};

static size_t page;
static uint64_t next_mark = 1;
static struct region *exchange;
static unsigned bad;

static void complain(void)
{
	__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
}

static uint64_t *first_word(const struct region *r, size_t index)
{
	return (uint64_t *)(void *)(r->at + index * page);
}

static uint64_t *last_word(const struct region *r, size_t index)
{
	return first_word(r, index) + page / sizeof(uint64_t) - 1;
}

static struct region *region_make(struct random *random)
{
	static const size_t most[] = { 1, 2, 20, 100, 600 };
	struct region *r = malloc(sizeof(*r));

	r->pages = 1 + draw_below(random, most[draw_below(random, 5)]);
	r->at = map(r->pages * page);
	r->mark = __atomic_fetch_add(&next_mark, 1, __ATOMIC_RELAXED);
	for (size_t i = 0; i < r->pages; i++) {
		if (*first_word(r, i) || *last_word(r, i))
			complain();
		*first_word(r, i) = r->mark;
		*last_word(r, i) = ~r->mark;
	}
	return r;
}

static void check(const struct region *r)
{
	for (size_t i = 0; i < r->pages; i++)
		if (*first_word(r, i) != r->mark ||
		    *last_word(r, i) != ~r->mark)
			complain();
}

static void region_drop(struct region *r)
{
	check(r);
	if (munmap(r->at, r->pages * page))
		complain();
	free(r);
}

/* Cuts off its end, or its beginning. */
static void region_cut(struct region *r, struct random *random)
{
	size_t cut = draw_below(random, r->pages);
	bool end = draw(random) & 1;

	check(r);
	if (!cut)
		return;
	if (munmap(end ? r->at + (r->pages - cut) * page : r->at, cut * page))
		complain();
	r->at += end ? 0 : cut * page;
	r->pages -= cut;
}

static void region_grow(struct region *r, struct random *random)
{
	size_t pages = r->pages + 1 + draw_below(random, 40);
	char *at = mremap(r->at, r->pages * page, pages * page, MREMAP_MAYMOVE);
	size_t old = r->pages;

	if (at == MAP_FAILED) {
		complain();
		return;
	}
	r->at = at;
	check(r);
	r->pages = pages;
	for (size_t i = old; i < pages; i++) {
		if (*first_word(r, i) || *last_word(r, i))
			complain();
		*first_word(r, i) = r->mark;
		*last_word(r, i) = ~r->mark;
	}
}

static void region_alter(struct region *r)
{
	if (mprotect(r->at, page, PROT_READ))
		complain();
	check(r);
}

static void step(struct region **slot, struct random *random)
{
	struct region *r = *slot;

	if (!r) {
		*slot = region_make(random);
		return;
	}
	switch (draw_below(random, 8)) {
	case 0:
		region_cut(r, random);
		break;
	case 1:
		region_grow(r, random);
		break;
	case 2:
		*slot = __atomic_exchange_n(&exchange, r, __ATOMIC_ACQ_REL);
		break;
	case 3:
		region_alter(r);
		__attribute__((fallthrough));
	default:
		*slot = NULL;
		region_drop(r);
	}
}

static void *work(void *seed)
{
	struct region *slots[SLOTS] = { NULL };
	struct random random = { (uint64_t)(uintptr_t)seed * 7919 };
	size_t rounds = sized(3000, 12000);

	for (size_t i = 0; i < rounds; i++)
		step(&slots[draw_below(&random, SLOTS)], &random);
	for (int i = 0; i < SLOTS; i++)
		if (slots[i])
			region_drop(slots[i]);
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];

	page = page_size();
	/* While one thread maps a part of the arena the others do without. */
	setenv("SHIM_TEST_UNSERVED", "1", 1);
	for (size_t i = 0; i < THREADS; i++)
		must(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) ==
		     0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	if (exchange)
		region_drop(exchange);
	ok(bad == 0, "every page has one owner, and begins as zero");
	return done();
}
