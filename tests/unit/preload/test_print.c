/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/sys/print.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/resource.h>
#include <unistd.h>

#define CAP 256

struct text {
	char buf[CAP];
	struct print out;
};

static struct print *begin(struct text *text)
{
	text->out = print_to(PRINT_BUFFER, text->buf, CAP - 1);
	return &text->out;
}

static void check(struct text *text, const char *expected)
{
	assert_false(text->out.failed);
	text->buf[text->out.len] = '\0';
	assert_string_equal(text->buf, expected);
}

static void numbers(void **state)
{
	struct text text;
	struct print *out = begin(&text);

	(void)state;
	print_u64(out, 0);
	print_char(out, ' ');
	print_u64(out, UINT64_MAX);
	print_char(out, ' ');
	print_i64(out, -7);
	print_char(out, ' ');
	print_i64(out, INT64_MIN);
	check(&text, "0 18446744073709551615 -7 -9223372036854775808");
}

static void hexadecimal(void **state)
{
	struct text text;
	struct print *out = begin(&text);

	(void)state;
	print_hex(out, 0);
	print_hex(out, 0xf);
	print_hex(out, 0x10);
	print_hex(out, UINT64_MAX);
	check(&text, "0x00xf0x100xffffffffffffffff");
}

static void fractions(void **state)
{
	struct text text;
	struct print *out = begin(&text);

	(void)state;
	print_fixed(out, 1234, 2);
	print_char(out, ' ');
	print_fixed(out, 5, 3);
	print_char(out, ' ');
	print_fixed(out, 0, 1);
	print_char(out, ' ');
	print_fixed(out, 42, 0);
	check(&text, "12.34 0.005 0.0 42");
}

static void bytes_in_units(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *expected;
	} cases[] = {
		{ 0, "0 B" },
		{ 1023, "1023 B" },
		{ 1024, "1.0 KiB" },
		{ 1536, "1.5 KiB" },
		{ 12945000, "12.3 MiB" },
		{ (1 << 20) - 1, "1.0 MiB" }, /* not 1024.0 KiB */
		{ UINT64_C(1) << 30, "1.0 GiB" },
		{ UINT64_MAX, "16.0 EiB" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text text;

		print_bytes(begin(&text), cases[i].bytes);
		check(&text, cases[i].expected);
	}
}

static void percentages(void **state)
{
	struct text text;
	struct print *out = begin(&text);

	(void)state;
	print_percent(out, 973, 1000);
	print_char(out, ',');
	print_percent(out, 0, 5);
	print_char(out, ',');
	print_percent(out, UINT64_MAX, UINT64_MAX);
	print_char(out, ',');
	print_percent(out, 1, 0);
	check(&text, "97.3 %,0.0 %,100.0 %,-");
}

static void columns(void **state)
{
	struct text text;
	struct print *out = begin(&text);

	(void)state;
	print_text(out, "ab");
	print_pad(out, 4);
	print_u64_at(out, 8, 12);
	print_bytes_at(out, 16, 4096);
	print_percent_at(out, 24, 1, 2);
	print_text_at(out, 28, "x");
	print_text(out, "\n");
	print_text_at(out, 4, "end");
	check(&text, "ab    12 4.0 KiB  50.0 %   x\n end");
}

static void columns_that_are_too_narrow(void **state)
{
	struct text text;
	struct print *out = begin(&text);

	(void)state;
	print_u64_at(out, 2, 12345);
	print_u64_at(out, 3, 678);
	print_text(out, "\nö"); /* one character in two bytes */
	print_pad(out, 2);
	print_char(out, '|');
	check(&text, "12345 678\nö |");
}

static void json_with_commas(void **state)
{
	struct text text;
	struct print *out = begin(&text);

	(void)state;
	print_json_open(out, '{');
	print_json_member_u64(out, "a", 1);
	print_json_key(out, "b");
	print_json_open(out, '[');
	print_json_u64(out, 2);
	print_json_bool(out, false);
	print_json_open(out, '{');
	print_json_close(out, '}');
	print_json_close(out, ']');
	print_json_member_bool(out, "c", true);
	print_json_member_string(out, "d", "e");
	print_json_close(out, '}');
	check(&text, "{\"a\": 1, \"b\": [2, false, {}], \"c\": true, "
		     "\"d\": \"e\"}");
}

