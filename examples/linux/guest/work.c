/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * Work for a kernel's page allocator, from outside, with contents checked:
 *
 *   work contents PROCESSES ROUNDS  fork and copy on write, files of a tmpfs, and
 *                                   pipes, by so many processes at once
 *   work frag PERCENT ROUNDS        free huge frames, as single ones come and go
 *   work oom PROCESSES              processes that grow until they are killed
 *   work huge MIB                   transparent huge pages
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u
#define WORDS (PAGE / sizeof(uint64_t))
#define HUGE_FRAMES 512u

static _Noreturn void fail(const char *what)
{
	printf("work: %s\n", what);
	fflush(stdout);
	_exit(1);
}

#define must(condition) ((condition) ? (void)0 : fail(#condition))

static uint64_t mix(uint64_t value)
{
	value ^= value >> 31;
	value *= 0x9e3779b97f4a7c15u;
	return value ^ value >> 29;
}

static size_t below(size_t bound)
{
	static uint64_t state = 1;

	state = mix(state + 1);
	return (size_t)(state >> 8) % bound;
}

static void *map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(memory != MAP_FAILED);
	return memory;
}

/* ------------------------------------------------------------------------ */
/* Contents                                                                  */

#define TREE_PAGES 512u
#define FILE_PAGES 256u
#define FORKS 4u

/* All words of a page are checked: a page that two have is noticed. */
static void write_page(uint64_t *page, uint64_t key)
{
	for (size_t i = 0; i < WORDS; i++)
		page[i] = mix(key * WORDS + i);
}

static void check_page(const uint64_t *page, uint64_t key)
{
	for (size_t i = 0; i < WORDS; i++)
		must(page[i] == mix(key * WORDS + i));
}

