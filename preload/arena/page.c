/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena/page.h"

#include "preload/arena/state.h"

#include <errno.h>

#define FRESH (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

/* Zeroing that many frames costs more than asking which are resident. */
#define ZERO_ASK 32u
/* If the kernel does not say: empty so many without asking. */
#define EMPTY_UNASKED 256u
/* More resident and other stretches than this: empty all instead. */
#define ZERO_STRETCHES 8u

/* To a kernel before 4.17, and in a sandbox, the address is a hint. */
long page_occupy(void *addr, size_t len, int prot)
{
	long at = arena.os->mmap(addr, len, prot, FRESH | MAP_FIXED_NOREPLACE,
				 -1, 0);

	if (at == (long)addr)
		return 0;
	if (sys_failed(at))
		return at;
	arena.os->munmap((void *)at, len);
	return -EEXIST;
}

void page_advise(struct span s)
{
	if (arena.options->advice)
		arena.os->madvise(address_of(s.first), bytes_of(s),
				  arena.options->advice);
}

long page_map(struct span s, int prot)
{
	void *addr = address_of(s.first);
	long at = arena.os->mmap(addr, bytes_of(s), prot, FRESH | MAP_FIXED, -1,
				 0);

	if (at != (long)addr)
		return at;
	page_advise(s);
	return 0;
}

long page_unmap(struct span s)
{
	return arena.os->munmap(address_of(s.first), bytes_of(s));
}

bool page_is_mapped(struct span s)
{
	return arena.os->is_mapped(address_of(s.first), bytes_of(s));
}

bool page_empty(struct span s)
{
	if (arena.os->madvise(address_of(s.first), bytes_of(s), MADV_DONTNEED))
		return false;
	stats_count(STAT_FRAMES_RETURNED, s.count);
	return true;
}

/* The first pages of `s` that hold something other than zeros. */
static struct span first_used(struct span s)
{
	size_t page = arena.page_frames, count = 0;

	while (count < s.count &&
	       !is_zero(address_of(s.first + count), page * FRAME))
		count += page;
	return span(s.first, count);
}

/* A page that was never touched is read, and not written: the kernel shows its
 * page of zeros then, and no memory is used. */
static void write_zeros(struct span s)
{
	while (s.count) {
		struct span used = first_used(s);

		if (used.count)
			__builtin_memset(address_of(used.first), 0,
					 bytes_of(used));
		stats_count(STAT_FRAMES_ZEROED, used.count);
		s = span_from(s, span_end(used) + arena.page_frames);
	}
}

/* Zero resident stretches and empty the others, which may be swapped out.
 * False when there are too many of them. */
static bool zero_stretches(struct span s, const unsigned char *resident)
{
	unsigned stretches = 0;

	for (size_t i = 1; i < s.count; i++)
		stretches += (resident[i] ^ resident[i - 1]) & 1;
	if (stretches > ZERO_STRETCHES)
		return false;
	for (size_t i = 0, n; i < s.count; i += n) {
		struct span part;

		for (n = 1; i + n < s.count; n++)
			if ((resident[i + n] ^ resident[i]) & 1)
				break;
		part = span(s.first + i, n);
		if (resident[i] & 1 || !page_empty(part))
			write_zeros(part);
	}
	return true;
}

/* mincore counts pages, the arena counts frames. */
bool page_resident(struct span s, unsigned char *resident)
{
	size_t step = arena.page_frames;

	if (arena.os->mincore(address_of(s.first), bytes_of(s), resident))
		return false;
	for (size_t i = s.count; step > 1 && i-- > 0;)
		resident[i] = resident[i / step];
	return true;
}

static bool zero_by_residence(struct span s)
{
	unsigned char resident[PAGE_ASK_MOST];

	if (page_resident(s, resident))
		return zero_stretches(s, resident) || page_empty(s);
	return s.count >= EMPTY_UNASKED && page_empty(s);
}

void page_zero(struct span s)
{
	while (s.count) {
		struct span part = span_before(s, s.first + PAGE_ASK_MOST);

		if (part.count < ZERO_ASK || !zero_by_residence(part))
			write_zeros(part);
		s = span_from(s, span_end(part));
	}
}

void page_populate(struct span s)
{
	char *addr = address_of(s.first);

	if (!arena.os->madvise(addr, bytes_of(s), MADV_POPULATE_WRITE))
		return;
	for (size_t at = 0; at < bytes_of(s); at += FRAME)
		*(volatile char *)(addr + at) = 0;
}
