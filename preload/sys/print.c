/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/sys/print.h"
#include "preload/sys/sys.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

struct say say_to(int fd, char *buf, size_t cap)
{
	return (struct say){ .buf = buf, .cap = cap, .fd = fd };
}

/* A descriptor that does not block is given a second to take more. */
static bool wait_writable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };
	struct timespec second = { .tv_sec = 1 };

	return real_ppoll(&poll_fd, 1, &second) > 0;
}

/* Returns 0, or the -errno that ended it. */
static long write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		long n = real_write(fd, text, len);

		if (n == -EINTR ||
		    (n == -EAGAIN && !real_is_modest() && wait_writable(fd)))
			continue;
		if (n <= 0)
			return n < 0 ? n : -EIO;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The signal that comes with an error; as a set. */
static uint64_t signal_of(long error)
{
	switch (error) {
	case -EPIPE:
		return UINT64_C(1) << (SIGPIPE - 1);
	case -EFBIG:
		return UINT64_C(1) << (SIGXFSZ - 1);
	default:
		return 0;
	}
}

/*
 * Without a signal that the program did not ask for: it is held back
 * meanwhile, and taken off again unless one was pending before.
 */
static long write_quietly(int fd, const char *text, size_t len)
{
	const uint64_t held = signal_of(-EPIPE) | signal_of(-EFBIG);
	struct timespec now = { 0 };
	uint64_t old_mask = 0, pending = 0, came;
	long result;

	if (real_is_modest())
		return write_all(fd, text, len);
	real_rt_sigprocmask(SIG_BLOCK, &held, &old_mask);
	real_rt_sigpending(&pending);
	result = write_all(fd, text, len);
	came = signal_of(result) & ~pending;
	if (came)
		real_rt_sigtimedwait(&came, &now);
	real_rt_sigprocmask(SIG_SETMASK, &old_mask, NULL);
	return result;
}

void say_flush(struct say *say)
{
	if (say->fd == SAY_BUFFER)
		return;
	if (say->len > 0 && !say->failed)
		say->failed = write_quietly(say->fd, say->buf, say->len) < 0;
	say->len = 0;
}

/* ------------------------------------------------------------------------ */
/* Text                                                                      */

void say_char(struct say *say, char c)
{
	if (say->len == say->cap)
		say_flush(say);
	if (say->len == say->cap) {
		say->failed = true;
		return;
	}
	say->buf[say->len++] = c;
	if (c == '\n')
		say->column = 0;
	else if (((unsigned char)c & 0xc0) != 0x80) /* not within a character */
		say->column++;
}

void say_mem(struct say *say, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		say_char(say, text[i]);
}

void say_text(struct say *say, const char *text)
{
	say_mem(say, text, strlen(text));
}

void say_fixed(struct say *say, uint64_t value, unsigned decimals)
{
	char digits[40];
	size_t at = sizeof(digits);

	if (decimals > 18)
		decimals = 18;
	for (unsigned n = 0; n <= decimals || value > 0; n++) {
		if (n == decimals && n > 0)
			digits[--at] = '.';
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	}
	say_mem(say, digits + at, sizeof(digits) - at);
}

void say_u64(struct say *say, uint64_t value)
{
	say_fixed(say, value, 0);
}

