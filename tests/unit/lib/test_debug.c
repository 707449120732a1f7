/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * llfree_print, llfree_print_debug and llfree_validate: what they say, that
 * nothing else says anything, and that validate finds damage in every buffer.
 */

#include "tests/unit/lib/fixture.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct text {
	size_t length;
	char bytes[1 << 16];
};

static void append(struct text *text, const char *piece)
{
	size_t length = strlen(piece);

	assert_true(text->length + length < sizeof(text->bytes));
	memcpy(text->bytes + text->length, piece, length + 1);
	text->length += length;
}

static void write_const(void *arg, const char *piece)
{
	append(arg, piece);
}

static void write_mutable(void *arg, char *piece)
{
	append(arg, piece);
}

static void make_used(struct fx *fx)
{
	llfree_classing_t classing = llfree_classing_simple(2);

	fx_make(fx, 3 * TREE + HUGE_FRAME + 5, LLFREE_INIT_FREE, &classing);
	fx_get(fx, llfree_simple_request(2, 0, 0));
	fx_get(fx, llfree_simple_request(2, 9, 1));
	fx_get_at(fx, fx->frames - 1, llreq(0, 0, ll_none()));
}

/* Both kinds of writer get the same text, which shows what changed. */
static void test_print_debug(void **state)
{
	struct text *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
	struct fx fx;

	(void)state;
	make_used(&fx);
	struct fx_copy copy = fx_copy(&fx);

	llfree_print_debug(fx.self, write_const, a);
	llfree_print_debug(fx.self, write_mutable, b);
	fx_assert_same(&fx, &copy);
	assert_true(a->length > 20);
	assert_string_equal(a->bytes, b->bytes);
	fx_get_at(&fx, fx.frames - 3, llreq(0, 0, ll_none()));
	b->length = 0;
	llfree_print_debug(fx.self, write_const, b);
	assert_string_not_equal(a->bytes, b->bytes);
	fx_copy_release(&copy);
	fx_end(&fx);
	free(a);
	free(b);
}

/* Runs `body` in a child; its output goes to a file, its end is returned. */
static int in_child(void (*body)(struct fx *), struct fx *fx, char *output,
		    size_t size)
{
	FILE *file = tmpfile();
	int status = 0;
	pid_t child;

	assert_non_null(file);
	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		for (int s = 1; s < 32; s++)
			signal(s, SIG_DFL);
		dup2(fileno(file), 1);
		dup2(fileno(file), 2);
		body(fx);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	rewind(file);
	output[fread(output, 1, size - 1, file)] = 0;
	fclose(file);
	return status;
}

static void call_print(struct fx *fx)
{
	llfree_print(fx->self);
}

static void test_print(void **state)
{
	char output[4096];
	struct fx fx;

	(void)state;
	make_used(&fx);
	assert_int_equal(in_child(call_print, &fx, output, sizeof(output)), 0);
	assert_true(strlen(output) > 10);
	assert_int_equal(output[strlen(output) - 1], '\n');
	fx_end(&fx);
}

static void wrong_calls(struct fx *fx, llfree_request_t request)
{
	size_t past = fx->frames + TREE;
	llfree_result_t got;

	got = llfree_get(fx->self, fx_at(past), request);
	got = llfree_get(fx->self, frame_id_none(), llreq(99, 0, ll_none()));
	got = llfree_get_range(fx->self, frame_id_none(), past, request);
	got = llfree_init(fx->self, 0, 0, fx->meta, &fx->classing);
	(void)got;
	llfree_put(fx->self, frame_id(past), request);
	llfree_put(fx->self, frame_id(fx->frames - 2), request);
	llfree_put_range(fx->self, frame_id(0), fx->frames, request);
	got = llfree_get(fx->self, fx_at(fx->frames - 1), request);
	llfree_put_range(fx->self, frame_id(0), past, request);
}

