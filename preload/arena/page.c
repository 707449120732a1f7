/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/arena/state.h"

#include <errno.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Zeroing that many frames costs more than asking which are resident. */
#define ZERO_ASK 32u
/* If that cannot be asked: empty so many without asking. */
#define EMPTY_UNASKED 256u
/* More resident and other stretches than this: empty all instead. */
#define ZERO_STRETCHES 8u

void page_advise(struct span s)
{
	if (arena.advice)
		arena.os->madvise(address_of(s.first), bytes_of(s),
				  arena.advice);
}

bool page_is_there(struct span s)
{
	return !sandboxed() && !arena.os->madvise(address_of(s.first),
						  bytes_of(s), MADV_NORMAL);
}

long page_occupy(void *addr, size_t len, int prot)
{
	int flags = sandboxed() ? FRESH : FRESH | MAP_FIXED_NOREPLACE;
	long at = arena.os->mmap(addr, len, prot, flags, -1, 0);

	if (at == (long)addr)
		return 0;
	if (is_error(at))
		return at;
	arena.os->munmap((void *)at, len);
	return -EEXIST;
}

long page_fresh(struct span s, int prot)
{
	void *addr = address_of(s.first);
	bool altered = mark_count(arena.marks, MARK_REMAP_BEFORE_USE, s) != 0;
	long at;

	/* Before, so that a mark that comes with someone's later mapping over
	 * ours is not lost. */
	mark_clear(arena.marks, MARK_REMAP_BEFORE_USE, s);
	mark_clear(arena.marks, MARK_REMAP_ON_FREE, s);
	at = arena.os->mmap(addr, bytes_of(s), prot, FRESH | MAP_FIXED, -1, 0);
	if (at != (long)addr) {
		altered = altered || !page_is_there(s);
		mark_set(arena.marks,
			 altered ? MARK_REMAP_BEFORE_USE : MARK_REMAP_ON_FREE,
			 s);
		return at;
	}
	page_advise(s);
	mark_clear(arena.marks, MARK_DIRTY, s);
	if (prot != READ_WRITE)
		mark_set(arena.marks, MARK_REMAP_BEFORE_USE, s);
	else
		vma_mapped(s);
	stats_count(STAT_REMAPS, 1);
	return 0;
}

long page_retire(struct span s)
{
	if (!page_fresh(s, READ_WRITE))
		return 0;
	mark_clear(arena.marks, MARK_DIRTY, s);
	return arena.os->munmap(address_of(s.first), bytes_of(s));
}

bool page_empty(struct span s)
{
	if (arena.os->madvise(address_of(s.first), bytes_of(s), MADV_DONTNEED))
		return false;
	stats_count(STAT_FRAMES_RETURNED, s.count);
	return true;
}

static void write_zeros(struct span s)
{
	__builtin_memset(address_of(s.first), 0, bytes_of(s));
	stats_count(STAT_FRAMES_ZEROED, s.count);
}

/* Zeros resident stretches and empties the others, which may be swapped out.
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

/* mincore counts pages, we count frames. */
bool page_resident(struct span s, unsigned char *resident)
{
	size_t step = arena.page_frames;

	if (sandboxed() ||
	    arena.os->mincore(address_of(s.first), bytes_of(s), resident))
		return false;
	for (size_t i = s.count; step > 1 && i-- > 0;)
		resident[i] = resident[i / step];
	return true;
}

static void zero_piece(struct span s)
{
	unsigned char resident[ASK_FRAMES];

	if (sandboxed() && s.count >= EMPTY_UNASKED && page_empty(s))
		return;
	if (s.count >= ZERO_ASK && page_resident(s, resident) &&
	    (zero_stretches(s, resident) || page_empty(s)))
		return;
	write_zeros(s);
}

void page_zero(struct span s)
{
	while (s.count) {
		struct span piece = span_before(s, s.first + ASK_FRAMES);

		zero_piece(piece);
		s = span_from(s, span_end(piece));
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
