/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/hook/hook.h"
#include "preload/hook/arch.h"
#include "preload/sys/sys.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

static struct hook_result result;

/* ------------------------------------------------------------------------ */
/* libc's own symbols                                                        */

struct libc {
	const ElfW(Sym) * symbols;
	const char *strings;
	const uint32_t *hash; /* DT_GNU_HASH */
	const uint16_t *versions; /* DT_VERSYM */
	uintptr_t base;
	uintptr_t start, end; /* of its code */
};

/* The loader has added the base to these, unless the section is read-only. */
static const void *dynamic_ptr(uintptr_t base, ElfW(Addr) value)
{
	return (const void *)(value < base ? base + value : value);
}

static void libc_dynamic(struct libc *libc, const ElfW(Dyn) * dyn)
{
	for (; dyn->d_tag != DT_NULL; dyn++) {
		const void *ptr = dynamic_ptr(libc->base, dyn->d_un.d_ptr);

		if (dyn->d_tag == DT_SYMTAB)
			libc->symbols = ptr;
		else if (dyn->d_tag == DT_STRTAB)
			libc->strings = ptr;
		else if (dyn->d_tag == DT_GNU_HASH)
			libc->hash = ptr;
		else if (dyn->d_tag == DT_VERSYM)
			libc->versions = ptr;
	}
}

static bool is_libc(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash ? slash + 1 : path, "libc.so.6") == 0;
}

static int libc_visit(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct libc *libc = arg;

	(void)size;
	if (!is_libc(info->dlpi_name))
		return 0;
	libc->base = info->dlpi_addr;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
		uintptr_t at = libc->base + phdr->p_vaddr;

		if (phdr->p_type == PT_DYNAMIC)
			libc_dynamic(libc, (const void *)at);
		if (phdr->p_type == PT_LOAD && (phdr->p_flags & PF_X)) {
			libc->start = at;
			libc->end = at + phdr->p_memsz;
		}
	}
	return 1;
}

static bool libc_find(struct libc *libc)
{
	memset(libc, 0, sizeof(*libc));
	dl_iterate_phdr(libc_visit, libc);
	return libc->symbols && libc->strings && libc->hash && libc->versions &&
	       libc->start;
}

/* Kept for old programs only: not the default version of its name. */
#define VERSION_HIDDEN 0x8000

static uint32_t gnu_hash(const char *name)
{
	uint32_t hash = 5381;

	for (; *name; name++)
		hash = hash * 33 + (unsigned char)*name;
	return hash;
}

/*
 * The table: number of buckets, first symbol, words and shift of the Bloom
 * filter, the filter, the buckets, and for each symbol from the first its hash
 * with bit 0 as end of the bucket.
 */
static const ElfW(Sym) * libc_symbol(const struct libc *libc, const char *name)
{
	const uint32_t *table = libc->hash, *buckets, *chain;
	uint32_t hash = gnu_hash(name), at;

	buckets = table + 4 + table[2] * (sizeof(ElfW(Addr)) / 4);
	chain = buckets + table[0];
	at = buckets[hash % table[0]];
	if (at < table[1])
		return NULL;
	for (;; at++) {
		const ElfW(Sym) *symbol = &libc->symbols[at];
		uint32_t found = chain[at - table[1]];

		if ((found | 1) == (hash | 1) &&
		    !(libc->versions[at] & VERSION_HIDDEN) &&
		    strcmp(libc->strings + symbol->st_name, name) == 0)
			return symbol;
		if (found & 1)
			return NULL;
	}
}

static uint8_t *libc_function(const struct libc *libc, const char *name,
			      size_t *size)
{
	const ElfW(Sym) *symbol = libc_symbol(libc, name);
	uintptr_t at;

	if (!symbol || symbol->st_shndx == SHN_UNDEF ||
	    ELF64_ST_TYPE(symbol->st_info) != STT_FUNC)
		return NULL;
	at = libc->base + symbol->st_value;
	if (at < libc->start || at + symbol->st_size > libc->end)
		return NULL;
	*size = symbol->st_size;
	return (uint8_t *)at;
}

/* ------------------------------------------------------------------------ */
/* The stubs: a page of code, and after it a page of slots                    */

/* Where an entry is taken, and its code since then. */
struct site {
	uint8_t *entry;
	struct hook_place place;
	const char *refused;
	bool took;
	uint8_t code[HOOK_CODE_MOST];
};

