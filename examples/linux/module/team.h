/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Functions that run on several processors at once.
 */
#pragma once

/* Run task(arg, cpu) on each of the processors 0 to cpus - 1; wait for all. */
void team_run(unsigned int cpus, void (*task)(void *arg, unsigned int cpu),
	      void *arg);

/* Wait until `cpus` processors are here. */
void barrier_wait(unsigned int cpus);
