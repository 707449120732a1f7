/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Programs that handle their own page faults: memory that was in use before is
 * as absent as new memory, round after round.
 */
#include "tests/shim/shim.h"

#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#define PAGES ((size_t)64)

static size_t page;
static int fd;
static unsigned faults;

static void *fill_pages(void *unused)
{
	static char contents[1 << 16] __attribute__((aligned(1 << 16)));
	struct uffd_msg message;

	memset(contents, 'x', page);
	while (read(fd, &message, sizeof(message)) == sizeof(message)) {
		struct uffdio_copy copy = {
			.dst = message.arg.pagefault.address & ~(page - 1),
			.src = (uintptr_t)contents,
			.len = page,
		};

		if (message.event != UFFD_EVENT_PAGEFAULT)
			continue;
		__atomic_fetch_add(&faults, 1, __ATOMIC_RELAXED);
		ioctl(fd, UFFDIO_COPY, &copy);
	}
	return unused;
}

static void use(size_t len)
{
	char *p = map(len);

	memset(p, 'u', len);
	must(munmap(p, len) == 0);
}

static void expect_missing(char *p, size_t len)
{
	struct uffdio_register want = {
		.range = { (uintptr_t)p, len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	must(ioctl(fd, UFFDIO_REGISTER, &want) == 0);
}

/* Whether each page is what the handler made of it, by a fault each. */
static bool is_filled_by_faults(const char *p, size_t pages)
{
	unsigned before = __atomic_load_n(&faults, __ATOMIC_RELAXED);

	for (size_t i = 0; i < pages; i++)
		if (p[i * page + 7] != 'x')
			return false;
	return __atomic_load_n(&faults, __ATOMIC_RELAXED) - before == pages;
}

int main(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	pthread_t thread;
	bool good = true;
	char *early, *p;

	page = page_size();
	use(PAGES * page);
	early = map(PAGES * page);
	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api)) {
		skip("userfaultfd", "not allowed here");
		return done();
	}
	expect_missing(early, PAGES * page);
	must(pthread_create(&thread, NULL, fill_pages, NULL) == 0);
	ok(is_filled_by_faults(early, PAGES),
	   "memory from before the first userfaultfd");
	must(munmap(early, PAGES * page) == 0);
	for (int round = 0; round < 20; round++) {
		use((1 + round) * PAGES * page);
		p = map(PAGES * page);
		expect_missing(p, PAGES * page);
		good = good && is_filled_by_faults(p, PAGES);
		must(munmap(p, PAGES * page) == 0);
	}
	ok(good, "memory that was in use before, again and again");
	p = map(PAGES * page);
	ok(all_bytes(p, PAGES * page, 0), "other memory reads as zero");
	must(munmap(p, PAGES * page) == 0);
	return done();
}
