/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Map memory, write to each of its pages and unmap it, over and over. The kernel
 * has to provide and zero fresh pages each time. With the preload library the
 * pages stay mapped and are used again:
 *
 *   examples/reuse
 *   LLFREE_STATS=1 LD_PRELOAD=./libllfree-preload.so examples/reuse
 *
 *   reuse [KIB [ROUNDS]]   the size of a mapping, and the number of rounds
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static long page_faults(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

/* Do one round. Fresh memory has to be zero, with the library as without. */
static int map_write_unmap(size_t size)
{
	volatile uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -1;
	for (size_t at = 0; at < size; at += 4096) {
		memory[at] = 1;
		if (memory[at + 1] != 0)
			return -1;
	}
	return munmap((void *)(uintptr_t)memory, size);
}

int main(int argc, char **argv)
{
	size_t kib = argc > 1 ? strtoul(argv[1], NULL, 10) : 64;
	size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 100000;
	double start = seconds();
	long faults = page_faults();

	for (size_t round = 0; round < rounds; round++) {
		if (map_write_unmap(kib * 1024) != 0) {
			fprintf(stderr, "reuse: round %zu failed\n", round);
			return 1;
		}
	}
	printf("%zu times %zu KiB: %.2f us each, %ld page faults\n", rounds,
	       kib, (seconds() - start) * 1e6 / (double)rounds,
	       page_faults() - faults);
	return 0;
}
