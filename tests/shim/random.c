/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Random calls on parts of regions, against a plain model of what each page
 * must hold and allow. The sequence is the same in every run; RANDOM_SEED and
 * RANDOM_STEPS change it.
 */
#include "tests/shim/shim.h"

#define RW (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)
#define REGIONS 24
#define MOST 96
#define NOREPLACE 0x100000

struct cell {
	bool mapped;
	bool shared;
	int prot;
	char value; /* of every byte */
};

struct region {
	char *at;
	size_t pages;
	struct cell cells[4 * MOST];
};

static size_t page;
static struct region regions[REGIONS];
static struct random r;

/* Part of a region. */
static size_t from, count;

static void choose_part(const struct region *region)
{
	from = draw_below(&r, region->pages);
	count = 1 + draw_below(&r, region->pages - from);
}

static void set_cells(struct region *region, struct cell cell)
{
	for (size_t i = from; i < from + count; i++)
		region->cells[i] = cell;
}

/* Pages of the part before its first hole. */
static size_t before_hole(const struct region *region)
{
	size_t n = 0;

	while (n < count && region->cells[from + n].mapped)
		n++;
	return n;
}

static char *part_of(const struct region *region)
{
	return region->at + from * page;
}

static void check_region(const struct region *region)
{
	for (size_t i = 0; i < region->pages; i++) {
		const struct cell *cell = &region->cells[i];
		const char *at = region->at + i * page;

		if (!cell->mapped || !(cell->prot & PROT_READ))
			continue;
		must(at[0] == cell->value && at[page / 2] == cell->value &&
		     at[page - 1] == cell->value);
	}
}

/* ------------------------------------------------------------------------ */

static void step_map(struct region *region)
{
	region->pages = 1 + draw_below(&r, MOST);
	region->at = map(region->pages * page);
	from = 0;
	count = region->pages;
	set_cells(region, (struct cell){ .mapped = true, .prot = RW });
}

static void step_fill(struct region *region)
{
	char value = (char)(1 + draw_below(&r, 100));

	for (size_t i = from; i < from + count; i++) {
		struct cell *cell = &region->cells[i];

		if (!cell->mapped || cell->prot != RW)
			continue;
		memset(region->at + i * page, value, page);
		cell->value = value;
	}
}

static void step_unmap(struct region *region)
{
	must(succeeds(munmap(part_of(region), count * page)));
	set_cells(region, (struct cell){ .mapped = false });
}

static void step_protect(struct region *region)
{
	static const int prots[] = { RW, RW, PROT_READ, PROT_NONE };
	int prot = prots[draw_below(&r, 4)];

	count = before_hole(region);
	if (!count)
		return;
	must(succeeds(mprotect(part_of(region), count * page, prot)));
	for (size_t i = from; i < from + count; i++)
		region->cells[i].prot = prot;
}

/* Shared memory keeps its contents. */
static void step_advise(struct region *region)
{
	size_t mapped = before_hole(region);

	if (!mapped)
		return;
	count = mapped;
	must(succeeds(madvise(part_of(region), count * page, MADV_DONTNEED)));
	for (size_t i = from; i < from + count; i++)
		if (!region->cells[i].shared)
			region->cells[i].value = 0;
}

static void step_advise_flags(struct region *region)
{
	static const int advice[] = { MADV_DONTDUMP, MADV_DODUMP,
				      MADV_DONTFORK, MADV_DOFORK,
				      MADV_RANDOM,   MADV_NORMAL };

	count = before_hole(region);
	if (count)
		must(succeeds(madvise(part_of(region), count * page,
				      advice[draw_below(&r, 6)])));
}

/* Over what is the region's own. */
static void step_replace(struct region *region)
{
	bool shared = draw(&r) & 1;
	int flags = MAP_ANONYMOUS | MAP_FIXED;

	count = before_hole(region);
	if (!count)
		return;
	flags |= shared ? MAP_SHARED : MAP_PRIVATE;
	must(mmap(part_of(region), count * page, RW, flags, -1, 0) ==
	     part_of(region));
	set_cells(region, (struct cell){ .mapped = true,
					 .shared = shared,
					 .prot = RW });
}

/* Into a hole, in which something else may be by now. */
static void step_plug(struct region *region)
{
	char *p;

	while (count && region->cells[from].mapped)
		from++, count--;
	if (!count)
		return;
	count = 1;
	p = mmap(part_of(region), page, RW, PRIVATE | NOREPLACE, -1, 0);
	must(p == part_of(region) || (p == MAP_FAILED && errno == EEXIST));
	if (p == part_of(region))
		set_cells(region, (struct cell){ .mapped = true, .prot = RW });
}

static bool is_uniform(const struct region *region)
{
	for (size_t i = 0; i < region->pages; i++)
		if (!region->cells[i].mapped || region->cells[i].shared ||
		    region->cells[i].prot != RW)
			return false;
	return true;
}

/* The kernel may refuse what was pieced together, with EFAULT. */
static void step_resize(struct region *region)
{
	size_t pages = 1 + draw_below(&r, 3 * MOST);
	char *p;

	if (!is_uniform(region))
		return;
	p = mremap(region->at, region->pages * page, pages * page,
		   MREMAP_MAYMOVE);
	if (p == MAP_FAILED) {
		must(errno == EFAULT);
		return;
	}
	region->at = p;
	from = region->pages;
	region->pages = pages;
	if (pages > from) {
		count = pages - from;
		set_cells(region, (struct cell){ .mapped = true, .prot = RW });
	}
}

static void step_drop(struct region *region)
{
	must(succeeds(munmap(region->at, region->pages * page)));
	region->at = NULL;
}

/* Holes may have become parts of other regions: only what is left. */
static void drop_rest(struct region *region)
{
	for (size_t i = 0; i < region->pages; i++)
		if (region->cells[i].mapped)
			must(munmap(region->at + i * page, page) == 0);
	region->at = NULL;
}

static void step(struct region *region)
{
	static void (*const steps[])(struct region *) = {
		step_fill,   step_fill,	   step_fill,	 step_unmap,
		step_unmap,  step_protect, step_protect, step_advise,
		step_resize, step_resize,  step_replace, step_plug,
		step_advise_flags,
	};
	bool whole = is_uniform(region);

	check_region(region);
	if (draw_below(&r, 30) == 0) {
		if (whole)
			step_drop(region);
		else
			drop_rest(region);
		return;
	}
	choose_part(region);
	/* A part with a hole in it could hit what is in the hole now. */
	count = before_hole(region) ? before_hole(region) : count;
	if (!before_hole(region))
		step_plug(region);
	else
		steps[draw_below(&r, sizeof(steps) / sizeof(steps[0]))](region);
	if (region->at)
		check_region(region);
}

static size_t setting(const char *name, size_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : otherwise;
}

int main(void)
{
	size_t steps = setting("RANDOM_STEPS", 60000);

	page = page_size();
	r.state = 88172645463325252ull + setting("RANDOM_SEED", 0);
	for (size_t i = 0; i < steps; i++) {
		struct region *region = &regions[draw_below(&r, REGIONS)];

		if (region->at)
			step(region);
		else
			step_map(region);
	}
	for (size_t i = 0; i < REGIONS; i++)
		if (regions[i].at)
			drop_rest(&regions[i]);
	ok(true, "%zu random calls", steps);
	return done();
}