static void json_strings(void **state)
{
	static const struct {
		const char *given, *expected;
	} cases[] = {
		{ "", "\"\"" },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "a\nb\x7f", "\"a\\u000ab\\u007f\"" },
		{ "grün €", "\"grün €\"" },
		{ "\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"" },
		{ "\xff", "\"\\ufffd\"" },
		{ "\xc0\x80", "\"\\ufffd\\ufffd\"" }, /* overlong */
		{ "\xe2\x82", "\"\\ufffd\\ufffd\"" }, /* cut short */
		{ "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },
		{ "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text text;

		print_json_string(begin(&text), cases[i].given);
		check(&text, cases[i].expected);
	}
}

static void buffer_that_is_too_small(void **state)
{
	char buf[8] = "........";
	struct print out = print_to(PRINT_BUFFER, buf, 4);

	(void)state;
	print_text(&out, "123456");
	print_pad(&out, 100);
	assert_true(out.failed);
	assert_memory_equal(buf, "1234....", 8);
	out = print_to(PRINT_BUFFER, buf, 0);
	print_char(&out, 'x');
	assert_true(out.failed);
}

static void written_when_full_and_at_the_end(void **state)
{
	char buf[4], got[16] = "";
	struct print out;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	out = print_to(fds[1], buf, sizeof(buf));
	print_text(&out, "0123456789");
	assert_int_equal(read(fds[0], got, sizeof(got)), 8);
	print_flush(&out);
	assert_int_equal(read(fds[0], got + 8, 8), 2);
	assert_string_equal(got, "0123456789");
	assert_false(out.failed);
	close(fds[0]);
	close(fds[1]);
}

/* The default action of SIGPIPE would end this program. */
static void closed_pipe(void **state)
{
	char buf[4];
	struct print out;
	sigset_t pending;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	out = print_to(fds[1], buf, sizeof(buf));
	errno = 77;
	print_text(&out, "0123456789");
	print_flush(&out);
	assert_int_equal(errno, 77);
	assert_true(out.failed);
	sigpending(&pending);
	assert_false(sigismember(&pending, SIGPIPE));
	close(fds[1]);
}

/* That of SIGXFSZ as well. */
static void limited_file(void **state)
{
	struct rlimit limit, tight;
	char buf[4];
	struct print out;
	sigset_t pending;
	FILE *file = tmpfile();

	(void)state;
	assert_non_null(file);
	getrlimit(RLIMIT_FSIZE, &limit);
	tight = limit;
	tight.rlim_cur = 6;
	setrlimit(RLIMIT_FSIZE, &tight);
	out = print_to(fileno(file), buf, sizeof(buf));
	errno = 77;
	print_text(&out, "0123456789");
	print_flush(&out);
	setrlimit(RLIMIT_FSIZE, &limit);
	assert_int_equal(errno, 77);
	assert_true(out.failed);
	sigpending(&pending);
	assert_false(sigismember(&pending, SIGXFSZ));
	fclose(file);
}

static void full_pipe_that_does_not_block(void **state)
{
	static char block[4096];
	char buf[4];
	struct print out;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	while (write(fds[1], block, sizeof(block)) > 0)
		;
	out = print_to(fds[1], buf, sizeof(buf));
	print_text(&out, "lost");
	print_flush(&out);
	assert_true(out.failed);
	close(fds[0]);
	close(fds[1]);
}

#define TOTAL (1 << 18)

/* The signals are for the writer. */
static void *slow_reader(void *arg)
{
	static char block[16384];
	size_t *sum = arg;
	int fd = (int)*sum;
	sigset_t all;
	ssize_t n;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	*sum = 0;
	while ((n = read(fd, block, sizeof(block))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			*sum += block[i] == 'x';
		usleep(5000);
	}
	return NULL;
}

static void on_alarm(int number)
{
	(void)number;
}

/* Signals without SA_RESTART make writes to the full pipe end early, or with
 * nothing written. */
static void interrupted_writes(void **state)
{
	static char buf[TOTAL];
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval timer = { { 0, 1000 }, { 0, 1000 } };
	struct itimerval off = { { 0, 0 }, { 0, 0 } };
	struct print out;
	pthread_t reader;
	size_t sum;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	sum = (size_t)fds[0];
	pthread_create(&reader, NULL, slow_reader, &sum);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	out = print_to(fds[1], buf, sizeof(buf));
	for (size_t i = 0; i < TOTAL; i++)
		print_char(&out, 'x');
	print_flush(&out);
	setitimer(ITIMER_REAL, &off, NULL);
	close(fds[1]);
	pthread_join(reader, NULL);
	close(fds[0]);
	assert_false(out.failed);
	assert_int_equal(sum, TOTAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(hexadecimal),
		cmocka_unit_test(fractions),
		cmocka_unit_test(bytes_in_units),
		cmocka_unit_test(percentages),
		cmocka_unit_test(columns),
		cmocka_unit_test(columns_that_are_too_narrow),
		cmocka_unit_test(json_with_commas),
		cmocka_unit_test(json_strings),
		cmocka_unit_test(buffer_that_is_too_small),
		cmocka_unit_test(written_when_full_and_at_the_end),
		cmocka_unit_test(closed_pipe),
		cmocka_unit_test(limited_file),
		cmocka_unit_test(full_pipe_that_does_not_block),
		cmocka_unit_test(interrupted_writes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
