/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/hook/arch.h"

#include <string.h>

#define NOP 0xd503201fu
#define BTI_C 0xd503245fu
#define PACIASP 0xd503233fu
#define PACIBSP 0xd503237fu

/* A branch takes 26 bits of words, with a sign. */
const size_t hook_arch_reach = (size_t)128 << 20;

static uint32_t instruction(const uint8_t *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* `bits` bits from bit `low` on, as a signed number of words, in bytes. */
static ptrdiff_t distance(uint32_t word, unsigned low, unsigned bits)
{
	int32_t shifted = (int32_t)(word << (32 - low - bits));

	return (ptrdiff_t)(shifted >> (32 - bits)) * 4;
}

/* How far the branch `word` jumps; 0 when it is none (or one to itself). */
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

static bool is_breakpoint(uint32_t word)
{
	return (word & 0xffe0001f) == 0xd4200000; /* brk */
}

static bool is_patched(uint32_t word)
{
	return is_breakpoint(word) ||
	       (word & 0xfc000000) == 0x14000000 || /* b */
	       (word & 0xff00001f) == 0x58000010 || /* ldr x16, … */
	       (word & 0xff00001f) == 0x58000011; /* ldr x17, … */
}

/* How many bytes of the stack an instruction takes that does nothing else of
 * account: sub sp, sp, #n; stp x29, x30, [sp, #-n]!. Otherwise 0. */
static size_t stack_taken(uint32_t word)
{
	if ((word & 0xffc003ff) == 0xd10003ff)
		return word >> 10 & 0xfff;
	if ((word & 0xffe07fff) == 0xa9a07bfd)
		return (0x80 - (word >> 15 & 0x7f)) * 8;
	return 0;
}

/* Whether the instruction leaves alone what a function of `words` arguments
 * reads or restores: it computes a value for another register, or flags. */
static bool is_harmless(uint32_t word, size_t words)
{
	uint32_t reg = word & 31;

	if (word == NOP)
		return true;
	if (reg == 31) /* tst, cmp, cmn */
		return (word & 0x7f800000) == 0x72000000 ||
		       (word & 0x3f800000) == 0x31000000;
	if ((word & 0x1c000000) != 0x10000000 && /* with an immediate */
	    (word & 0x0e000000) != 0x0a000000) /* with a register */
		return false;
	return reg >= words && reg < 18;
}

/*
 * One instruction is replaced, so no thread can be within it. But only some,
 * nop among them, may change while another thread fetches them.
 */
const char *hook_arch_refuse(const uint8_t *entry, size_t size, size_t words,
			     bool alone, struct hook_place *place)
{
	uint32_t word;
	size_t stack;

	*place = (struct hook_place){ 0, 0 };
	if ((uintptr_t)entry % 4 != 0 || size < 12)
		return "not aligned, or too short";
	/* The landing pad of indirect calls stays. */
	place->offset = instruction(entry) == BTI_C ? 4 : 0;
	word = instruction(entry + place->offset);
	if (is_patched(word) || is_patched(instruction(entry + 4)))
		return "already patched by another library";
	if (word == PACIASP || word == PACIBSP)
		return "signs its return address";
	if (word != NOP && !alone)
		return "other threads are running already";
	if (jumps_back(entry, size, place->offset))
		return "jumps back to its start";
	stack = stack_taken(word);
	if (alone && place->offset == 0 &&
	    (stack || is_harmless(word, words)) && !jumps_back(entry, size, 4))
		*place = (struct hook_place){ 4, stack };
	return NULL;
}

bool hook_arch_holds(const uint8_t *entry, const uint8_t *code, size_t offset)
{
	return (instruction(entry) == instruction(code) ||
		is_breakpoint(instruction(entry))) &&
	       memcmp(entry + 4, code + 4, offset) == 0;
}

/* ldr `reg`, word */
static uint32_t load_word(unsigned reg, const uint8_t *at,
			  const uintptr_t *word)
{
	uint32_t words = (uint32_t)(((const uint8_t *)word - at) / 4);

	return 0x58000000u | (words & 0x7ffff) << 5 | reg;
}

void hook_arch_write_stub(uint8_t *code, const struct hook_slot *slot,
			  const struct hook_place *place)
{
	uint8_t *test = code + HOOK_STUB_TEST;
	uint32_t stub[] = {
		0x910003ffu | (uint32_t)place->stack << 10, /* add sp, sp, #n */
		load_word(16, code + 4, &slot->target), 0xd61f0200, /* br x16 */
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
