/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * syscall(): programs and libraries that name a system call by its number get
 * the function that the library has for it, so that nothing happens to memory
 * of the arena unseen. The entry is in x86_64.c or aarch64.c.
 */
#pragma once

/* Do the call as libc's syscall would: -1 and errno for an error. */
long syscall_call(long number, long a, long b, long c, long d, long e, long f);
