/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Prints the persistent buffer after a fixed sequence of calls, for layout.sh
 * to compare between compilers.
 */

#include <stdio.h>
#include <stdlib.h>

#include <llfree.h>

#define FRAMES ((size_t)2 * LLFREE_TREE_SIZE + LLFREE_HUGE_SIZE + 77)

static uint8_t *buffer(size_t size)
{
	void *memory = NULL;

	if (posix_memalign(&memory, LLFREE_CACHE_SIZE, size))
		abort();
	return memory;
}

/* Blocks at fixed places, so that nothing depends on where a search goes. */
static void use(llfree_t *self)
{
	for (uint8_t order = 0; order <= LLFREE_HUGE_ORDER; order++) {
		uint64_t at = UINT64_C(1) << order;

		if (!llfree_is_ok(llfree_get(self, frame_id_some(frame_id(at)),
					     llreq(order, 0, ll_none()))))
			abort();
	}
	for (uint64_t at = 8; at < 600; at += 24)
		llfree_put(self, frame_id(at), llreq(2, 0, ll_none()));
	if (!llfree_is_ok(llfree_get(self,
				     frame_id_some(frame_id(LLFREE_TREE_SIZE)),
				     llreq(LLFREE_MAX_ORDER, 0, ll_none()))))
		abort();
	llfree_put(self, frame_id(LLFREE_TREE_SIZE + 64),
		   llreq(6, 0, ll_none()));
}

int main(void)
{
	llfree_classing_t classing = llfree_classing_simple(1);
	llfree_meta_size_t size = llfree_metadata_size(&classing, FRAMES);
	llfree_meta_t meta = { buffer(size.local), buffer(size.trees),
			       buffer(size.lower) };
	llfree_t *self = (llfree_t *)buffer(size.llfree);

	if (!llfree_is_ok(llfree_init(self, FRAMES, LLFREE_INIT_FREE, meta,
				      &classing)))
		abort();
	use(self);
	printf("%zu bytes\n", size.lower);
	for (size_t i = 0; i < size.lower; i++)
		printf("%02x%s", meta.lower[i], i % 32 == 31 ? "\n" : "");
	return 0;
}
