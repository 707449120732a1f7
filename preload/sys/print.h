/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Print text, numbers and JSON into a buffer of the caller, which write(2)
 * writes to a file descriptor when it is full and in print_flush: stdio without
 * allocation, locks or floating point.
 *
 *	char buf[1024];
 *	struct print out = print_to(STDERR_FILENO, buf, sizeof(buf));
 *	print_text(&out, "llfree: served ");
 *	print_bytes(&out, served);
 *	print_char(&out, '\n');
 *	print_flush(&out);
 *
 * With PRINT_BUFFER as the descriptor nothing is written: the text stays in the
 * buffer; what does not fit is dropped, and `failed` is set.
 *
 * A struct print belongs to one thread at a time. The functions may be called
 * anywhere, also in signal handlers, and leave errno alone. After a failed
 * write this and all later text is dropped, and `failed` is set. The signals
 * that come with a failed write (no reader, a limit of file sizes) are kept from
 * the program, unless it is in a sandbox (sandboxed).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRINT_BUFFER (-1)

struct print {
	char *buf;
	size_t cap;
	size_t len; /* bytes in buf that are not yet written */
	size_t column; /* characters since the last line break */
	int fd;
	bool failed; /* text was lost */
	bool comma; /* JSON: the next element needs a comma before it */
};

struct print print_to(int fd, char *buf, size_t cap);
void print_flush(struct print *out);

/* Text */

void print_text(struct print *out, const char *text);
void print_mem(struct print *out, const char *text, size_t len);
void print_char(struct print *out, char c);
void print_u64(struct print *out, uint64_t value);
void print_i64(struct print *out, int64_t value);
void print_hex(struct print *out, uint64_t value); /* with 0x */

/* Print `value` / 10^decimals as a decimal fraction: (1234, 2) is 12.34. */
void print_fixed(struct print *out, uint64_t value, unsigned decimals);
/* Print in the largest unit that gives 1 or more: 512 B, 12.3 MiB, 1.0 GiB. */
void print_bytes(struct print *out, uint64_t bytes);
/* Print with one decimal, 97.3 %, or a dash if `whole` is 0. */
void print_percent(struct print *out, uint64_t part, uint64_t whole);

/* Print spaces until the line has `column` characters, and at least one if the
 * line is not empty. */
void print_pad(struct print *out, size_t column);
/* Print right-aligned: the value ends before column `end`. */
void print_u64_at(struct print *out, size_t end, uint64_t value);
void print_bytes_at(struct print *out, size_t end, uint64_t bytes);
void print_percent_at(struct print *out, size_t end, uint64_t part,
		      uint64_t whole);
void print_text_at(struct print *out, size_t end, const char *text);

/*
 * JSON. The functions print the commas. An object is print_json_open(out, '{'),
 * for each member print_json_key and a value, print_json_close(out, '}').
 */

void print_json_open(struct print *out, char bracket);
void print_json_close(struct print *out, char bracket);
void print_json_key(struct print *out, const char *key);
void print_json_u64(struct print *out, uint64_t value);
void print_json_i64(struct print *out, int64_t value);
void print_json_bool(struct print *out, bool value);
/* Print escaped text; bytes that are not UTF-8 become U+FFFD. */
void print_json_string(struct print *out, const char *text);

/* Print a key and its value. */
void print_json_member_u64(struct print *out, const char *key, uint64_t value);
void print_json_member_bool(struct print *out, const char *key, bool value);
void print_json_member_string(struct print *out, const char *key,
			      const char *text);
