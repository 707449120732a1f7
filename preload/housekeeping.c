/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/housekeeping.h"

#include "preload/arena/arena.h"
#include "preload/sys/sys.h"
#include "preload/report/report.h"

__thread unsigned housekeeping_calls;

static struct {
	uint64_t interval; /* milliseconds; 0: no reports */
	uint64_t next; /* when the next one is due */
} reports;

void housekeeping_start(const struct config *settings)
{
	sys_clock_start();
	reports.next = sys_clock_ms();
	reports.interval = settings->stats_interval * 1000;
	reports.next += reports.interval;
}

/* One thread gets it, of several. */
static bool report_is_due(uint64_t now)
{
	uint64_t next = __atomic_load_n(&reports.next, __ATOMIC_RELAXED);

	return reports.interval && now >= next &&
	       __atomic_compare_exchange_n(&reports.next, &next,
					   now + reports.interval, false,
					   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* In a page that is wiped on fork: no thread is there, whoever forked. */
static bool in_place;
static bool *by_thread = &in_place;

void housekeeping_by_thread(bool does)
{
	bool *wiped;

	if (does && by_thread == &in_place && (wiped = sys_wiped_page()))
		by_thread = wiped;
	__atomic_store_n(by_thread, does, __ATOMIC_RELAXED);
}

void housekeeping_poll(void)
{
	uint64_t now;

	housekeeping_calls = 0;
	if (__atomic_load_n(by_thread, __ATOMIC_RELAXED))
		return;
	now = sys_clock_ms();
	if (!now)
		return;
	arena_age(now, ARENA_PURGE);
	if (report_is_due(now))
		report_now("interval");
}

uint64_t housekeeping_step(void)
{
	uint64_t now = sys_clock_ms();
	uint64_t due = arena_age_step(now);

	if (report_is_due(now))
		report_now("interval");
	if (reports.interval && reports.next < due)
		due = reports.next;
	if (due == ARENA_NEVER)
		return HOUSEKEEPING_NEVER;
	return due > now ? due - now : 0;
}
