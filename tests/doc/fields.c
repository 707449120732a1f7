/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Prints the table of figures and the reasons as items.awk prints what the
 * manual page names.
 */

#include "preload/report/fields.h"

#include <stdio.h>
#include <string.h>

static void print_item(const char *key, const char *words)
{
	words += strspn(words, " ");
	printf("%s", key);
	if (words[0] && strcmp(words, key) != 0)
		printf(": %s", words);
	putchar('\n');
}

static void print_member(const struct field_group_names *group, const char *key,
			 const char *words)
{
	if (group->outer[0])
		printf("%s %s.", group->outer, group->key);
	else
		printf("%s ", group->key);
	print_item(key, words);
}

static void print_group(enum field_group number)
{
	const struct field_group_names *group = &field_groups[number];

	if (!group->outer[0])
		print_item(group->key, group->heading);
	for (const struct field *f = field_next(number, NULL); f;
	     f = field_next(number, f)) {
		if (f->key[0])
			print_member(group, f->key, f->words);
		if (f->key[0] && f->unit == UNIT_CALLS)
			print_member(group, f->bytes_key, f->words);
	}
}

int main(void)
{
	for (enum field_group number = 0; number < FIELD_GROUPS; number++)
		print_group(number);
	for (unsigned why = REASON_NONE + 1; why < REASON_COUNT; why++)
		printf("reason %s\n", reason_key((enum reason)why));
	return 0;
}
