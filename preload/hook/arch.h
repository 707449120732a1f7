/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The processor's part of hook.c: which code may be replaced, and the bytes
 * that replace it. hook-x86_64.c or hook-aarch64.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes between a stub and the entries that jump to it, at most. */
extern const size_t hook_arch_reach;

/* What a stub goes by: words on a page beside the code, in its reach. */
struct hook_slot {
	uintptr_t target; /* where the stub jumps to */
	uintptr_t ours;
	uintptr_t cookie; /* the test part answers it as first argument */
};

/* Bytes of code per stub, and where in them the test part begins. */
#define HOOK_STUB_SIZE 64
#define HOOK_STUB_TEST 16

/*
 * Why no jump may be stored at the start of this function of `size` bytes; or
 * NULL, and the `offset` at which it may. `alone`: no other thread can be
 * between two instructions that the jump covers.
 */
const char *hook_arch_refuse(const uint8_t *entry, size_t size, bool alone,
			     size_t *offset);

/*
 * Two pieces of code: at `code`, a jump to slot->target; HOOK_STUB_TEST bytes
 * on, one that returns the first argument when it equals slot->cookie and else
 * jumps to slot->ours. Registers that hold arguments stay as they are.
 */
void hook_arch_write_stub(uint8_t *code, const struct hook_slot *slot);

/* The word that holds the place, with the jump to `code` in it. */
uint64_t hook_arch_jump(const uint8_t *place, const uint8_t *code);
/* That word as it is now; one aligned atomic store of it. */
uint64_t hook_arch_load(const uint8_t *place);
void hook_arch_store(uint8_t *place, uint64_t word);
