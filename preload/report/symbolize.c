/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/report/symbolize.h"
#include "preload/sys/sys.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* The symbol table of the program, in a mapping of its file. */
static struct {
	const ElfW(Sym) * symbols;
	const char *strings;
	size_t count;
	size_t strings_len;
	/* The loader has argv[0] for it, which programs overwrite. */
	char path[PATH_MAX];
} program;

/* Return the `count` items of `size` bytes at `offset`, or NULL if they are not
 * in the file. */
static const void *in_file(const char *file, size_t len, uint64_t offset,
			   uint64_t count, uint64_t size)
{
	if (offset > len || offset % 8 != 0 || count > (len - offset) / size)
		return NULL;
	return file + offset;
}

static void take_table(const char *file, size_t len,
		       const ElfW(Shdr) * sections, size_t count,
		       const ElfW(Shdr) * table)
{
	size_t symbols = table->sh_size / sizeof(ElfW(Sym));
	const ElfW(Shdr) * strings;

	if (table->sh_link >= count)
		return;
	strings = &sections[table->sh_link];
	if (strings->sh_size == 0 || strings->sh_offset > len ||
	    strings->sh_size > len - strings->sh_offset ||
	    file[strings->sh_offset + strings->sh_size - 1] != '\0')
		return;
	program.symbols = in_file(file, len, table->sh_offset, symbols,
				  sizeof(ElfW(Sym)));
	program.count = program.symbols ? symbols : 0;
	program.strings = file + strings->sh_offset;
	program.strings_len = strings->sh_size;
}

static void read_file(const char *file, size_t len)
{
	const ElfW(Ehdr) *ehdr = (const void *)file;
	const ElfW(Shdr) * sections;

	if (len < sizeof(*ehdr) || memcmp(ehdr->e_ident, ELFMAG, SELFMAG) != 0)
		return;
	sections = in_file(file, len, ehdr->e_shoff, ehdr->e_shnum,
			   sizeof(*sections));
	for (size_t i = 0; sections && i < ehdr->e_shnum; i++)
		if (sections[i].sh_type == SHT_SYMTAB)
			take_table(file, len, sections, ehdr->e_shnum,
				   &sections[i]);
}

void symbolize_start(void)
{
	long fd = sys_open("/proc/self/exe", O_RDONLY | O_CLOEXEC, 0);
	struct stat st;
	long file;

	sys_call(SYS_readlinkat, AT_FDCWD, (long)"/proc/self/exe",
		 (long)program.path, sizeof(program.path) - 1, 0, 0);
	if (sys_failed(fd))
		return;
	if (!sys_failed(sys_fstat((int)fd, &st)) && st.st_size > 0) {
		file = sys_mmap(NULL, (size_t)st.st_size, PROT_READ,
				MAP_PRIVATE, (int)fd, 0);
		if (!sys_failed(file))
			read_file((const char *)file, (size_t)st.st_size);
	}
	sys_close((int)fd);
}

/* Find the function of the program that contains `offset`. */
static void find_in_program(struct symbol *name, uintptr_t offset)
{
	for (size_t i = 0; i < program.count; i++) {
		const ElfW(Sym) *symbol = &program.symbols[i];

		if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC ||
		    symbol->st_name >= program.strings_len ||
		    offset < symbol->st_value ||
		    offset - symbol->st_value >= symbol->st_size)
			continue;
		name->function = program.strings + symbol->st_name;
		name->function_offset = offset - symbol->st_value;
		return;
	}
}

/* Return whether the symbol contains the address: the loader finds the nearest
 * symbol before it, which may end before it. */
static bool covers(const Dl_info *info, uintptr_t addr)
{
	const ElfW(Sym) *symbol = NULL;
	Dl_info again;
	void *extra = NULL;

	if (!info->dli_sname ||
	    !dladdr1((void *)addr, &again, &extra, RTLD_DL_SYMENT))
		return false;
	symbol = extra;
	return symbol && addr - (uintptr_t)info->dli_saddr < symbol->st_size;
}

struct symbol symbolize(uintptr_t addr)
{
	struct symbol name = { 0 };
	const struct link_map *map;
	void *extra = NULL;
	const char *slash;
	Dl_info info;

	if (!dladdr1((void *)addr, &info, &extra, RTLD_DL_LINKMAP))
		return name;
	map = extra;
	name.path = map->l_name[0] ? map->l_name : program.path;
	slash = strrchr(name.path, '/');
	name.module = slash ? slash + 1 : name.path;
	name.module_offset = addr - map->l_addr;
	if (covers(&info, addr)) {
		name.function = info.dli_sname;
		name.function_offset = addr - (uintptr_t)info.dli_saddr;
	} else if (map->l_name[0] == '\0') {
		find_in_program(&name, name.module_offset);
	}
	return name;
}
