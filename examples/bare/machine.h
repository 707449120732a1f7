/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A machine without an operating system: its processors, its memory map, a
 * serial line to print on and a way to end it. x86-64, as QEMU has it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct start_info;

/* A part of physical memory, [start, end) in bytes. */
struct span {
	uint64_t start;
	uint64_t end;
};

/* What entry.S calls, each processor on a stack of its own. */
_Noreturn void first_cpu(const struct start_info *info);
_Noreturn void other_cpu(unsigned cpu);

/* Print a text; print it as a comment of TAP, with a number behind it. */
void print(const char *text);
void print_number(const char *text, uint64_t number);

/* End the machine; the status that QEMU exits with tells which. */
_Noreturn void machine_exit(bool success);

/* Print what went wrong and end the machine. */
_Noreturn void fail(const char *what, uint64_t number);

/* Return the number behind "NAME=" on the command line, or `otherwise`. */
uint64_t parameter(const struct start_info *info, const char *name,
		   uint64_t otherwise);

/* Return the usable memory that has number `index`; empty past the last one. */
struct span usable_memory(const struct start_info *info, unsigned index);

/* Return the bytes of the image, .bss included. */
struct span kernel_image(void);

/* Start the other processors and return when there are `cpus` in all. */
void start_cpus(unsigned cpus);

/* Wait until `cpus` processors are here. */
void barrier_wait(unsigned cpus);
