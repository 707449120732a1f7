/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The fuzzer's inputs without the fuzzer:
 *
 *   replay FILE...            each of these files
 *   replay --random N SEED    so many random inputs
 *
 * Says which input it comes to before it does, since one that fails ends the
 * program, and in the end how much that was.
 */
#include "tests/fuzz/fuzz.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BYTES 4096u

static uint8_t data[MOST_BYTES];
static unsigned long inputs;

static void run(size_t size)
{
	inputs++;
	(void)LLVMFuzzerTestOneInput(data, size);
}

static bool replay(const char *name)
{
	FILE *file = fopen(name, "rb");
	size_t size;

	printf("%s\n", name);
	fflush(stdout);
	if (!file)
		return false;
	size = fread(data, 1, sizeof(data), file);
	(void)fclose(file);
	run(size);
	return true;
}

/* xorshift; the state must not be 0 */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void random_input(uint64_t seed)
{
	uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	size_t size = next_random(&state) % MOST_BYTES;

	printf("--random 1 %llu\n", (unsigned long long)seed);
	fflush(stdout);
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)(next_random(&state) >> 24);
	run(size);
}

int main(int argc, char **argv)
{
	bool ok = argc > 1;

	if (argc == 4 && strcmp(argv[1], "--random") == 0) {
		unsigned long count = strtoul(argv[2], NULL, 0);

		for (uint64_t seed = strtoull(argv[3], NULL, 0); count > 0;
		     seed++, count--)
			random_input(seed);
	} else {
		for (int i = 1; i < argc; i++)
			ok &= replay(argv[i]);
	}
	printf("%lu inputs, %llu calls\n", inputs,
	       (unsigned long long)fuzz_calls);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
