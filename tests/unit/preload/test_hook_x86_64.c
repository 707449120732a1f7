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

static void beginnings_of_libc(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		bool alone; /* only then */
	} cases[] = {
		/* mov $11,%eax; syscall */
		{ "\xb8\x0b\0\0\0\x0f\x05", 7, false },
		/* endbr64; mov $11,%eax; syscall */
		{ "\xf3\x0f\x1e\xfa\xb8\x0b\0\0\0\x0f\x05", 11, true },
		/* mov %ecx,%r10d; test $0xfff,%r9d */
		{ "\x41\x89\xca\x41\xf7\xc1\xff\x0f\0\0", 10, true },
		/* mov %ecx,%r10d; cmp $-1,%ecx */
		{ "\x41\x89\xca\x83\xf9\xff", 6, true },
		/* sub $0x58,%rsp; mov %r8,0x40(%rsp) */
		{ "\x48\x83\xec\x58\x4c\x89\x44\x24\x40", 9, true },
		/* mov 0xfe9f9(%rip),%r8 */
		{ "\x4c\x8b\x05\xf9\xe9\x0f\0", 7, false },
		/* push %rbp; mov %rsp,%rbp; push %r12 */
		{ "\x55\x48\x89\xe5\x41\x54", 6, true },
		/* mov %fs:0x28,%rax */
		{ "\x64\x48\x8b\x04\x25\x28\0\0\0", 9, false },
		/* xor %eax,%eax; sub $0x1234,%rsp */
		{ "\x31\xc0\x48\x81\xec\x34\x12\0\0", 9, true },
		/* lea 8(%rsp),%rax */
		{ "\x48\x8d\x44\x24\x08", 5, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct code code = code_of(cases[i].bytes, cases[i].len);
		const char *refused;
		size_t offset = 99;

		assert_null(hook_arch_refuse(code.bytes, SIZE, true, &offset));
		assert_int_equal(offset, 0);
		refused = hook_arch_refuse(code.bytes, SIZE, false, &offset);
		if (cases[i].alone)
			assert_string_equal(refused, "other threads are "
						     "running already");
		else
			assert_null(refused);
	}
}

static void refuse(const char *bytes, size_t len, const char *why)
{
	struct code code = code_of(bytes, len);
	size_t offset;

	assert_string_equal(hook_arch_refuse(code.bytes, SIZE, true, &offset),
			    why);
}

static void refused_beginnings(void **state)
{
	static const char patched[] = "already patched by someone else";
	static const char unknown[] = "unknown instructions";

	(void)state;
	refuse("\xe9\x00\x01\0\0", 5, patched);
	refuse("\xeb\x10", 2, patched);
	refuse("\xff\x25\0\0\0\0", 6, patched);
	refuse("\xcc", 1, patched); /* a debugger's breakpoint */
	refuse("\xc3", 1, unknown); /* ret */
	refuse("\x31\xc0\xc3", 3, unknown);
	refuse("\x31\xc0\x74\x02", 4, unknown); /* je */
	refuse("\xe8\0\0\0\0", 5, unknown); /* call */
	refuse("\xf7\xd8", 2, unknown); /* neg %eax */
}

static void jumps_into_what_is_replaced(void **state)
{
	/* At byte 5: jmp -4, that is to byte 3; je -3; jmp rel32 to byte 1;
	 * and jmp -7, to byte 0, where ours begins. */
	struct code code = code_of("\xb8\x0b\0\0\0\xeb\xfc", 7);
	size_t offset;

	(void)state;
	refuse("\xb8\x0b\0\0\0\xeb\xfc", 7, "jumps back to its start");
	refuse("\xb8\x0b\0\0\0\x74\xfd", 7, "jumps back to its start");
	refuse("\xb8\x0b\0\0\0\xe9\xf7\xff\xff\xff", 10,
	       "jumps back to its start");
	refuse("\xb8\x0b\0\0\0\x0f\x84\xf7\xff\xff\xff", 11,
	       "jumps back to its start");
	code.bytes[6] = 0xf9;
	assert_null(hook_arch_refuse(code.bytes, SIZE, false, &offset));
}

static void place(void **state)
{
	struct code code = code_of("\xb8\x0b\0\0\0\x0f\x05", 7);
	size_t offset;

	(void)state;
	assert_string_equal(hook_arch_refuse(code.bytes, 15, true, &offset),
			    "not aligned, or too short");
	memmove(code.bytes + 4, code.bytes, 20);
	assert_string_equal(hook_arch_refuse(code.bytes + 4, SIZE - 4, true,
					     &offset),
			    "not aligned, or too short");
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
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(beginnings_of_libc),
		cmocka_unit_test(refused_beginnings),
		cmocka_unit_test(jumps_into_what_is_replaced),
		cmocka_unit_test(place),
		cmocka_unit_test(jump_keeps_what_follows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
