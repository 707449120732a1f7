/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Text, numbers and JSON into a buffer of the caller, written to a file
 * descriptor by write(2) when it is full and at say_flush: stdio without
 * allocation, locks or floating point.
 *
 *	char buf[1024];
 *	struct say out = say_to(STDERR_FILENO, buf, sizeof(buf));
 *	say_text(&out, "llfree: served ");
 *	say_bytes(&out, served);
 *	say_char(&out, '\n');
 *	say_flush(&out);
 *
 * With SAY_BUFFER as descriptor nothing is written: the text stays in the
 * buffer, what does not fit is dropped and `failed` is set.
 *
 * A struct say belongs to one thread at a time; the functions may be called
 * anywhere, signal handlers included, and leave errno alone. A failed write
 * drops this and all later text (`failed`), a closed pipe raises no signal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAY_BUFFER (-1)

struct say {
	char *buf;
	size_t cap;
	size_t len; /* bytes in buf that are not written yet */
	size_t column; /* characters since the last line break */
	int fd;
	bool failed; /* text was lost */
	bool comma; /* JSON: the next element needs a comma before it */
};

/* Writes by write(2); its signals (no reader, a limit of file sizes) are kept
 * from the program, unless it is in a sandbox (real_is_modest). */

struct say say_to(int fd, char *buf, size_t cap);
void say_flush(struct say *say);

/* Text */

void say_text(struct say *say, const char *text);
void say_mem(struct say *say, const char *text, size_t len);
void say_char(struct say *say, char c);
void say_u64(struct say *say, uint64_t value);
void say_i64(struct say *say, int64_t value);
void say_hex(struct say *say, uint64_t value); /* with 0x */

/* `value` / 10^decimals as a decimal fraction: (1234, 2) is 12.34. */
void say_fixed(struct say *say, uint64_t value, unsigned decimals);
/* In the largest unit that leaves at least 1: 512 B, 12.3 MiB, 1.0 GiB. */
void say_bytes(struct say *say, uint64_t bytes);
/* With one decimal: 97.3 %; a dash when `whole` is 0. */
void say_percent(struct say *say, uint64_t part, uint64_t whole);

/* Spaces until `column` characters (from 0) are on the line; at least one
 * when the line is not empty. */
void say_pad(struct say *say, size_t column);
/* Right-aligned: the value ends before column `end`. */
void say_u64_at(struct say *say, size_t end, uint64_t value);
void say_bytes_at(struct say *say, size_t end, uint64_t bytes);
void say_percent_at(struct say *say, size_t end, uint64_t part, uint64_t whole);
void say_text_at(struct say *say, size_t end, const char *text);

/*
 * JSON. Commas come by themselves: say_json_open(say, '{'), then
 * say_json_key before each member, values, say_json_close(say, '}').
 */

void say_json_open(struct say *say, char bracket);
void say_json_close(struct say *say, char bracket);
void say_json_key(struct say *say, const char *key);
void say_json_u64(struct say *say, uint64_t value);
void say_json_i64(struct say *say, int64_t value);
void say_json_bool(struct say *say, bool value);
/* Escaped; bytes that are not UTF-8 become U+FFFD. */
void say_json_string(struct say *say, const char *text);

/* Key and value in one. */
void say_json_member_u64(struct say *say, const char *key, uint64_t value);
void say_json_member_bool(struct say *say, const char *key, bool value);
void say_json_member_string(struct say *say, const char *key, const char *text);