#define HOOKS_MOST 16
static struct site sites[HOOKS_MOST];
static struct hook *installed; /* one for each site, until none is wanted */
static size_t installed_count;

struct stubs {
	uint8_t *code;
	struct hook_slot *slots;
	size_t page;
	bool alone; /* this is the only thread */
};

static bool in_reach(const struct libc *libc, uintptr_t at, size_t page)
{
	uintptr_t low = at < libc->start ? at : libc->start;
	uintptr_t high = at + page > libc->end ? at + page : libc->end;

	return high - low < hook_arch_reach;
}

static long map_at(uintptr_t at, size_t len, int flags)
{
	return sys_mmap((void *)at, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

/* An old kernel takes MAP_FIXED_NOREPLACE for a hint. */
static bool try_map(const struct libc *libc, uintptr_t at, int flags,
		    struct stubs *stubs)
{
	long got = map_at(at, 2 * stubs->page, flags);

	if (sys_failed(got))
		return false;
	if (!in_reach(libc, (uintptr_t)got, stubs->page)) {
		sys_munmap((void *)got, 2 * stubs->page);
		return false;
	}
	stubs->code = (uint8_t *)got;
	stubs->slots = (struct hook_slot *)(got + (long)stubs->page);
	return true;
}

#define TRIES 128

/* First where the kernel puts it: below the libraries, as a rule near. */
static bool map_stubs(const struct libc *libc, struct stubs *stubs)
{
	size_t step = hook_arch_reach / TRIES;
	uintptr_t middle;

	stubs->page = sys_page_size();
	stubs->alone = sys_count_threads() == 1;
	middle = libc->start / stubs->page * stubs->page;
	if (try_map(libc, 0, 0, stubs))
		return true;
	for (size_t i = 1; i < TRIES; i++)
		if (try_map(libc, middle - i * step, MAP_FIXED_NOREPLACE,
			    stubs) ||
		    try_map(libc, middle + i * step, MAP_FIXED_NOREPLACE,
			    stubs))
			return true;
	return false;
}

/* No mapping can begin here, so every call refuses it that is not a stub. */
static uintptr_t cookie(const struct stubs *stubs)
{
	return (uintptr_t)stubs->code + 1;
}

static bool write_stubs(const struct stubs *stubs, const struct hook *hooks,
			size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t *code = stubs->code + i * HOOK_STUB_SIZE;
		struct hook_slot *slot = &stubs->slots[i];

		slot->ours = (uintptr_t)hooks[i].ours;
		slot->cookie = cookie(stubs);
		slot->target = (uintptr_t)code + HOOK_STUB_TEST;
		hook_arch_write_stub(code, slot, &sites[i].place);
	}
	return !sys_failed(
		sys_mprotect(stubs->code, stubs->page, PROT_READ | PROT_EXEC));
}

/* ------------------------------------------------------------------------ */
/* Taking over                                                               */

/* Behind a library that exports the same name our symbol is not ours: a jump
 * from libc to libc would never end. */
static bool in_libc(const struct libc *libc, void (*function)(void))
{
	uintptr_t at = (uintptr_t)function;

	return at >= libc->start && at < libc->end;
}

static const char *choose(const struct libc *libc, const struct stubs *stubs,
			  const struct hook *hook, struct site *site)
{
	size_t size = 0;

	memset(site, 0, sizeof(*site));
	site->entry = libc_function(libc, hook->symbol, &size);
	if (!site->entry)
		return "not found in libc";
	if (in_libc(libc, hook->ours))
		return "ours is libc's own";
	return hook_arch_refuse(site->entry, size, hook->words, stubs->alone,
				&site->place);
}

static void choose_all(const struct libc *libc, const struct stubs *stubs,
		       const struct hook *hooks, size_t count)
{
	for (size_t i = 0; i < count; i++)
		sites[i].refused = choose(libc, stubs, &hooks[i], &sites[i]);
}

/* From the lowest page of an entry to the highest: few mappings of libc get
 * split, and few calls do it. Executable throughout, as others may be on it. */
static bool protect(const struct stubs *stubs, size_t count, int prot)
{
	uintptr_t low = UINTPTR_MAX, high = 0;

	for (size_t i = 0; i < count; i++) {
		uintptr_t at = (uintptr_t)sites[i].entry;
		uintptr_t end = at + sites[i].place.offset + sizeof(uint64_t);

		low = at && at < low ? at : low;
		high = at && end > high ? end : high;
	}
	if (high == 0)
		return true;
	low = low / stubs->page * stubs->page;
	high = (high + stubs->page - 1) / stubs->page * stubs->page;
	return !sys_failed(
		sys_mprotect((void *)low, high - low, prot | PROT_EXEC));
}

typedef uintptr_t (*test_call_t)(uintptr_t, uintptr_t, uintptr_t, uintptr_t,
				 uintptr_t, uintptr_t);

static bool answers(uint8_t *entry, uintptr_t question)
{
	test_call_t call = (test_call_t)(uintptr_t)entry;
	int saved = errno;
	bool ok = call(question, 0, 0, 0, 0, 0) == question;

	errno = saved;
	return ok;
}

static const char *take(const struct stubs *stubs, const struct hook *hook,
			size_t index)
{
	struct site *site = &sites[index];
	uint8_t *place = site->entry + site->place.offset;
	struct hook_slot *slot = &stubs->slots[index];
	uint64_t before;

	if (site->refused)
		return site->refused;
	before = hook_arch_load(place);
	hook_arch_store(place,
			hook_arch_jump(place,
				       stubs->code + index * HOOK_STUB_SIZE));
	if (hook->test && !answers(site->entry, slot->cookie)) {
		hook_arch_store(place, before);
		return "the test call did not arrive";
	}
	memcpy(site->code, site->entry, site->place.offset + sizeof(before));
	site->took = true;
	__atomic_store_n(&slot->target, slot->ours, __ATOMIC_RELEASE);
	return NULL;
}

static void append(const char *text)
{
	size_t len = strlen(result.why_not);
	size_t room = sizeof(result.why_not) - 1 - len;

	memcpy(result.why_not + len, text, strnlen(text, room));
}

void hook_skip(const char *why_not)
{
	installed_count = 0;
	memset(&result, 0, sizeof(result));
	append(why_not);
}

static void skip_all(struct hook *hooks, size_t count, const char *why_not)
{
	for (size_t i = 0; i < count; i++)
		hooks[i].why_not = why_not;
	hook_skip(why_not);
}

static const char *try_to_take(const struct stubs *stubs,
			       const struct hook *hook, size_t index)
{
	if (hook->why_not)
		return hook->why_not;
	if (hook->needs_all && !result.libc)
		return "not without the other entries";
	if (hook->apart && !stubs->alone)
		return "other threads are running already";
	return take(stubs, hook, index);
}

static void not_taken(struct hook *hook, const char *why_not)
{
	hook->took = false;
	hook->why_not = why_not;
	append(result.why_not[0] ? "; " : "");
	append(hook->symbol);
	append(": ");
	append(why_not);
	*(hook->apart ? &result.apart : &result.libc) = false;
}

static void take_all(const struct stubs *stubs, struct hook *hooks,
		     size_t count)
{
	hook_skip("");
	result.libc = result.apart = true;
	for (size_t i = 0; i < count; i++) {
		const char *why_not = try_to_take(stubs, &hooks[i], i);

		hooks[i].took = !why_not;
		if (why_not)
			not_taken(&hooks[i], why_not);
	}
	installed = hooks;
	installed_count = count;
}

/* Reports may come at once; one of them says it first. */
const struct hook_result *hook_result(void)
{
	for (size_t i = 0; i < installed_count; i++) {
		struct site *site = &sites[i];

		if (site->took &&
		    !hook_arch_holds(site->entry, site->code,
				     site->place.offset) &&
		    __atomic_exchange_n(&site->took, false, __ATOMIC_RELAXED))
			not_taken(&installed[i], "overwritten since");
	}
	return &result;
}

void hook_install(struct hook *hooks, size_t count)
{
	struct stubs stubs;
	struct libc libc;

	if (!libc_find(&libc)) {
		skip_all(hooks, count, "libc.so.6 not found");
		return;
	}
	if (count > HOOKS_MOST || !map_stubs(&libc, &stubs)) {
		skip_all(hooks, count, "no room for stubs near libc");
		return;
	}
	choose_all(&libc, &stubs, hooks, count);
	if (!write_stubs(&stubs, hooks, count)) {
		skip_all(hooks, count, "stubs cannot be made executable");
	} else if (!protect(&stubs, count, PROT_READ | PROT_WRITE)) {
		skip_all(hooks, count, "libc's code cannot be made writable");
	} else {
		take_all(&stubs, hooks, count);
		protect(&stubs, count, PROT_READ);
	}
	sys_mprotect(stubs.slots, stubs.page, PROT_READ);
}
