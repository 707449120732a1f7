/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/hook/arch.h"

#include <string.h>

/*
 * jmp rel32, five bytes. A system call's wrapper is mov $number,%eax (five
 * bytes) and syscall (two), and a thread that waits in the kernel returns to
 * the byte after: what lies beyond the jump must stay, and the word that is
 * stored repeats it. Behind the first instruction the jump covers that byte and
 * crosses a word's border: when there is no such thread.
 */
#define JUMP_LEN 5
#define WORD_LEN sizeof(uint64_t)
#define BREAKPOINT 0xcc

const size_t hook_arch_reach = (size_t)1 << 31;

/* Bytes of a ModRM byte at `at` and of what belongs to it. */
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

/* What an instruction writes, if not one of the registers 0 to 15. */
enum { NOTHING = -1, MEMORY = -2 };
enum { RSP = 4 };

struct instruction {
	size_t len; /* 0: unknown */
	int writes;
	size_t stack; /* bytes that it takes of the stack */
};

/* add, sub, cmp and the like of `width` bytes at `at`, by the number in ModRM. */
static struct instruction arithmetic(const uint8_t *code, size_t at, int rm,
				     size_t width, bool wide)
{
	enum { SUB = 5, CMP = 7 };
	unsigned what = code[at] >> 3 & 7;
	size_t len = at + modrm_len(code + at);
	int32_t number = (int8_t)code[len];
	struct instruction in = { len + width, what == CMP ? NOTHING : rm, 0 };

	if (width == sizeof(number))
		memcpy(&number, code + len, sizeof(number));
	if (what == SUB && wide && rm == RSP && number > 0) {
		in.writes = NOTHING;
		in.stack = (size_t)number;
	}
	return in;
}

/* One of the instructions that functions of libc begin with, none of them a
 * jump, call or return. */
static struct instruction decode(const uint8_t *code)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	unsigned rex = 0, op;
	size_t at = 0, len;
	int reg, rm;

	if (memcmp(code, endbr64, sizeof(endbr64)) == 0)
		return (struct instruction){ sizeof(endbr64), NOTHING, 0 };
	if (code[at] == 0x64) /* %fs: */
		at++;
	if ((code[at] & 0xf0) == 0x40)
		rex = code[at++];
	op = code[at++];
	if ((op & 0xf8) == 0x50) /* push */
		return (struct instruction){ at, NOTHING, 8 };
	rm = (int)((op & 7) | (rex & 1) << 3);
	if ((op & 0xf8) == 0xb8) /* mov $,reg */
		return (struct instruction){ at + (rex & 8 ? 8 : 4), rm, 0 };
	reg = (int)((code[at] >> 3 & 7) | (rex & 4) << 1);
	rm = code[at] >> 6 == 3 ? (int)((code[at] & 7) | (rex & 1) << 3)
				: MEMORY;
	len = at + modrm_len(code + at);
	switch (op) {
	case 0x31: /* xor */
	case 0x89: /* mov */
		return (struct instruction){ len, rm, 0 };
	case 0x33: /* xor */
	case 0x63: /* movslq */
	case 0x8b: /* mov */
	case 0x8d: /* lea */
		return (struct instruction){ len, reg, 0 };
	case 0x83: /* sub, cmp, and … $imm8 */
		return arithmetic(code, at, rm, 1, rex & 8);
	case 0x81: /* the same, $imm32 */
		return arithmetic(code, at, rm, 4, rex & 8);
	case 0x85: /* test */
		return (struct instruction){ len, NOTHING, 0 };
	case 0xf7: /* test $imm32, and others without a number */
		if ((code[at] & 0x38) == 0)
			return (struct instruction){ len + 4, NOTHING, 0 };
	}
	return (struct instruction){ 0, NOTHING, 0 };
}

/* Whether a function of `words` arguments neither reads this register nor
 * restores it. */
static bool is_free(int reg, size_t words)
{
	static const int arguments[] = { 7, 6, 2, 1, 8, 9 };

	for (size_t i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++)
		if (reg == arguments[i])
			return i >= words;
	return reg == NOTHING || reg == 0 || reg == 10 || reg == 11;
}

