/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Which tree serves a request: a tree that was in use before, whose pages may
 * still be there, rather than a fresh one. Small requests and those of 2 MiB
 * and more keep to trees of their own as long as there are some. Pure.
 */
#pragma once

#include <llfree.h>

/* A tree's class, and a request's. llfree_simple_request makes requests of the
 * first two as well. */
enum {
	CLASS_SMALL,
	CLASS_HUGE, /* or used before, and entirely free now */
	CLASS_FRESH, /* of trees only: nothing was served from it yet */
	CLASS_BORROWED, /* of requests only: leaves a tree's class alone */
};

/* The classes, with `cores` slots each for the first two, and their policy. */
llfree_classing_t class_classing(size_t cores);
