/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Declarations of exported functions: libc declares some of them in many
 * headers, some for newer programs only, or not at all.
 */
#pragma once

#include <linux/mempolicy.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

pid_t fork(void);
int daemon(int keep_folder, int keep_files);
int unshare(int flags);
int setns(int fd, int type);
int capset(void *header, const void *data);
int close_range(unsigned first, unsigned last, int flags);
int personality(unsigned long persona);
int mseal(void *addr, size_t len, unsigned long flags);
long mbind(void *addr, unsigned long len, int mode, const unsigned long *nodes,
	   unsigned long max, unsigned flags);
ssize_t process_madvise(int fd, const struct iovec *parts, size_t count,
			int advice, unsigned flags);
ssize_t vmsplice(int fd, const struct iovec *parts, size_t count,
		 unsigned flags);
