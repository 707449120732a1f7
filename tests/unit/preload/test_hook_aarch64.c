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

#define NOP 0xd503201f
#define BTI_C 0xd503245f
#define MOV_X8 0xd2801ae8 /* mov x8, #215 */
#define SVC 0xd4000001
#define WORDS 4

struct code {
	uint32_t words[WORDS];
};

static const char *refused(struct code code, size_t words, bool alone,
			   struct hook_place *place)
{
	return hook_arch_refuse((const uint8_t *)code.words, sizeof(code),
				words, alone, place);
}

/* As found in Debian's glibc 2.36, but for the last ones. */
static void beginnings_of_libc(void **state)
{
	static const struct {
		struct code code;
		size_t words, offset, stack;
		bool alone; /* only then */
	} cases[] = {
		/* munmap, mprotect, madvise */
		{ { { NOP, MOV_X8, SVC, NOP } }, 2, 4, 0, false },
		/* mmap: tst x5, #0xfff; b.ne */
		{ { { 0xf2402cbf, 0x54000121, NOP, NOP } }, 6, 4, 0, true },
		/* mremap: stp x29, x30, [sp, #-80]!; adrp x5 */
		{ { { 0xa9bb7bfd, 0xf00005a5, NOP, NOP } }, 5, 4, 80, true },
		/* brk: mov x1, x0 */
		{ { { 0xaa0003e1, MOV_X8, SVC, NOP } }, 1, 4, 0, true },
		/* _exit: sxtw x2, w0 */
		{ { { 0x93407c02, 0xf0000724, NOP, NOP } }, 1, 4, 0, true },
		/* mov x8, #215; svc */
		{ { { MOV_X8, SVC, NOP, NOP } }, 2, 4, 0, true },
		/* sub sp, sp, #32 */
		{ { { 0xd10083ff, MOV_X8, SVC, NOP } }, 6, 4, 32, true },
		/* the landing pad leads to the jump, as a first instruction */
		{ { { BTI_C, NOP, MOV_X8, SVC } }, 2, 4, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct code code = cases[i].code;
		size_t pad = code.words[0] == BTI_C ? 4 : 0;
		struct hook_place place = { 99, 99 };
		const char *why;

		assert_null(refused(code, cases[i].words, true, &place));
		assert_int_equal(place.offset, cases[i].offset);
		assert_int_equal(place.stack, cases[i].stack);
		why = refused(code, cases[i].words, false, &place);
		if (cases[i].alone)
			assert_string_equal(
				why, "other threads are running already");
		else
			assert_null(why);
		assert_int_equal(place.offset, pad);
	}
}

/* An effect that no stub could undo: the jump replaces the instruction. */
static void first_instruction_goes(void **state)
{
	static const uint32_t firsts[] = {
		0xaa0003e1, /* mov x1, x0, where that is an argument */
		0xaa0003f3, /* mov x19, x0 */
		0x910003fd, /* mov x29, sp */
		0x9100001f, /* mov sp, x0 */
		0xf9001fe6, /* str x6, [sp, #56] */
		0xa90053f3, /* stp x19, x20, [sp] */
		0xa8c17bfd, /* ldp x29, x30, [sp], #16 */
	};
	struct hook_place place;

	(void)state;
	for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
		struct code code = { { firsts[i], MOV_X8, SVC, NOP } };

		assert_null(refused(code, 2, true, &place));
		assert_int_equal(place.offset, 0);
		assert_int_equal(place.stack, 0);
	}
}

