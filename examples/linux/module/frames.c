// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: the llfree-preload contributors

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include "examples/linux/module/frames.h"

#define CHUNK_ORDER 10u
#define CHUNK_MIB 4u

static u8 handle[2 * LLFREE_CACHE_SIZE] __aligned(LLFREE_CACHE_SIZE);
static llfree_t *const llfree = (llfree_t *)handle;
static struct page **chunks;
static size_t chunk_count;
static unsigned long first_pfn;
static llfree_meta_t meta;

llfree_t *frames_llfree(void)
{
	return llfree;
}

unsigned long frames_first_pfn(void)
{
	return first_pfn;
}

struct zone *frames_zone(void)
{
	return page_zone(chunks[0]);
}

static int take_chunks(size_t wanted)
{
	chunks = vzalloc(array_size(wanted, sizeof(*chunks)));
	if (!chunks)
		return -ENOMEM;
	while (chunk_count < wanted) {
		struct page *chunk =
			alloc_pages(GFP_KERNEL | __GFP_NOWARN, CHUNK_ORDER);

		if (!chunk)
			return -ENOMEM;
		chunks[chunk_count++] = chunk;
	}
	return 0;
}

/* Return the number of frames from the lowest chunk to the highest. */
static size_t span_of_chunks(void)
{
	unsigned long last_pfn = 0;
	size_t i;

	first_pfn = ULONG_MAX;
	for (i = 0; i < chunk_count; i++) {
		unsigned long pfn = page_to_pfn(chunks[i]);

		first_pfn = min(first_pfn, pfn);
		last_pfn = max(last_pfn, pfn + (1ul << CHUNK_ORDER));
	}
	first_pfn = round_down(first_pfn, LLFREE_TREE_SIZE);
	return last_pfn - first_pfn;
}

/* vmalloc aligns to pages. */
static int take_metadata(llfree_meta_size_t size)
{
	meta.local = vzalloc(size.local);
	meta.trees = vzalloc(size.trees);
	meta.lower = vzalloc(size.lower);
	return meta.local && meta.trees && meta.lower ? 0 : -ENOMEM;
}

static int make_instance(void)
{
	llfree_classing_t classing = llfree_classing_simple(nr_cpu_ids);
	size_t frames = span_of_chunks(), i;
	int error = take_metadata(llfree_metadata_size(&classing, frames));

	if (error)
		return error;
	if (!llfree_is_ok(llfree_init(llfree, frames, LLFREE_INIT_ALLOC, meta,
				      &classing)))
		return -EINVAL;
	for (i = 0; i < chunk_count; i++) {
		frame_id_t frame = frame_id(page_to_pfn(chunks[i]) - first_pfn);

		if (!llfree_is_ok(llfree_put(
			    llfree, frame,
			    llfree_simple_request(nr_cpu_ids, CHUNK_ORDER, 0))))
			return -EINVAL;
	}
	return 0;
}

int frames_init(size_t mib)
{
	int error = take_chunks(mib / CHUNK_MIB);

	if (!error)
		error = make_instance();
	if (error)
		frames_exit();
	return error;
}

void frames_exit(void)
{
	while (chunk_count)
		__free_pages(chunks[--chunk_count], CHUNK_ORDER);
	vfree(chunks);
	vfree(meta.local);
	vfree(meta.trees);
	vfree(meta.lower);
}