/* Every call there is, right and wrong, up to out of memory. */
static void call_everything(struct fx *fx)
{
	llfree_request_t request = llfree_simple_request(2, 0, 1);
	llfree_tree_match_t match = { tree_id_none(), LLFREE_CLASS_NONE, 0 };
	llfree_tree_change_t change = { LLFREE_CLASS_NONE, 0 };

	wrong_calls(fx, request);
	for (size_t i = 0; i <= fx->frames; i++)
		if (!llfree_is_ok(
			    llfree_get(fx->self, frame_id_none(), request)))
			break;
	for (size_t i = 0; i < fx->frames; i++)
		llfree_put(fx->self, frame_id(i), request);
	llfree_drain(fx->self);
	for (change.operation = 3; change.operation-- > 0;)
		llfree_change_tree(fx->self, match, change);
	llfree_stats(fx->self);
	llfree_stats_at(fx->self, frame_id(0), 0);
	llfree_tree_stats(fx->self);
	llfree_validate(fx->self);
	for (uint8_t mode = 0; mode < UINT8_MAX; mode++)
		if (!llfree_is_ok(llfree_init(fx->self, fx->frames, mode,
					      fx->meta, &fx->classing)))
			continue;
}

static void test_prints_nothing(void **state)
{
	char output[4096];
	struct fx fx;

	(void)state;
	make_used(&fx);
	assert_int_equal(in_child(call_everything, &fx, output, sizeof(output)),
			 0);
	assert_string_equal(output, "");
	fx_end(&fx);
}

/* ------------------------------------------------------------------------ */
/* validate                                                                  */

static void call_validate(struct fx *fx)
{
	llfree_validate(fx->self);
}

/* Changes one bit of a buffer: validate must stop, and come back if undone. */
static void assert_found(struct fx *fx, uint8_t *byte, uint8_t bit)
{
	char output[4096];

	*byte ^= bit;
	if (WIFEXITED(in_child(call_validate, fx, output, sizeof(output))))
		fail_msg("validate missed bit %u of byte %zu / %zu / %zu", bit,
			 (size_t)(byte - fx->meta.lower),
			 (size_t)(byte - fx->meta.trees),
			 (size_t)(byte - fx->meta.local));
	*byte ^= bit;
	assert_int_equal(in_child(call_validate, fx, output, sizeof(output)),
			 0);
	assert_string_equal(output, "");
}

/* A bit that is set in memory, looked for from the start of the buffer. */
static void damage_set_bit(struct fx *fx, uint8_t *buffer, size_t size)
{
	size_t at = 0;

	while (at < size && !buffer[at])
		at++;
	assert_true(at < size);
	assert_found(fx, buffer + at, buffer[at] & (uint8_t)-buffer[at]);
}

/* A slot that forgets its reservation leaves a tree that no one holds. */
static void damage_slot(struct fx *fx)
{
	char output[4096];
	uint64_t *slot = (uint64_t *)fx->meta.local;

	assert_ok(llfree_drain(fx->self));
	uint64_t empty = *slot;

	fx_get(fx, llfree_simple_request(2, 0, 0));
	uint64_t before = *slot;

	assert_true(before != empty);
	*slot = empty;
	if (WIFEXITED(in_child(call_validate, fx, output, sizeof(output))))
		fail_msg("validate missed a lost reservation");
	*slot = before;
}

static void test_validate_finds_damage(void **state)
{
	struct fx fx;

	(void)state;
	make_used(&fx);
	damage_set_bit(&fx, fx.meta.lower, fx.size.lower);
	damage_set_bit(&fx, fx.meta.trees, fx.size.trees);
	damage_slot(&fx);
	fx_end(&fx);
}

/* Every frame of the first huge frame: a bit that the counter does not know. */
static void test_validate_finds_lost_frames(void **state)
{
	struct fx fx;
	size_t found = 0;

	(void)state;
	make_used(&fx);
	uint8_t *before = malloc(fx.size.lower);

	memcpy(before, fx.meta.lower, fx.size.lower);
	fx_get_at(&fx, fx.frames - 2, llreq(0, 0, ll_none()));
	for (size_t i = 0; i < fx.size.lower; i++) {
		if (before[i] == fx.meta.lower[i])
			continue;
		assert_found(&fx, fx.meta.lower + i,
			     before[i] ^ fx.meta.lower[i]);
		found++;
	}
	assert_true(found >= 2);
	free(before);
	fx_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print_debug),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_prints_nothing),
		cmocka_unit_test(test_validate_finds_damage),
		cmocka_unit_test(test_validate_finds_lost_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
