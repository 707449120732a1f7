/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The processor's part of hook.c: which code may be replaced, and the bytes
 * that replace it. It is in x86_64.c or aarch64.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest distance from an entry to its stub, in bytes. */
extern const size_t hook_arch_reach;

/* The words that a stub reads: on a page beside the code, within reach. */
struct hook_slot {
	uintptr_t target; /* where the stub jumps to */
	uintptr_t ours;
	uintptr_t cookie; /* the test part returns it if it is the argument */
};

/* Bytes of code for each stub, and where in them the test part begins. */
#define HOOK_STUB_SIZE 64
#define HOOK_STUB_TEST 16

/*
 * Return why no jump may be stored at the start of this function of `size`
 * bytes; or return NULL and store the `offset` of the jump. `alone`: no other
 * thread can be between two instructions that the jump covers.
 */
const char *hook_arch_refuse(const uint8_t *entry, size_t size, bool alone,
			     size_t *offset);

/*
 * Write two sequences of code: at `code` a jump to slot->target, and
 * HOOK_STUB_TEST bytes behind it the test part. That returns the first argument
 * if it equals slot->cookie, and jumps to slot->ours otherwise. Registers that
 * hold arguments stay as they are.
 */
void hook_arch_write_stub(uint8_t *code, const struct hook_slot *slot);

/* Return the word at `place` with the jump to `code` in it. */
uint64_t hook_arch_jump(const uint8_t *place, const uint8_t *code);
/* Load that word; store it by one aligned atomic store. */
uint64_t hook_arch_load(const uint8_t *place);
void hook_arch_store(uint8_t *place, uint64_t word);
