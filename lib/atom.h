/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The one compare-and-swap loop of the library.
 */
#pragma once

#include <llfree_platform.h>

/*
 * Change the word at `p` by `step`, an expression that changes `next` and is
 * false when the change is not possible. Repeat while other threads change the
 * word in between.
 *
 * `was` and `next` are variables of the word's type. Afterwards they hold the
 * replaced value and the new one. Return false when the step is false; `was` is
 * then the value found. The step may be evaluated several times and must have
 * no other effect.
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
