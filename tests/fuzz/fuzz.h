/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * One input of the fuzzer: bytes that are decoded into a set-up and a sequence
 * of calls of the allocator, wrong ones among them. Each result is compared
 * with a model that knows one byte a frame; what differs ends the program.
 * Alone. The name and the result, always 0, are libFuzzer's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* How many calls that were so far. */
extern uint64_t fuzz_calls;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
