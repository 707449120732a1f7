/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/sys/print.h"
#include "preload/sys/sandbox.h"
#include "preload/sys/sys.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

struct print print_to(int fd, char *buf, size_t cap)
{
	return (struct print){ .buf = buf, .cap = cap, .fd = fd };
}

/* Wait up to a second until a non-blocking descriptor accepts more. */
static bool wait_writable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };
	struct timespec second = { .tv_sec = 1 };

	return sys_ppoll(&poll_fd, 1, &second) > 0;
}

/* Return 0 or -errno. */
static long write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		long n = sys_write(fd, text, len);

		if (n == -EINTR ||
		    (n == -EAGAIN && !sandboxed() && wait_writable(fd)))
			continue;
		if (n <= 0)
			return n < 0 ? n : -EIO;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Return the set of the signal that comes with an error. */
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
 * Write without a signal to the program: block it meanwhile, and take it from
 * the queue again unless one was pending before.
 */
static long write_quietly(int fd, const char *text, size_t len)
{
	const uint64_t held = signal_of(-EPIPE) | signal_of(-EFBIG);
	struct timespec now = { 0 };
	uint64_t old_mask = 0, pending = 0, came;
	long result;

	if (sandboxed())
		return write_all(fd, text, len);
	sys_rt_sigprocmask(SIG_BLOCK, &held, &old_mask);
	sys_rt_sigpending(&pending);
	result = write_all(fd, text, len);
	came = signal_of(result) & ~pending;
	if (came)
		sys_rt_sigtimedwait(&came, &now);
	sys_rt_sigprocmask(SIG_SETMASK, &old_mask, NULL);
	return result;
}

void print_flush(struct print *out)
{
	if (out->fd == PRINT_BUFFER)
		return;
	if (out->len > 0 && !out->failed)
		out->failed = write_quietly(out->fd, out->buf, out->len) < 0;
	out->len = 0;
}

/* ------------------------------------------------------------------------ */
/* Text                                                                      */

void print_char(struct print *out, char c)
{
	if (out->len == out->cap)
		print_flush(out);
	if (out->len == out->cap) {
		out->failed = true;
		return;
	}
	out->buf[out->len++] = c;
	if (c == '\n')
		out->column = 0;
	else if (((unsigned char)c & 0xc0) != 0x80) /* not within a character */
		out->column++;
}

void print_mem(struct print *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		print_char(out, text[i]);
}

void print_text(struct print *out, const char *text)
{
	print_mem(out, text, strlen(text));
}

void print_fixed(struct print *out, uint64_t value, unsigned decimals)
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
	print_mem(out, digits + at, sizeof(digits) - at);
}

void print_u64(struct print *out, uint64_t value)
{
	print_fixed(out, value, 0);
}

