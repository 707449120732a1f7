/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Whether others come after the owner of a huge frame has filled or emptied
 * its bits. The owner's stores are plain ones here: with the compiler's
 * -fsanitize=thread any missing acquire or release is a data race. Without it
 * this is a race like others, and x86 orders it anyway.
 */

#include <llfree_platform.h>

#undef atom_store
#define atom_store(p, v) (*(p) = (v))

#include "lib/whole.h"
#include "tests/unit/lib/fixture.h"
#include "tests/unit/lib/threads.h"

#include <sched.h>

#define ROUNDS 500

struct shared {
	bitfield_t field;
	child_t child;
	struct meeting meeting;
};

/* Allocates and frees it as a whole, as soon as it is free. */
static void owner(struct shared *shared)
{
	while (!whole_get(&shared->child, &shared->field, 1))
		sched_yield();
	must(whole_put(&shared->child, &shared->field, 1));
}

/* Allocates and frees a frame of it, as soon as there is one. */
static void guest(struct shared *shared)
{
	child_t was, next;
	size_t first;

	while (!atom_update(&shared->child, was, next, child_claim(&next, 1)))
		sched_yield();
	must(bitfield_take_order(&shared->field, 0, 0, &first));
	must(bitfield_clear_row(&shared->field, first, 1));
	must(atom_update(&shared->child, was, next,
			 child_give(&next, 1, next)));
}

static void share(void *arg, size_t id)
{
	struct shared *shared = arg;

	for (size_t round = 0; round < ROUNDS; round++) {
		meet(&shared->meeting);
		for (size_t i = 0; i < 4; i++)
			if (id == 0)
				owner(shared);
			else
				guest(shared);
	}
}

static void test_whole_against_part(void **state)
{
	static struct shared shared;

	(void)state;
	shared.child = CHILD_FREE;
	shared.meeting.count = 2;
	run_threads(2, share, &shared);
	assert_true(child_is_free(shared.child));
	assert_true(bitfield_is_clear(&shared.field, 0, LLFREE_HUGE_SIZE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_against_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