static void refused_beginnings(void **state)
{
	static const char patched[] = "already patched by another library";
	struct code branch = { { 0x14000010, SVC, NOP, NOP } };
	struct code far_branch = { { 0x58000050, 0xd61f0200, NOP, NOP } };
	struct code stop = { { 0xd4200000, SVC, NOP, NOP } };
	struct code taken = { { NOP, 0x14000010, SVC, NOP } };
	struct code signs = { { 0xd503233f, MOV_X8, SVC, NOP } };
	struct hook_place place;

	(void)state;
	assert_string_equal(refused(branch, 6, true, &place), patched);
	assert_string_equal(refused(taken, 6, true, &place), patched);
	assert_string_equal(refused(far_branch, 6, true, &place), patched);
	assert_string_equal(refused(stop, 6, true, &place), patched);
	assert_string_equal(refused(signs, 6, true, &place),
			    "signs its return address");
}

static void jumps_into_what_is_replaced(void **state)
{
	static const uint32_t back_by_two[] = {
		0x17fffffe, /* b */
		0x54ffffc1, /* b.ne */
		0xb4ffffc0, /* cbz x0 */
		0x37ffffc0, /* tbnz w0, #31 */
	};
	struct hook_place place;

	(void)state;
	for (size_t i = 0; i < sizeof(back_by_two) / 4; i++) {
		struct code back = { { NOP, MOV_X8, back_by_two[i], NOP } };
		struct code short_of = { { NOP, MOV_X8, NOP, back_by_two[i] } };

		assert_string_equal(refused(back, 6, true, &place),
				    "jumps back to its start");
		assert_null(refused(short_of, 6, true, &place));
	}
}

/* mov x8, #215 and then, at byte 4, what a branch goes back to. */
static void jumps_behind_the_first(void **state)
{
	struct code back = { { MOV_X8, SVC, 0x17ffffff, NOP } };
	struct hook_place place;

	(void)state;
	assert_null(refused(back, 2, true, &place));
	assert_int_equal(place.offset, 0);
}

static void overwritten(void **state)
{
	struct code ours = { { MOV_X8, 0x14000010, SVC, NOP } }, now = ours;
	const uint8_t *entry = (const uint8_t *)now.words;
	const uint8_t *code = (const uint8_t *)ours.words;

	(void)state;
	assert_true(hook_arch_holds(entry, code, 4));
	now.words[0] = 0xd4200000;
	assert_true(hook_arch_holds(entry, code, 4));
	now.words[0] = 0x14000010;
	assert_false(hook_arch_holds(entry, code, 4));
	now = ours;
	now.words[2] = NOP;
	assert_true(hook_arch_holds(entry, code, 4));
	now.words[1] = SVC;
	assert_false(hook_arch_holds(entry, code, 4));
}

/* The stub gives back what the instruction before the jump took. */
static void stub(void **state)
{
	static struct {
		uint32_t code[HOOK_STUB_SIZE / 4];
		struct hook_slot slot;
	} near;
	struct hook_place place = { 4, 80 };

	(void)state;
	hook_arch_write_stub((uint8_t *)near.code, &near.slot, &place);
	assert_int_equal(near.code[0], 0x910143ff); /* add sp, sp, #80 */
	/* ldr x16, slot.target, from 60 bytes before it; br x16 */
	assert_int_equal(near.code[1], 0x580001f0);
	assert_int_equal(near.code[2], 0xd61f0200);
}

static void jump(void **state)
{
	static uint32_t area[128];
	uint8_t *place = (uint8_t *)&area[32];

	(void)state;
	hook_arch_store(place, hook_arch_jump(place, place + 0x100));
	assert_int_equal(area[32], 0x14000040);
	assert_int_equal(area[33], 0);
	assert_int_equal(hook_arch_jump(place, place - 4), 0x17ffffff);
	assert_int_equal(hook_arch_load(place), 0x14000040);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(beginnings_of_libc),
		cmocka_unit_test(first_instruction_goes),
		cmocka_unit_test(refused_beginnings),
		cmocka_unit_test(jumps_into_what_is_replaced),
		cmocka_unit_test(jumps_behind_the_first),
		cmocka_unit_test(overwritten),
		cmocka_unit_test(stub),
		cmocka_unit_test(jump),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