void print_i64(struct print *out, int64_t value)
{
	if (value < 0)
		print_char(out, '-');
	print_u64(out, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void print_hex(struct print *out, uint64_t value)
{
	unsigned shift = 60;

	print_text(out, "0x");
	while (shift > 0 && value >> shift == 0)
		shift -= 4;
	for (;; shift -= 4) {
		print_char(out, "0123456789abcdef"[value >> shift & 15]);
		if (shift == 0)
			return;
	}
}

/* Return the tenths in `part` / `unit`, rounded to the nearest. */
static uint64_t tenths(uint64_t part, uint64_t unit)
{
	unsigned __int128 scaled = (unsigned __int128)part * 10 + unit / 2;

	return (uint64_t)(scaled / unit);
}

void print_bytes(struct print *out, uint64_t bytes)
{
	static const char units[][4] = { "B",	"KiB", "MiB", "GiB",
					 "TiB", "PiB", "EiB" };
	unsigned unit = 0;

	/* 1023.96 KiB would print as 1024.0. */
	while (unit < 6 && tenths(bytes, UINT64_C(1) << 10 * unit) >= 10240)
		unit++;
	if (unit == 0)
		print_u64(out, bytes);
	else
		print_fixed(out, tenths(bytes, UINT64_C(1) << 10 * unit), 1);
	print_char(out, ' ');
	print_text(out, units[unit]);
}

void print_percent(struct print *out, uint64_t part, uint64_t whole)
{
	unsigned __int128 scaled = (unsigned __int128)part * 1000;

	if (whole == 0) {
		print_text(out, "-");
		return;
	}
	print_fixed(out, (uint64_t)((scaled + whole / 2) / whole), 1);
	print_text(out, " %");
}

/* ------------------------------------------------------------------------ */
/* Columns                                                                   */

void print_pad(struct print *out, size_t column)
{
	if (out->column > 0 && out->column >= column)
		print_char(out, ' ');
	while (out->column < column && !out->failed)
		print_char(out, ' ');
}

/* No value is longer than this. */
#define CELL 32

static void print_cell(struct print *out, size_t end, const struct print *cell)
{
	print_pad(out, end > cell->column ? end - cell->column : 0);
	print_mem(out, cell->buf, cell->len);
}

void print_u64_at(struct print *out, size_t end, uint64_t value)
{
	char buf[CELL];
	struct print cell = print_to(PRINT_BUFFER, buf, sizeof(buf));

	print_u64(&cell, value);
	print_cell(out, end, &cell);
}

void print_bytes_at(struct print *out, size_t end, uint64_t bytes)
{
	char buf[CELL];
	struct print cell = print_to(PRINT_BUFFER, buf, sizeof(buf));

	print_bytes(&cell, bytes);
	print_cell(out, end, &cell);
}

void print_percent_at(struct print *out, size_t end, uint64_t part,
		      uint64_t whole)
{
	char buf[CELL];
	struct print cell = print_to(PRINT_BUFFER, buf, sizeof(buf));

	print_percent(&cell, part, whole);
	print_cell(out, end, &cell);
}

void print_text_at(struct print *out, size_t end, const char *text)
{
	size_t len = strlen(text);

	print_pad(out, end > len ? end - len : 0);
	print_text(out, text);
}

/* ------------------------------------------------------------------------ */
/* JSON                                                                      */

static void json_element(struct print *out)
{
	if (out->comma)
		print_text(out, ", ");
	out->comma = true;
}

void print_json_open(struct print *out, char bracket)
{
	json_element(out);
	print_char(out, bracket);
	out->comma = false;
}

void print_json_close(struct print *out, char bracket)
{
	print_char(out, bracket);
	out->comma = true;
}

void print_json_key(struct print *out, const char *key)
{
	print_json_string(out, key);
	print_text(out, ": ");
	out->comma = false;
}

void print_json_u64(struct print *out, uint64_t value)
{
	json_element(out);
	print_u64(out, value);
}

void print_json_i64(struct print *out, int64_t value)
{
	json_element(out);
	print_i64(out, value);
}

void print_json_bool(struct print *out, bool value)
{
	json_element(out);
	print_text(out, value ? "true" : "false");
}

/*
 * Return the length of the valid UTF-8 sequence at `text`, 0 if it is not valid.
 * The bounds of the second byte exclude overlong forms, surrogates and code
 * points above U+10FFFF.
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

static void json_control(struct print *out, unsigned char c)
{
	print_text(out, "\\u00");
	print_char(out, (char)('0' + (c >> 4)));
	print_char(out, "0123456789abcdef"[c & 15]);
}

void print_json_string(struct print *out, const char *text)
{
	json_element(out);
	print_char(out, '"');
	while (*text) {
		size_t len = utf8_len((const unsigned char *)text);

		if (len == 0) {
			print_text(out, "\\ufffd");
			len = 1;
		} else if (*text == '"' || *text == '\\') {
			print_char(out, '\\');
			print_char(out, *text);
		} else if ((unsigned char)*text < 0x20 || *text == 0x7f) {
			json_control(out, (unsigned char)*text);
		} else {
			print_mem(out, text, len);
		}
		text += len;
	}
	print_char(out, '"');
}

void print_json_member_u64(struct print *out, const char *key, uint64_t value)
{
	print_json_key(out, key);
	print_json_u64(out, value);
}

void print_json_member_bool(struct print *out, const char *key, bool value)
{
	print_json_key(out, key);
	print_json_bool(out, value);
}

void print_json_member_string(struct print *out, const char *key,
			      const char *text)
{
	print_json_key(out, key);
	print_json_string(out, text);
}
