/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/* Which first instructions of a function may be replaced. */

#include "preload/hook/arch.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#define SIZE 32

struct code {
	_Alignas(16) uint8_t bytes[SIZE];
};

/* The bytes, then nops. */
static struct code code_of(const char *bytes, size_t len)
{
	struct code code;

	memset(code.bytes, 0x90, SIZE);
	memcpy(code.bytes, bytes, len);
	return code;
}

static const char threads[] = "other threads are running already";

static const char *refused_by(const struct code *code, size_t words, bool alone,
			      struct hook_place *place)
{
	return hook_arch_refuse(code->bytes, SIZE, words, alone, place);
}

#define CODE(bytes) bytes, sizeof(bytes) - 1

/* As found in Debian's glibc 2.31, 2.36, 2.41 and 2.43. */
static void beginnings_of_libc(void **state)
{
	static const struct {
		const char *bytes;
		size_t len, words, offset, stack;
		bool alone; /* only then */
	} cases[] = {
		/* munmap, mprotect, madvise: mov $11,%eax; syscall; cmp; jae */
		{ CODE("\xb8\x0b\0\0\0\x0f\x05\x48\x3d\x01\xf0\xff\xff\x73\x01"
		       "\xc3\x48\x8b\x0d\x59\x8c\x0d\0\xf7\xd8\x64\x89\x01"),
		  2, 5, 0, false },
		/* mmap, 2.36: mov %ecx,%r10d; test $0xfff,%r9d; jne */
		{ CODE("\x41\x89\xca\x41\xf7\xc1\xff\x0f\0\0\x75\x14\xb8\x09\0"
		       "\0\0\x0f\x05\x48\x3d\0\xf0\xff\xff\x77\x25\xc3\x0f"),
		  6, 3, 0, true },
		/* mmap, 2.31: test $0xfff,%r9d; jne; push %rbp */
		{ CODE("\x41\xf7\xc1\xff\x0f\0\0\x75\x27\x55\x48\x89\xfd\x53"
		       "\x89\xcb\x48\x85\xff\x74\x3b\x41\x89\xda\x48\x89\xef"),
		  6, 7, 0, false },
		/* mmap, 2.41 and 2.43 */
		{ CODE("\x41\xf7\xc1\xff\x0f\0\0\x75\x27\x55\x89\xcd\x53\x48"
		       "\x89\xfb\x48\x85\xff\x74\x3b\x41\x89\xea\x48\x89\xdf"),
		  6, 7, 0, false },
		/* mremap, 2.31: mov %rcx,%r10; mov $25,%eax; syscall */
		{ CODE("\x49\x89\xca\xb8\x19\0\0\0\x0f\x05\x48\x3d\x01\xf0\xff"
		       "\xff\x73\x01\xc3\x48\x8b\x0d\x66\x17\x0d\0\xf7\xd8"),
		  5, 3, 0, true },
		/* mremap, later: sub $0x58,%rsp; mov %r8,0x40(%rsp) */
		{ CODE("\x48\x83\xec\x58\x4c\x89\x44\x24\x40\x64\x48\x8b\x04"
		       "\x25\x28\0\0\0\x48\x89\x44\x24\x18\x31\xc0\x83\xf9"),
		  5, 4, 0x58, true },
		/* brk, 2.31: mov $12,%eax; syscall; cmp */
		{ CODE("\xb8\x0c\0\0\0\x0f\x05\x48\x3d\0\xf0\xff\xff\x77\x19"
		       "\x48\x8b\x15\xf2\xcc\x0d\0\x48\x89\x02\x48\x39\xc7"),
		  1, 5, 0, false },
		/* brk, later: mov $12,%eax; syscall; mov 0xd51e2(%rip),%rdx */
		{ CODE("\xb8\x0c\0\0\0\x0f\x05\x48\x8b\x15\xe2\x51\x0d\0\x48"
		       "\x89\x02\x48\x39\xf8\x72\x0a\x31\xc0\xc3\x0f\x1f\x80"),
		  1, 5, 0, false },
		/* _exit, 2.31 and 2.36: mov 0xfe9f9(%rip),%r8; mov; mov; jmp */
		{ CODE("\x4c\x8b\x05\xf9\xe9\x0f\0\xbe\xe7\0\0\0\xba\x3c\0\0\0"
		       "\xeb\x12\x0f\x1f\x44\0\0\x89\xd0\x0f\x05\x48\x3d"),
		  1, 7, 0, false },
		/* _exit, 2.41: mov 0x107de9(%rip),%rsi; mov $231,%edx; jmp */
		{ CODE("\x48\x8b\x35\xe9\x7d\x10\0\xba\xe7\0\0\0\xeb\x03\x66"
		       "\x90\xf4\x89\xd0\x0f\x05\x48\x3d\0\xf0\xff\xff\x76"
		       "\xf3"),
		  1, 7, 0, false },
		/* _exit, 2.43: mov 0x107c41(%rip),%rsi; jmp; nopl; hlt */
		{ CODE("\x48\x8b\x35\x41\x7c\x10\0\xeb\x08\x0f\x1f\x80\0\0\0\0"
		       "\xf4\xb8\xe7\0\0\0\x0f\x05\x48\x3d\0\xf0\xff\xff\x76"
		       "\xf0"),
		  1, 7, 0, false },
		/* with landing pads: endbr64; mov $11,%eax; syscall */
		{ CODE("\xf3\x0f\x1e\xfa\xb8\x0b\0\0\0\x0f\x05"), 2, 4, 0,
		  true },
		/* push %r12; mov %rdi,%r12 */
		{ CODE("\x41\x54\x49\x89\xfc"), 6, 2, 8, true },
		/* sub $0x1234,%rsp */
		{ CODE("\x48\x81\xec\x34\x12\0\0"), 6, 7, 0x1234, false },
		/* xor %eax,%eax; sub $0x1234,%rsp */
		{ CODE("\x31\xc0\x48\x81\xec\x34\x12\0\0"), 6, 2, 0, true },
		/* mov %fs:0x28,%rax */
		{ CODE("\x64\x48\x8b\x04\x25\x28\0\0\0"), 6, 9, 0, false },
		/* lea 8(%rsp),%rax */
		{ CODE("\x48\x8d\x44\x24\x08"), 6, 5, 0, false },
		/* cmp $-1,%ecx; mov %ecx,%r10d */
		{ CODE("\x83\xf9\xff\x41\x89\xca"), 6, 3, 0, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct code code = code_of(cases[i].bytes, cases[i].len);
		struct hook_place place = { 99, 99 };
		const char *refused;

		assert_null(refused_by(&code, cases[i].words, true, &place));
		assert_int_equal(place.offset, cases[i].offset);
		assert_int_equal(place.stack, cases[i].stack);
		refused = refused_by(&code, cases[i].words, false, &place);
		if (cases[i].alone)
			assert_string_equal(refused, threads);
		else
			assert_null(refused);
		assert_int_equal(place.offset, 0);
		assert_int_equal(place.stack, 0);
	}
}

/* An effect that no stub could undo: the jump replaces the instruction. */
static void first_instruction_goes(void **state)
{
	static const struct {
		const char *bytes;
		size_t len, words;
	} cases[] = {
		/* mov 0xfe9f9(%rip),%r8 in a function of five arguments */
		{ CODE("\x4c\x8b\x05\xf9\xe9\x0f\0"), 5 },
		/* movslq %edi,%rdi */
		{ CODE("\x48\x63\xff\x89\xd1"), 1 },
		/* mov %rdi,%rbx */
		{ CODE("\x48\x89\xfb\x89\xd1"), 1 },
		/* mov %rsp,%rbp */
		{ CODE("\x48\x89\xe5\x89\xd1"), 1 },
		/* mov %r8,0x40(%rsp) */
		{ CODE("\x4c\x89\x44\x24\x40"), 5 },
		/* and $-16,%rsp */
		{ CODE("\x48\x83\xe4\xf0\x89\xd1"), 1 },
		/* sub $-128,%rsp */
		{ CODE("\x48\x83\xec\x80\x89\xd1"), 1 },
		/* mov $11,%eax; syscall; a jump to what is behind the mov */
		{ CODE("\xb8\x0b\0\0\0\x0f\x05\x90\x90\x90\xeb\xf9"), 2 },
		/* and into what would be replaced there */
		{ CODE("\xb8\x0b\0\0\0\x0f\x05\x90\x90\x90\x74\xfd"), 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct code code = code_of(cases[i].bytes, cases[i].len);
		struct hook_place place = { 99, 99 };

		assert_null(refused_by(&code, cases[i].words, true, &place));
		assert_int_equal(place.offset, 0);
		assert_int_equal(place.stack, 0);
	}
}

static void refuse(const char *bytes, size_t len, const char *why)
{
	struct code code = code_of(bytes, len);
	struct hook_place place;

	assert_string_equal(refused_by(&code, 6, true, &place), why);
}

static void refused_beginnings(void **state)
{
	static const char patched[] = "already patched by another library";
	static const char unknown[] = "unknown instructions";

	(void)state;
	refuse("\xe9\x00\x01\0\0", 5, patched);
	refuse("\xeb\x10", 2, patched);
	refuse("\xff\x25\0\0\0\0", 6, patched);
	refuse("\xcc", 1, patched); /* a debugger's breakpoint */
	/* mov $11,%eax; jmp: taken over already, behind the first */
	refuse("\xb8\x0b\0\0\0\xe9\x00\x01\0\0", 10, patched);
	refuse("\xc3", 1, unknown); /* ret */
	refuse("\x31\xc0\xc3", 3, unknown);
	refuse("\x31\xc0\x74\x02", 4, unknown); /* je */
	refuse("\xe8\0\0\0\0", 5, unknown); /* call */
	refuse("\xf7\xd8", 2, unknown); /* neg %eax */
}

static void jumps_into_what_is_replaced(void **state)
{
	/* At byte 5: jmp -4, that is to byte 3; je -3; at 6: jmp rel32 to byte 1;
	 * and jmp -7, to byte 0, where ours begins. */
	struct code code = code_of("\xb8\x0b\0\0\0\xeb\xfc", 7);
	struct hook_place place;

	(void)state;
	refuse("\xb8\x0b\0\0\0\xeb\xfc", 7, "jumps back to its start");
	refuse("\xb8\x0b\0\0\0\x74\xfd", 7, "jumps back to its start");
	refuse("\xb8\x0b\0\0\0\x90\xe9\xf6\xff\xff\xff", 11,
	       "jumps back to its start");
	refuse("\xb8\x0b\0\0\0\x0f\x84\xf7\xff\xff\xff", 11,
	       "jumps back to its start");
	code.bytes[6] = 0xf9;
	assert_null(refused_by(&code, 2, false, &place));
}

static void alignment(void **state)
{
	static const char why[] = "not aligned, or too short";
	struct code code = code_of("\xb8\x0b\0\0\0\x0f\x05", 7);
	struct hook_place place;

	(void)state;
	assert_string_equal(hook_arch_refuse(code.bytes, 15, 2, true, &place),
			    why);
	/* mov 0xfe9f9(%rip),%r8: behind it the word ends with the function */
	memcpy(code.bytes, "\x4c\x8b\x05\xf9\xe9\x0f\0", 7);
	assert_null(hook_arch_refuse(code.bytes, 16, 1, true, &place));
	assert_int_equal(place.offset, 7);
	/* mov %fs:0x28,%rax: nine bytes, and eight more are not there */
	memcpy(code.bytes, "\x64\x48\x8b\x04\x25\x28\0\0\0", 9);
	assert_null(hook_arch_refuse(code.bytes, 16, 1, true, &place));
	assert_int_equal(place.offset, 0);
	memmove(code.bytes + 4, code.bytes, 20);
	assert_string_equal(hook_arch_refuse(code.bytes + 4, SIZE - 4, 2, true,
					     &place),
			    why);
}

/* Only the jump's five bytes change: a thread may return to those after. */
static void jump_keeps_what_follows(void **state)
{
	static struct code area[32];
	uint8_t *code = area[16].bytes;
	uint64_t word;

	(void)state;
	memcpy(code, "\xb8\x0b\0\0\0\x0f\x05\x48\x3d", 9);
	word = hook_arch_jump(code, code + 0x105);
	hook_arch_store(code, word);
	assert_memory_equal(code, "\xe9\0\x01\0\0\x0f\x05\x48\x3d", 9);
	assert_true(hook_arch_load(code) == word);
	hook_arch_store(code, hook_arch_jump(code, code - 0xfb));
	assert_memory_equal(code, "\xe9\0\xff\xff\xff\x0f\x05\x48\x3d", 9);
	code += 5;
	hook_arch_store(code, hook_arch_jump(code, code - 0xfb));
	assert_memory_equal(code - 5, "\xe9\0\xff\xff\xff\xe9\0\xff\xff\xff\0",
			    11);
}

static void overwritten(void **state)
{
	/* mov $11,%eax; jmp */
	struct code ours = code_of("\xb8\x0b\0\0\0\xe9\0\x01\0\0", 10);
	struct code now = ours;

	(void)state;
	assert_true(hook_arch_holds(now.bytes, ours.bytes, 5));
	now.bytes[0] = 0xcc;
	assert_true(hook_arch_holds(now.bytes, ours.bytes, 5));
	now.bytes[0] = 0xe9;
	assert_false(hook_arch_holds(now.bytes, ours.bytes, 5));
	for (size_t i = 1; i <= 10; i++) {
		now = ours;
		now.bytes[i]++;
		/* What is behind the jump is not used any more. */
		assert_int_equal(hook_arch_holds(now.bytes, ours.bytes, 5),
				 i == 10);
	}
}

/* The stub gives back what the instruction before the jump took. */
static void stub(void **state)
{
	static _Alignas(16) uint8_t code[HOOK_STUB_SIZE];
	static const struct hook_slot slot;
	struct hook_place place = { 4, 0x58 };
	int32_t far;

	(void)state;
	hook_arch_write_stub(code, &slot, &place);
	/* lea 0x58(%rsp),%rsp; jmp *slot.target */
	assert_memory_equal(code, "\x48\x8d\xa4\x24\x58\0\0\0\xff\x25", 10);
	memcpy(&far, code + 10, sizeof(far));
	assert_ptr_equal(code + 14 + far, &slot.target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(beginnings_of_libc),
		cmocka_unit_test(first_instruction_goes),
		cmocka_unit_test(refused_beginnings),
		cmocka_unit_test(jumps_into_what_is_replaced),
		cmocka_unit_test(alignment),
		cmocka_unit_test(jump_keeps_what_follows),
		cmocka_unit_test(overwritten),
		cmocka_unit_test(stub),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
