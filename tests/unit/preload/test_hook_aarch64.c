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

static const char *refused(struct code code, bool alone, size_t *offset)
{
	return hook_arch_refuse((const uint8_t *)code.words, sizeof(code),
				alone, offset);
}

static void beginnings_of_libc(void **state)
{
	struct code wrapper = { { NOP, MOV_X8, SVC, NOP } };
	struct code plain = { { MOV_X8, SVC, NOP, NOP } };
	struct code guarded = { { BTI_C, NOP, MOV_X8, SVC } };
	size_t offset = 99;

	(void)state;
	assert_null(refused(wrapper, false, &offset));
	assert_int_equal(offset, 0);
	assert_null(refused(plain, true, &offset));
	assert_int_equal(offset, 0);
	assert_string_equal(refused(plain, false, &offset),
			    "other threads are running already");
	assert_null(refused(guarded, false, &offset));
	assert_int_equal(offset, 4);
}

static void refused_beginnings(void **state)
{
	static const char patched[] = "already patched by someone else";
	struct code branch = { { 0x14000010, SVC, NOP, NOP } };
	struct code far_branch = { { 0x58000050, 0xd61f0200, NOP, NOP } };
	struct code stop = { { 0xd4200000, SVC, NOP, NOP } };
	struct code signs = { { 0xd503233f, MOV_X8, SVC, NOP } };
	size_t offset;

	(void)state;
	assert_string_equal(refused(branch, true, &offset), patched);
	assert_string_equal(refused(far_branch, true, &offset), patched);
	assert_string_equal(refused(stop, true, &offset), patched);
	assert_string_equal(refused(signs, true, &offset),
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
	size_t offset;

	(void)state;
	for (size_t i = 0; i < sizeof(back_by_two) / 4; i++) {
		struct code back = { { NOP, MOV_X8, back_by_two[i], NOP } };
		struct code short_of = { { NOP, MOV_X8, NOP, back_by_two[i] } };

		assert_string_equal(refused(back, true, &offset),
				    "jumps back to its start");
		assert_null(refused(short_of, true, &offset));
	}
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
		cmocka_unit_test(refused_beginnings),
		cmocka_unit_test(jumps_into_what_is_replaced),
		cmocka_unit_test(jump),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
