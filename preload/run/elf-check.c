/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include "preload/run/elf-check.h"

#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define HEAD 4096 /* bytes to read; the program headers are in them */
#define SCRIPTS 4 /* scripts of scripts, as many as the kernel follows */

struct head {
	_Alignas(ElfW(Ehdr)) char bytes[HEAD + 1]; /* ends with a zero */
	size_t len;
};

static bool read_head(const char *path, struct head *head)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return false;
	len = read(fd, head->bytes, HEAD);
	close(fd);
	head->len = len > 0 ? (size_t)len : 0;
	head->bytes[head->len] = '\0';
	return true;
}

static const ElfW(Ehdr) * elf_header(const struct head *head)
{
	const ElfW(Ehdr) *ehdr = (const void *)head->bytes;

	if (head->len < sizeof(*ehdr) ||
	    memcmp(ehdr->e_ident, ELFMAG, SELFMAG) != 0)
		return NULL;
	return ehdr;
}

/* Return the path of the program's loader, or NULL for a static program. */
static const char *loader_of(const struct head *head, const ElfW(Ehdr) * ehdr)
{
	ElfW(Phdr) phdr;

	for (size_t i = 0; i < ehdr->e_phnum; i++) {
		size_t at = ehdr->e_phoff + i * sizeof(phdr);

		if (at > head->len || head->len - at < sizeof(phdr))
			return NULL;
		memcpy(&phdr, head->bytes + at, sizeof(phdr));
		if (phdr.p_type == PT_INTERP)
			return phdr.p_offset < head->len
				       ? head->bytes + phdr.p_offset
				       : NULL;
	}
	return NULL;
}

/* Compare the machine and the loader of the program with those of ours. */
static enum elf_verdict check_loader(const char *path, const struct head *head,
				     const ElfW(Ehdr) * ehdr, char *why,
				     size_t cap)
{
	const ElfW(Ehdr) * own_ehdr;
	const char *loader, *own_loader;
	struct head own;

	if (!read_head("/proc/self/exe", &own))
		return ELF_LOADS;
	own_ehdr = elf_header(&own);
	if (!own_ehdr)
		return ELF_LOADS;
	if (ehdr->e_ident[EI_CLASS] != own_ehdr->e_ident[EI_CLASS] ||
	    ehdr->e_machine != own_ehdr->e_machine) {
		snprintf(why, cap,
			 "%s is for another machine: it runs without the "
			 "library",
			 path);
		return ELF_BREAKS;
	}
	loader = loader_of(head, ehdr);
	if (!loader) {
		snprintf(why, cap,
			 "%s is statically linked: the library is not loaded",
			 path);
		return ELF_IGNORES;
	}
	own_loader = loader_of(&own, own_ehdr);
	if (!own_loader || strcmp(loader, own_loader) == 0)
		return ELF_LOADS;
	snprintf(why, cap,
		 "%s is loaded by %s, not by the loader of the library: it "
		 "runs without the library",
		 path, loader);
	return ELF_BREAKS;
}

/* The loader ignores LD_PRELOAD if the program runs with other rights. */
static enum elf_verdict check_rights(const char *path, char *why, size_t cap)
{
	struct stat st;
	bool set_id, gains;

	if (stat(path, &st) != 0)
		return ELF_LOADS;
	set_id = st.st_mode & (S_ISUID | S_ISGID);
	gains = ((st.st_mode & S_ISUID) && st.st_uid != getuid()) ||
		((st.st_mode & S_ISGID) && st.st_gid != getgid()) ||
		(getuid() != 0 &&
		 getxattr(path, "security.capability", NULL, 0) > 0);
	if (!set_id && !gains)
		return ELF_LOADS;
	snprintf(why, cap,
		 gains ? "%s runs with other rights (set-user-ID or similar): "
			 "the library is not loaded"
		       : "%s is set-user-ID or set-group-ID: for other users "
			 "the library is not loaded",
		 path);
	return ELF_IGNORES;
}

/* Store the interpreter: /bin/sh for "#! /bin/sh -e". */
static bool interpreter_of(const struct head *head, char *path)
{
	const char *start = head->bytes + 2;
	size_t len;

	if (strncmp(head->bytes, "#!", 2) != 0)
		return false;
	start += strspn(start, " \t");
	len = strcspn(start, " \t\r\n");
	return len > 0 &&
	       snprintf(path, PATH_MAX, "%.*s", (int)len, start) < PATH_MAX;
}

static enum elf_verdict check_program(const char *path, const struct head *head,
				      const ElfW(Ehdr) * ehdr, char *why,
				      size_t cap)
{
	enum elf_verdict verdict = check_loader(path, head, ehdr, why, cap);

	return verdict == ELF_LOADS ? check_rights(path, why, cap) : verdict;
}

enum elf_verdict elf_check(const char *path, char *why, size_t cap)
{
	const ElfW(Ehdr) * ehdr;
	char next[PATH_MAX];
	struct head head;

	if (snprintf(next, sizeof(next), "%s", path) >= PATH_MAX)
		return ELF_LOADS;
	for (size_t i = 0; i <= SCRIPTS; i++) {
		if (!read_head(next, &head))
			return check_rights(next, why, cap);
		ehdr = elf_header(&head);
		if (ehdr)
			return check_program(next, &head, ehdr, why, cap);
		if (!interpreter_of(&head, next))
			return ELF_LOADS;
	}
	return ELF_LOADS;
}