static void wait_for(pid_t child)
{
	int status;

	must(waitpid(child, &status, 0) == child);
	must(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A child sees what the parent wrote, changes its own copy of each third. */
static void copy_on_write(uint64_t key)
{
	uint64_t *pages = map(TREE_PAGES * PAGE);
	pid_t children[FORKS];

	for (size_t i = 0; i < TREE_PAGES; i++)
		write_page(pages + i * WORDS, key + i);
	for (size_t c = 0; c < FORKS; c++) {
		children[c] = fork();
		must(children[c] >= 0);
		if (children[c])
			continue;
		for (size_t i = c % 3; i < TREE_PAGES; i += 3)
			write_page(pages + i * WORDS, ~key - c);
		for (size_t i = 0; i < TREE_PAGES; i++)
			check_page(pages + i * WORDS,
				   i % 3 == c % 3 ? ~key - c : key + i);
		_exit(0);
	}
	for (size_t c = 0; c < FORKS; c++)
		wait_for(children[c]);
	for (size_t i = 0; i < TREE_PAGES; i++)
		check_page(pages + i * WORDS, key + i);
	must(munmap(pages, TREE_PAGES * PAGE) == 0);
}

static void file_in_memory(uint64_t key)
{
	uint64_t page[WORDS];
	char path[64];
	int file;

	snprintf(path, sizeof(path), "/tmp/work-%d", getpid());
	file = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	must(file >= 0);
	for (size_t i = 0; i < FILE_PAGES; i++) {
		write_page(page, key + i);
		must(write(file, page, PAGE) == PAGE);
	}
	/* A hole, and the pages behind it stay. */
	must(ftruncate(file, FILE_PAGES / 2 * PAGE) == 0);
	for (size_t i = 0; i < FILE_PAGES / 2; i++) {
		must(pread(file, page, PAGE, (off_t)(i * PAGE)) == PAGE);
		check_page(page, key + i);
	}
	must(close(file) == 0 && unlink(path) == 0);
}

static void read_all(int from, uint64_t *page)
{
	for (size_t done = 0; done < PAGE;) {
		ssize_t got = read(from, (char *)page + done, PAGE - done);

		must(got > 0);
		done += (size_t)got;
	}
}

static void through_a_pipe(uint64_t key)
{
	uint64_t page[WORDS];
	int ends[2];
	pid_t child;

	must(pipe(ends) == 0);
	child = fork();
	must(child >= 0);
	if (child == 0) {
		for (size_t i = 0; i < FILE_PAGES; i++) {
			write_page(page, key + i);
			must(write(ends[1], page, PAGE) == PAGE);
		}
		_exit(0);
	}
	for (size_t i = 0; i < FILE_PAGES; i++) {
		read_all(ends[0], page);
		check_page(page, key + i);
	}
	wait_for(child);
	must(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void contents(unsigned processes, unsigned rounds)
{
	pid_t children[64];

	must(processes <= 64);
	for (unsigned p = 0; p < processes; p++) {
		children[p] = fork();
		must(children[p] >= 0);
		if (children[p])
			continue;
		for (uint64_t r = 0; r < rounds; r++) {
			uint64_t key = mix(r << 8 | p) << 16;

			copy_on_write(key);
			file_in_memory(key);
			through_a_pipe(key);
		}
		_exit(0);
	}
	for (unsigned p = 0; p < processes; p++)
		wait_for(children[p]);
}

/* ------------------------------------------------------------------------ */
/* Huge pages                                                                */

#define HUGE_BYTES ((size_t)HUGE_FRAMES * PAGE)

/* From /proc/meminfo: of all processes. */
static size_t huge_pages_in_use(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[256];
	size_t kib = 0;

	must(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "AnonHugePages: %zu", &kib) == 1)
			break;
	fclose(file);
	return kib * 1024 / HUGE_BYTES;
}

/* Touch so many huge pages and say how many became one; unmap them. */
static void huge(size_t count)
{
	size_t before = huge_pages_in_use();
	char *memory = map((count + 1) * HUGE_BYTES);
	char *first = memory + HUGE_BYTES - (uintptr_t)memory % HUGE_BYTES;

	for (size_t i = 0; i < count; i++)
		write_page((uint64_t *)(first + i * HUGE_BYTES), i);
	printf("huge pages: %zu of %zu\n", huge_pages_in_use() - before, count);
	for (size_t i = 0; i < count; i++)
		check_page((uint64_t *)(first + i * HUGE_BYTES), i);
	/* Splits each, and frees a part. */
	for (size_t i = 0; i < count; i++)
		must(munmap(first + i * HUGE_BYTES + PAGE, 7 * PAGE) == 0);
	for (size_t i = 0; i < count; i++)
		check_page((uint64_t *)(first + i * HUGE_BYTES), i);
	must(munmap(memory, (count + 1) * HUGE_BYTES) == 0);
}

/* ------------------------------------------------------------------------ */
/* Fragmentation                                                             */

struct free_memory {
	size_t frames;
	size_t huge;
};

/* From /proc/llfree; there is only its head when LLFree is off. */
static struct free_memory free_of_llfree(void)
{
	struct free_memory sum = { 0, 0 }, zone;
	FILE *file = fopen("/proc/llfree", "r");
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%*s %*u %zu %zu", &zone.frames, &zone.huge) ==
		    2) {
			sum.frames += zone.frames;
			sum.huge += zone.huge;
		}
	if (file)
		fclose(file);
	return sum;
}

/* "Node 0, zone NAME COUNT...", a count for each order. */
static struct free_memory free_of_buddy(void)
{
	struct free_memory sum = { 0, 0 };
	FILE *file = fopen("/proc/buddyinfo", "r");
	char line[256];

	must(file);
	while (fgets(line, sizeof(line), file)) {
		char *rest = strstr(line, "zone"), *word;
		unsigned order = 0;

		must(rest);
		strtok(rest, " ");
		strtok(NULL, " ");
		for (; (word = strtok(NULL, " \n")); order++) {
			size_t count = strtoul(word, NULL, 10);

			sum.frames += count << order;
			if (order >= 9)
				sum.huge += count << (order - 9);
		}
	}
	fclose(file);
	return sum;
}

static struct free_memory free_memory(void)
{
	struct free_memory found = free_of_llfree();

	return found.frames ? found : free_of_buddy();
}

/* Pages of a mapping; the first `live` of the order are there. */
struct pages {
	char *memory;
	uint32_t *order;
	size_t count;
	size_t live;
};

static void swap_pages(struct pages *p, size_t a, size_t b)
{
	uint32_t was = p->order[a];

	p->order[a] = p->order[b];
	p->order[b] = was;
}

static void touch_to(struct pages *p, size_t live)
{
	while (p->live < live) {
		swap_pages(p, p->live, p->live + below(p->count - p->live));
		p->memory[(size_t)p->order[p->live++] * PAGE] = 1;
	}
}

static void drop_to(struct pages *p, size_t live)
{
	while (p->live > live) {
		size_t i = below(p->live);

		swap_pages(p, --p->live, i);
		must(madvise(p->memory + (size_t)p->order[p->live] * PAGE, PAGE,
			     MADV_DONTNEED) == 0);
	}
}

static void frag(unsigned percent, unsigned rounds)
{
	struct pages p = { .count = free_memory().frames * percent / 100 };
	size_t half = p.count / 2;

	p.memory = map(p.count * PAGE);
	(void)madvise(p.memory, p.count * PAGE, MADV_NOHUGEPAGE);
	p.order = map(p.count * sizeof(*p.order));
	for (size_t i = 0; i < p.count; i++)
		p.order[i] = (uint32_t)i;
	touch_to(&p, p.count);
	drop_to(&p, half);
	puts("csv frag,round,free_frames,free_huge,percent");
	for (unsigned round = 0; round <= rounds; round++) {
		struct free_memory now = free_memory();

		printf("csv frag,%u,%zu,%zu,%zu\n", round, now.frames, now.huge,
		       now.huge * HUGE_FRAMES * 100 / now.frames);
		drop_to(&p, half - half / 10);
		touch_to(&p, half);
	}
	/* What a process gets of it. */
	huge(free_memory().frames * 9 / 10 / HUGE_FRAMES);
}

/* ------------------------------------------------------------------------ */
/* Out of memory                                                             */

/* Each grows and checks what it has, until it is killed. */
static _Noreturn void grow(uint64_t key)
{
	size_t chunk = 256;

	for (uint64_t n = 0;; n++) {
		uint64_t *pages = map(chunk * PAGE);

		for (size_t i = 0; i < chunk; i++)
			write_page(pages + i * WORDS, key + n * chunk + i);
		for (size_t i = 0; i < chunk; i++)
			check_page(pages + i * WORDS, key + n * chunk + i);
	}
}

static void oom(unsigned processes)
{
	unsigned killed = 0;

	for (unsigned p = 0; p < processes; p++) {
		pid_t child = fork();

		must(child >= 0);
		if (child == 0) {
			int file = open("/proc/self/oom_score_adj", O_WRONLY);

			must(file >= 0 && write(file, "1000", 4) == 4);
			close(file);
			grow((uint64_t)p << 32);
		}
	}
	for (unsigned p = 0; p < processes; p++) {
		int status;

		must(wait(&status) > 0);
		must(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		killed++;
	}
	printf("killed %u\n", killed);
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	unsigned number = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
	unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "contents"))
		contents(number, rounds);
	else if (!strcmp(what, "frag"))
		frag(number, rounds);
	else if (!strcmp(what, "oom"))
		oom(number);
	else if (!strcmp(what, "huge"))
		huge(number * ((size_t)1 << 20) / HUGE_BYTES);
	else
		fail("work contents|frag|oom|huge NUMBER [ROUNDS]");
	printf("work: %s done\n", what);
	return 0;
}
