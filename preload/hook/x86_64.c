/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/hook/arch.h"

#include <string.h>

/*
 * The jump is jmp rel32, five bytes. The wrapper of a system call is
 * mov $number,%eax (five bytes) and syscall (two), and a thread that waits in
 * the kernel returns to the byte after these. So the bytes behind the jump must
 * stay, and the aligned word that is stored repeats them.
 */
#define JUMP_LEN 5
#define WORD_LEN sizeof(uint64_t)

const size_t hook_arch_reach = (size_t)1 << 31;

/* Return the length of a ModRM byte with its SIB byte and displacement. */
static size_t modrm_len(const uint8_t *at)
{
	unsigned mod = at[0] >> 6, rm = at[0] & 7;
	size_t len = 1;

	if (mod == 3)
		return len;
	if (rm == 4)
		len += mod == 0 && (at[1] & 7) == 5 ? 5 : 1;
	if (mod == 0)
		return len + (rm == 5 ? 4 : 0);
	return len + (mod == 1 ? 1 : 4);
}

/*
 * Return the length of an instruction, if it is one of those that functions of
 * libc begin with; 0 for any other, and for each jump, call or return.
 */
static size_t instruction_len(const uint8_t *code)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	size_t at = 0;
	bool wide;

	if (memcmp(code, endbr64, sizeof(endbr64)) == 0)
		return sizeof(endbr64);
	if (code[at] == 0x64) /* %fs: */
		at++;
	wide = (code[at] & 0xf8) == 0x48;
	if ((code[at] & 0xf0) == 0x40)
		at++;
	if ((code[at] & 0xf8) == 0x50) /* push */
		return at + 1;
	if ((code[at] & 0xf8) == 0xb8) /* mov $,reg */
		return at + (wide ? 9 : 5);
	switch (code[at]) {
	case 0x31: /* xor */
	case 0x33:
	case 0x63: /* movslq */
	case 0x85: /* test */
	case 0x89: /* mov */
	case 0x8b:
	case 0x8d: /* lea */
		return at + 1 + modrm_len(code + at + 1);
	case 0x83: /* sub, cmp, and … $imm8 */
		return at + 1 + modrm_len(code + at + 1) + 1;
	case 0x81: /* the same, $imm32 */
		return at + 1 + modrm_len(code + at + 1) + 4;
	case 0xf7: /* test $imm32; others have no immediate operand */
		if ((code[at + 1] & 0x38) != 0)
			return 0;
		return at + 1 + modrm_len(code + at + 1) + 4;
	}
	return 0;
}

static bool covered(ptrdiff_t target)
{
	return target > 0 && target < JUMP_LEN;
}

/*
 * Return whether any bytes of the function, read as a jump, lead into the bytes
 * that are replaced. It takes other bytes for jumps, but never misses one.
 */
static bool jumps_back(const uint8_t *entry, size_t size)
{
	for (size_t i = JUMP_LEN; i < size; i++) {
		ptrdiff_t next = (ptrdiff_t)i;
		bool shorter = entry[i] == 0xeb || (entry[i] & 0xf0) == 0x70;
		int32_t rel;

		if (shorter && i + 2 <= size &&
		    covered(next + 2 + (int8_t)entry[i + 1]))
			return true;
		if (i + 5 > size ||
		    (entry[i] != 0xe9 && (entry[i] & 0xf0) != 0x80))
			continue;
		memcpy(&rel, entry + i + 1, sizeof(rel));
		if (covered(next + 5 + rel))
			return true;
	}
	return false;
}

static bool is_patched(const uint8_t *entry)
{
	return entry[0] == 0xe9 || entry[0] == 0xeb || entry[0] == 0xcc ||
	       (entry[0] == 0xff && entry[1] == 0x25);
}

const char *hook_arch_refuse(const uint8_t *entry, size_t size, bool alone,
			     size_t *offset)
{
	*offset = 0;
	if ((uintptr_t)entry % WORD_LEN != 0 || size < 2 * WORD_LEN)
		return "not aligned, or too short";
	if (is_patched(entry))
		return "already patched by someone else";
	for (size_t at = 0; at < JUMP_LEN;) {
		size_t len = instruction_len(entry + at);

		if (len == 0)
			return "unknown instructions";
		if (at + len < JUMP_LEN && !alone)
			return "other threads are running already";
		at += len;
	}
	return jumps_back(entry, size) ? "jumps back to its start" : NULL;
}

/* Write an instruction with the address of a word, as a distance from its end. */
static uint8_t *with_word(uint8_t *code, const char *opcode, size_t len,
			  const uintptr_t *word)
{
	int32_t rel;

	memcpy(code, opcode, len);
	code += len;
	rel = (int32_t)((const uint8_t *)word - (code + sizeof(rel)));
	memcpy(code, &rel, sizeof(rel));
	return code + sizeof(rel);
}

void hook_arch_write_stub(uint8_t *code, const struct hook_slot *slot)
{
	/* jne over the next two; mov %rdi,%rax; ret */
	static const uint8_t answer[] = { 0x75, 4, 0x48, 0x89, 0xf8, 0xc3 };
	uint8_t *test = code + HOOK_STUB_TEST;

	with_word(code, "\xff\x25", 2, &slot->target);
	test = with_word(test, "\x48\x3b\x3d", 3, &slot->cookie);
	memcpy(test, answer, sizeof(answer));
	with_word(test + sizeof(answer), "\xff\x25", 2, &slot->ours);
}

uint64_t hook_arch_jump(const uint8_t *place, const uint8_t *code)
{
	int32_t rel = (int32_t)(code - (place + JUMP_LEN));
	uint8_t bytes[WORD_LEN];
	uint64_t word;

	memcpy(bytes, place, WORD_LEN);
	bytes[0] = 0xe9;
	memcpy(bytes + 1, &rel, sizeof(rel));
	memcpy(&word, bytes, WORD_LEN);
	return word;
}

uint64_t hook_arch_load(const uint8_t *place)
{
	return __atomic_load_n((const uint64_t *)(const void *)place,
			       __ATOMIC_RELAXED);
}

void hook_arch_store(uint8_t *place, uint64_t word)
{
	__atomic_store_n((uint64_t *)(void *)place, word, __ATOMIC_SEQ_CST);
}