static bool covered(ptrdiff_t target, size_t offset)
{
	return target > 0 && target < (ptrdiff_t)(offset + JUMP_LEN);
}

/*
 * Whether anything in the function that can be read as a jump, at any byte,
 * leads into what is replaced, or to a jump behind the first instruction. Never
 * misses one.
 */
static bool jumps_back(const uint8_t *entry, size_t size, size_t offset)
{
	for (size_t i = offset + JUMP_LEN; i < size; i++) {
		ptrdiff_t next = (ptrdiff_t)i;
		bool shorter = entry[i] == 0xeb || (entry[i] & 0xf0) == 0x70;
		int32_t rel;

		if (shorter && i + 2 <= size &&
		    covered(next + 2 + (int8_t)entry[i + 1], offset))
			return true;
		if (i + 5 > size ||
		    (entry[i] != 0xe9 && (entry[i] & 0xf0) != 0x80))
			continue;
		memcpy(&rel, entry + i + 1, sizeof(rel));
		if (covered(next + 5 + rel, offset))
			return true;
	}
	return false;
}

/* A jump to anywhere, as no function of ours has it behind the first
 * instruction; or a breakpoint. */
static bool is_patch(const uint8_t *code)
{
	return code[0] == 0xe9 || code[0] == BREAKPOINT ||
	       (code[0] == 0xff && code[1] == 0x25);
}

const char *hook_arch_refuse(const uint8_t *entry, size_t size, size_t words,
			     bool alone, struct hook_place *place)
{
	struct instruction first = decode(entry);

	*place = (struct hook_place){ 0, 0 };
	if ((uintptr_t)entry % WORD_LEN != 0 || size < 2 * WORD_LEN)
		return "not aligned, or too short";
	if (is_patch(entry) || entry[0] == 0xeb ||
	    (first.len && is_patch(entry + first.len)))
		return "already patched by another library";
	for (size_t at = 0; at < JUMP_LEN;) {
		size_t len = decode(entry + at).len;

		if (len == 0)
			return "unknown instructions";
		if (at + len < JUMP_LEN && !alone)
			return "other threads are running already";
		at += len;
	}
	if (jumps_back(entry, size, 0))
		return "jumps back to its start";
	if (alone && is_free(first.writes, words) &&
	    first.len + WORD_LEN <= size && !jumps_back(entry, size, first.len))
		*place = (struct hook_place){ first.len, first.stack };
	return NULL;
}

bool hook_arch_holds(const uint8_t *entry, const uint8_t *code, size_t offset)
{
	return (entry[0] == code[0] || entry[0] == BREAKPOINT) &&
	       memcmp(entry + 1, code + 1, offset + JUMP_LEN - 1) == 0;
}

/* jmp *word, cmp word,%rdi and the like: all take a distance from their end. */
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

void hook_arch_write_stub(uint8_t *code, const struct hook_slot *slot,
			  const struct hook_place *place)
{
	/* lea 0(%rsp),%rsp, which leaves the flags alone */
	static const uint8_t give_back[] = { 0x48, 0x8d, 0xa4, 0x24 };
	/* jne over the next two; mov %rdi,%rax; ret */
	static const uint8_t answer[] = { 0x75, 4, 0x48, 0x89, 0xf8, 0xc3 };
	uint8_t *test = code + HOOK_STUB_TEST;
	uint32_t stack = (uint32_t)place->stack;

	memcpy(code, give_back, sizeof(give_back));
	memcpy(code + sizeof(give_back), &stack, sizeof(stack));
	with_word(code + sizeof(give_back) + sizeof(stack), "\xff\x25", 2,
		  &slot->target);
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
	uint64_t word;

	memcpy(&word, place, WORD_LEN);
	return word;
}

/* One instruction, also where the place is not aligned: a signal handler of the
 * only thread sees the whole jump or nothing of it. */
void hook_arch_store(uint8_t *place, uint64_t word)
{
	__asm__ volatile("movq %0, (%1)\n"
			 "	mfence"
			 :
			 : "r"(word), "r"(place)
			 : "memory");
}
