/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/housekeeping.h"

#include "preload/arena/arena.h"
#include "preload/sys/atomic.h"
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

/* True for one of several threads. */
static bool report_is_due(uint64_t now)
{
	uint64_t next = atom_load(&reports.next);

	return reports.interval && now >= next &&
	       atom_cas_relaxed(&reports.next, &next, now + reports.interval);
}

static bool by_thread;

void housekeeping_by_thread(bool does)
{
	atom_store(&by_thread, does);
}

void housekeeping_poll(void)
{
	uint64_t now;

	housekeeping_calls = 0;
	if (atom_load(&by_thread))
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
