/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * What the statements of a sequence are made of: shared by differ,
 * which executes them, and by the programs that it prints. Nothing here
 * allocates; any thread may call it. Sizes are in bytes.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE ((size_t)sysconf(_SC_PAGESIZE))
#define UNTOUCHED 4711 /* errno before each call */
#define FILE_PAGES 16

/* Results of earlier statements. */
extern char *r[8192];
/* Descriptors: a file of FILE_PAGES pages in memory, one more that is never
 * written, one that can only be read, and a folder. */
extern int file, constant, read_only, folder;
extern unsigned char residency[4096]; /* for mincore */

/* Before all else: faults are caught from now on. */
void replay_start(void);

/* Writes all pages that can be written, each with a value of its own. */
void fill(char *at, size_t len, unsigned value);
/* What reading each page of the range gives, runs
 * counted: "00*3 SEGV*2 05*9..1d", the last of them as fill left them. */
size_t look_text(char *text, size_t cap, char *at, size_t len);
/* Whether the kernel moves several mappings in one mremap (Linux 6.17). */
bool moves_many(void);
/* Signals at any time, whose handler maps, from now on or no longer. Returns
 * whether every handler so far found what it should. */
bool storm(bool on);

/* Calls that take more to prepare. */

/* Memory of System V, which goes as soon as no one has it. */
char *attach(char *at, size_t len, int flags);
/* Pages go into a pipe, and come out of it into `drained`. */
#define DRAINED (16 * PAGE)
extern char *drained;
long splice_in(char *at, size_t len);
long splice_out(void);
/* process_madvise of this process. */
long advise_self(char *at, size_t len, int advice);
/* mbind; `nodes` is a set of numbers. */
long bind_to(char *at, size_t len, int mode, unsigned long nodes,
	     unsigned flags);

/* The rest is for the programs that are printed. */

void look(char *at, size_t len);
void show_result(const char *call, long result, int error);

#define show(call)                                  \
	do {                                        \
		errno = UNTOUCHED;                  \
		long result_ = (long)(call);        \
		show_result(#call, result_, errno); \
	} while (0)
