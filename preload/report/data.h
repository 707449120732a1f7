/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What a report says, collected once, and its two forms.
 */
#pragma once

#include "preload/arena/arena.h"
#include "preload/config.h"
#include "preload/sys/print.h"

struct report_data {
	const struct config *settings;
	const char *how;
	const char *background; /* see report_background */
	bool running; /* it is not the last one */
	int64_t pid;
	struct arena_snapshot arena;
	/* Frames handed out and taken back since the counters started. */
	uint64_t served, given_back;
	bool balanced;
};

/* Gets that were served by the slot of their own processor at once. */
uint64_t report_slot_hits(const struct report_data *data);

void report_text(struct print *out, const struct report_data *data);
void report_json(struct print *out, const struct report_data *data);
