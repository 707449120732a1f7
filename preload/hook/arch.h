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

/* Where the jump to a stub is stored. */
struct hook_place {
	size_t offset; /* from the entry */
	size_t stack; /* bytes that the instruction before it takes of the
		       * stack, which the stub gives back */
};

/*
 * Why no jump may be stored in this function of `size` bytes, which takes
 * `words` arguments; or NULL, and the place for it. `alone`: no other thread
 * can be between two instructions that the jump covers.
 *
 * The place is behind the first instruction if that can be: where the kernel
 * has a breakpoint (a uprobe) on the entry, it executes the first instruction
 * of the file elsewhere and goes on behind it, whatever the entry holds by now.
 * That instruction must leave all arguments as they are, and the jump behind it
 * covers more than one instruction as a rule. So without `alone` it is at the
 * entry: a uprobe there goes past the jump, or into the middle of it.
 */
const char *hook_arch_refuse(const uint8_t *entry, size_t size, size_t words,
			     bool alone, struct hook_place *place);

/*
 * Two pieces of code: at `code`, one that gives back place->stack bytes and
 * jumps to slot->target; HOOK_STUB_TEST bytes on, one that returns the first
 * argument when it equals slot->cookie and else jumps to slot->ours. Registers
 * that hold arguments stay as they are.
 */
void hook_arch_write_stub(uint8_t *code, const struct hook_slot *slot,
			  const struct hook_place *place);

/* Bytes of a function up to the jump and with the word that holds it, at most. */
#define HOOK_CODE_MOST 24

/* Whether a function with a jump at `offset` is as it was, when `code` was
 * copied from it, but for a breakpoint on the entry. */
bool hook_arch_holds(const uint8_t *entry, const uint8_t *code, size_t offset);

/* The word that holds the place, with the jump to `code` in it. */
uint64_t hook_arch_jump(const uint8_t *place, const uint8_t *code);
/* That word as it is now; one store of it. Other threads see all of it or
 * nothing if the place is aligned, as an entry is. */
uint64_t hook_arch_load(const uint8_t *place);
void hook_arch_store(uint8_t *place, uint64_t word);
