/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The one compare-and-swap loop of the library.
 */
#pragma once

#include <llfree_platform.h>

/*
 * Applies `step`, an expression that changes `next` and is false when the
 * change is not possible, to the word at `p` until no one interferes.
 *
 * `was` and `next` are variables of the word's type; they hold the value that
 * was replaced and the new one. False, with `was` as found, when the step said
 * no. The step may be evaluated several times and must have no other effect.
 */
#define atom_update(p, was, next, step)                    \
	({                                                 \
		bool done_;                                \
		(was) = atom_load(p);                      \
		for (;;) {                                 \
			(next) = (was);                    \
			done_ = (step);                    \
			if (!done_)                        \
				break;                     \
			if (atom_cas((p), &(was), (next))) \
				break;                     \
			atom_retry();                      \
		}                                          \
		done_;                                     \
	})
