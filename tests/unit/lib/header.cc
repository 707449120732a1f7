/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* The public headers in C++17: their values and calls, linked and run. */

#include <llfree_pool.h>

#include <cstdlib>
#include <vector>

static void no_text(void *, const char *)
{
}

/* A directory is no pool. */
static bool pool_refused(const llfree_classing_t *classing)
{
	llfree_pool_t *pool;
	llfree_pool_error_t error =
		llfree_pool_open(&pool, "/", classing, LLFREE_POOL_READ_ONLY);

	return error == LLFREE_POOL_ERR_NOT_POOL && pool == nullptr;
}

int main()
{
	llfree_classing_t classing = llfree_classing_simple(2);
	size_t frames = 2 * LLFREE_TREE_SIZE;
	llfree_meta_size_t size = llfree_metadata_size(&classing, frames);
	auto buffer = [](size_t bytes) {
		return static_cast<uint8_t *>(std::aligned_alloc(
			LLFREE_CACHE_SIZE,
			(bytes / LLFREE_CACHE_SIZE + 1) * LLFREE_CACHE_SIZE));
	};
	std::vector<uint8_t> handle(size.llfree);
	llfree_meta_t meta = { buffer(size.local), buffer(size.trees),
			       buffer(size.lower) };
	auto *self = reinterpret_cast<llfree_t *>(handle.data());

	if (!llfree_is_ok(llfree_init(self, frames, LLFREE_INIT_FREE, meta,
				      &classing)))
		return 1;
	llfree_request_t request = llfree_simple_request(2, 0, 1);
	llfree_result_t got = llfree_get(self, frame_id_none(), request);

	llfree_print_debug(self, no_text, nullptr);
	bool good = llfree_is_ok(got) && got.class_ == request.class_ &&
		    llfree_is_ok(llfree_put(self, got.frame, request)) &&
		    llfree_stats(self).free_frames == frames &&
		    pool_refused(&classing);

	std::free(meta.local);
	std::free(meta.trees);
	std::free(meta.lower);
	return good ? 0 : 1;
}
