/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/hook/arch.h"

#include <string.h>

#define NOP 0xd503201fu
#define BTI_C 0xd503245fu
#define PACIASP 0xd503233fu
#define PACIBSP 0xd503237fu

/* A branch has 26 bits for a signed distance in words. */
const size_t hook_arch_reach = (size_t)128 << 20;

static uint32_t instruction(const uint8_t *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* Read `bits` bits from bit `low` on as a signed number of words; return
 * bytes. */
static ptrdiff_t distance(uint32_t word, unsigned low, unsigned bits)
{
	int32_t shifted = (int32_t)(word << (32 - low - bits));

	return (ptrdiff_t)(shifted >> (32 - bits)) * 4;
}

/* Return how far the branch `word` jumps; 0 if it is none, or one to itself. */
static ptrdiff_t branch_distance(uint32_t word)
{
	if ((word & 0x7c000000) == 0x14000000) /* b, bl */
		return distance(word, 0, 26);
	if ((word & 0xff000000) == 0x54000000 || /* b.cond */
	    (word & 0x7e000000) == 0x34000000) /* cbz, cbnz */
		return distance(word, 5, 19);
	if ((word & 0x7e000000) == 0x36000000) /* tbz, tbnz */
		return distance(word, 5, 14);
	return 0;
}

static bool jumps_back(const uint8_t *entry, size_t size, size_t offset)
{
	for (size_t i = offset + 4; i + 4 <= size; i += 4) {
		ptrdiff_t far = branch_distance(instruction(entry + i));

		if ((ptrdiff_t)i + far == (ptrdiff_t)offset)
			return true;
	}
	return false;
}

static bool is_patched(uint32_t word)
{
	return (word & 0xfc000000) == 0x14000000 || /* b */
	       (word & 0xffe0001f) == 0xd4200000 || /* brk */
	       (word & 0xff00001f) == 0x58000010 || /* ldr x16, … */
	       (word & 0xff00001f) == 0x58000011; /* ldr x17, … */
}

/*
 * One instruction is replaced, so no thread can be within it. But only some
 * instructions, nop among them, may change while another thread fetches them.
 */
const char *hook_arch_refuse(const uint8_t *entry, size_t size, bool alone,
			     size_t *offset)
{
	uint32_t word;

	if ((uintptr_t)entry % 4 != 0 || size < 12)
		return "not aligned, or too short";
	/* Leave the landing pad of indirect calls. */
	*offset = instruction(entry) == BTI_C ? 4 : 0;
	word = instruction(entry + *offset);
	if (is_patched(word))
		return "already patched by someone else";
	if (word == PACIASP || word == PACIBSP)
		return "signs its return address";
	if (word != NOP && !alone)
		return "other threads are running already";
	if (jumps_back(entry, size, *offset))
		return "jumps back to its start";
	return NULL;
}

/* Encode ldr `reg`, word. */
static uint32_t load_word(unsigned reg, const uint8_t *at,
			  const uintptr_t *word)
{
	uint32_t words = (uint32_t)(((const uint8_t *)word - at) / 4);

	return 0x58000000u | (words & 0x7ffff) << 5 | reg;
}

void hook_arch_write_stub(uint8_t *code, const struct hook_slot *slot)
{
	uint8_t *test = code + HOOK_STUB_TEST;
	uint32_t stub[] = {
		load_word(16, code, &slot->target), 0xd61f0200, /* br x16 */
	};
	uint32_t tests[] = {
		load_word(17, test, &slot->cookie),
		0xeb11001f, /* cmp x0, x17 */
		0x54000041, /* b.ne over the next */
		0xd65f03c0, /* ret */
		load_word(16, test + 16, &slot->ours),
		0xd61f0200, /* br x16 */
	};

	memcpy(code, stub, sizeof(stub));
	memcpy(test, tests, sizeof(tests));
	__builtin___clear_cache((char *)code, (char *)code + HOOK_STUB_SIZE);
}

uint64_t hook_arch_jump(const uint8_t *place, const uint8_t *code)
{
	return 0x14000000u | ((uint32_t)((code - place) / 4) & 0x3ffffff);
}

uint64_t hook_arch_load(const uint8_t *place)
{
	return __atomic_load_n((const uint32_t *)(const void *)place,
			       __ATOMIC_RELAXED);
}

void hook_arch_store(uint8_t *place, uint64_t word)
{
	__atomic_store_n((uint32_t *)(void *)place, (uint32_t)word,
			 __ATOMIC_SEQ_CST);
	__builtin___clear_cache((char *)place, (char *)place + 4);
}
