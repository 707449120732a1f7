/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * A uprobe, as bpftrace, bcc and perf probe set them, on each function of libc
 * that the library takes over: the call works, and still arrives at the library.
 */
#include "tests/shim/shim.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>

#define LEN ((size_t)1 << 20)

static bool is_served(const void *p)
{
	return !have_shim() || in_arena(p);
}

static bool maps(void *entry)
{
	void *(*call)(void *, size_t, int, int, int, off_t) = entry;
	char *p = call(NULL, LEN, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED && is_served(p) && memset(p, 1, LEN);
}

/* LLFREE_MAX would be reached, were the memory not the arena's again. */
static bool unmaps(void *entry)
{
	int (*call)(void *, size_t) = entry;
	bool good = true;

	for (int i = 0; i < 128; i++)
		good = good && call(map(LEN), LEN) == 0;
	return good;
}

static bool moves(void *entry)
{
	void *(*call)(void *, size_t, size_t, int, ...) = entry;
	char *p = memset(map(LEN), 1, LEN);

	p = call(p, LEN, 4 * LEN, MREMAP_MAYMOVE);
	return p != MAP_FAILED && is_served(p) && all_bytes(p, LEN, 1) &&
	       all_bytes(p + LEN, 3 * LEN, 0);
}

static bool empties(void *entry)
{
	int (*call)(void *, size_t, int) = entry;
	char *p = memset(map(LEN), 1, LEN);

	return call(p, LEN, MADV_DONTNEED) == 0 && all_bytes(p, LEN, 0);
}

/* Memory without access would be served again, had the library not seen it. */
static bool protects(void *entry)
{
	int (*call)(void *, size_t, int) = entry;
	char *p = map(LEN);
	bool good = call(p, LEN, PROT_NONE) == 0 && munmap(p, LEN) == 0;

	for (int i = 0; i < 32; i++)
		memset(map(LEN), 1, LEN);
	return good;
}

static bool moves_heap(void *entry)
{
	int (*call)(void *) = entry;
	char *end = sbrk(0);

	return is_served(end) && call(end + LEN) == 0 && sbrk(0) == end + LEN &&
	       memset(end, 1, LEN) && call(end) == 0 && sbrk(0) == end;
}

static bool ends(void *entry)
{
	void (*call)(int) = entry;

	call(0);
	return false;
}

static const struct {
	const char *name;
	bool (*works)(void *entry);
} entries[] = {
	{ "mmap", maps },	  { "munmap", unmaps },	 { "mremap", moves },
	{ "madvise", empties },	  { "brk", moves_heap }, { "_exit", ends },
	{ "mprotect", protects },
};
#define ENTRIES (sizeof(entries) / sizeof(entries[0]))

/* The file that is mapped at an address, and which of its bytes. */
static uint64_t file_at(const void *at, char *path)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	uint64_t start, end, offset, found = 0;
	char line[8192];

	must(maps != NULL);
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line,
			   "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64
			   " %*s %*s %4095s",
			   &start, &end, &offset, path) == 4 &&
		    start <= (uintptr_t)at && (uintptr_t)at < end) {
			found = (uintptr_t)at - start + offset;
			break;
		}
	fclose(maps);
	return found;
}

/* A counter of the hits in process `pid`; -1 where there are no uprobes. */
static int probe(pid_t pid, const void *entry)
{
	FILE *file = fopen("/sys/bus/event_source/devices/uprobe/type", "r");
	struct perf_event_attr attr = { .size = sizeof(attr) };
	char path[4096];
	unsigned type;

	if (!file)
		return -1;
	must(fscanf(file, "%u", &type) == 1);
	fclose(file);
	attr.type = type;
	attr.config2 = file_at(entry, path);
	attr.config1 = (uintptr_t)path;
	must(attr.config2 != 0);
	return (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, 0);
}

/* The child starts when the probe is there. */
static void try(size_t i, void *entry)
{
	int begin[2], status, counter;
	uint64_t hits = 0;
	pid_t pid;
	char c;

	must(pipe(begin) == 0);
	pid = fork();
	if (pid == 0) {
		close(begin[1]);
		must(read(begin[0], &c, 1) == 0);
		_exit(entries[i].works(entry) ? 0 : 1);
	}
	counter = probe(pid, entry);
	close(begin[0]);
	close(begin[1]);
	must(waitpid(pid, &status, 0) == pid);
	if (counter < 0) {
		skip(entries[i].name, "no uprobes, or not permitted");
		return;
	}
	must(read(counter, &hits, sizeof(hits)) == sizeof(hits));
	close(counter);
	ok(status == 0 && hits > 0, "%s with a uprobe on it", entries[i].name);
}

int main(void)
{
	void *libc;

	with_setting("LLFREE_MAX", "67108864");
	libc = dlopen("libc.so.6", RTLD_NOW);
	for (size_t i = 0; i < ENTRIES; i++)
		try(i, dlsym(libc, entries[i].name));
	return done();
}