void say_i64(struct say *say, int64_t value)
{
	if (value < 0)
		say_char(say, '-');
	say_u64(say, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void say_hex(struct say *say, uint64_t value)
{
	unsigned shift = 60;

	say_text(say, "0x");
	while (shift > 0 && value >> shift == 0)
		shift -= 4;
	for (;; shift -= 4) {
		say_char(say, "0123456789abcdef"[value >> shift & 15]);
		if (shift == 0)
			return;
	}
}

/* Tenths of `part` / `unit`, rounded to the nearest. */
static uint64_t tenths(uint64_t part, uint64_t unit)
{
	unsigned __int128 scaled = (unsigned __int128)part * 10 + unit / 2;

	return (uint64_t)(scaled / unit);
}

void say_bytes(struct say *say, uint64_t bytes)
{
	static const char units[][4] = { "B",	"KiB", "MiB", "GiB",
					 "TiB", "PiB", "EiB" };
	unsigned unit = 0;

	/* 1023.96 KiB would print as 1024.0. */
	while (unit < 6 && tenths(bytes, UINT64_C(1) << 10 * unit) >= 10240)
		unit++;
	if (unit == 0)
		say_u64(say, bytes);
	else
		say_fixed(say, tenths(bytes, UINT64_C(1) << 10 * unit), 1);
	say_char(say, ' ');
	say_text(say, units[unit]);
}

void say_percent(struct say *say, uint64_t part, uint64_t whole)
{
	unsigned __int128 scaled = (unsigned __int128)part * 1000;

	if (whole == 0) {
		say_text(say, "-");
		return;
	}
	say_fixed(say, (uint64_t)((scaled + whole / 2) / whole), 1);
	say_text(say, " %");
}

/* ------------------------------------------------------------------------ */
/* Columns                                                                   */

void say_pad(struct say *say, size_t column)
{
	if (say->column > 0 && say->column >= column)
		say_char(say, ' ');
	while (say->column < column && !say->failed)
		say_char(say, ' ');
}

/* No value is longer than this; a text that is gets no padding. */
#define CELL 32

static void say_cell(struct say *say, size_t end, const struct say *cell)
{
	say_pad(say, end > cell->column ? end - cell->column : 0);
	say_mem(say, cell->buf, cell->len);
}

void say_u64_at(struct say *say, size_t end, uint64_t value)
{
	char buf[CELL];
	struct say cell = say_to(SAY_BUFFER, buf, sizeof(buf));

	say_u64(&cell, value);
	say_cell(say, end, &cell);
}

void say_bytes_at(struct say *say, size_t end, uint64_t bytes)
{
	char buf[CELL];
	struct say cell = say_to(SAY_BUFFER, buf, sizeof(buf));

	say_bytes(&cell, bytes);
	say_cell(say, end, &cell);
}

void say_percent_at(struct say *say, size_t end, uint64_t part, uint64_t whole)
{
	char buf[CELL];
	struct say cell = say_to(SAY_BUFFER, buf, sizeof(buf));

	say_percent(&cell, part, whole);
	say_cell(say, end, &cell);
}

void say_text_at(struct say *say, size_t end, const char *text)
{
	size_t len = strlen(text);

	say_pad(say, end > len ? end - len : 0);
	say_text(say, text);
}

/* ------------------------------------------------------------------------ */
/* JSON                                                                      */

static void json_element(struct say *say)
{
	if (say->comma)
		say_text(say, ", ");
	say->comma = true;
}

void say_json_open(struct say *say, char bracket)
{
	json_element(say);
	say_char(say, bracket);
	say->comma = false;
}

void say_json_close(struct say *say, char bracket)
{
	say_char(say, bracket);
	say->comma = true;
}

void say_json_key(struct say *say, const char *key)
{
	say_json_string(say, key);
	say_text(say, ": ");
	say->comma = false;
}

void say_json_u64(struct say *say, uint64_t value)
{
	json_element(say);
	say_u64(say, value);
}

void say_json_i64(struct say *say, int64_t value)
{
	json_element(say);
	say_i64(say, value);
}

void say_json_bool(struct say *say, bool value)
{
	json_element(say);
	say_text(say, value ? "true" : "false");
}

/*
 * Length of the valid UTF-8 sequence at `text`, 0 when there is none. The
 * second byte's bounds keep out overlong forms, surrogates and what is above
 * U+10FFFF.
 */
static size_t utf8_len(const unsigned char *text)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (text[0] < 0x80)
		return 1;
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	len = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	if (text[0] == 0xe0)
		low = 0xa0;
	if (text[0] == 0xed)
		high = 0x9f;
	if (text[0] == 0xf0)
		low = 0x90;
	if (text[0] == 0xf4)
		high = 0x8f;
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

static void json_control(struct say *say, unsigned char c)
{
	say_text(say, "\\u00");
	say_char(say, (char)('0' + (c >> 4)));
	say_char(say, "0123456789abcdef"[c & 15]);
}

void say_json_string(struct say *say, const char *text)
{
	json_element(say);
	say_char(say, '"');
	while (*text) {
		size_t len = utf8_len((const unsigned char *)text);

		if (len == 0) {
			say_text(say, "\\ufffd");
			len = 1;
		} else if (*text == '"' || *text == '\\') {
			say_char(say, '\\');
			say_char(say, *text);
		} else if ((unsigned char)*text < 0x20 || *text == 0x7f) {
			json_control(say, (unsigned char)*text);
		} else {
			say_mem(say, text, len);
		}
		text += len;
	}
	say_char(say, '"');
}

void say_json_member_u64(struct say *say, const char *key, uint64_t value)
{
	say_json_key(say, key);
	say_json_u64(say, value);
}

void say_json_member_bool(struct say *say, const char *key, bool value)
{
	say_json_key(say, key);
	say_json_bool(say, value);
}

void say_json_member_string(struct say *say, const char *key, const char *text)
{
	say_json_key(say, key);
	say_json_string(say, text);
}
