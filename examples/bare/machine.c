/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

#include <llfree_platform.h>
#include "examples/bare/machine.h"

#define SERIAL 0x3f8
#define SERIAL_STATUS (SERIAL + 5)
#define SERIAL_EMPTY 0x20
#define EXIT 0xf4 /* isa-debug-exit: QEMU ends with 2 * value + 1 */
#define EXIT_SUCCESS 0x10
#define EXIT_FAILURE 0x11

#define TRAMPOLINE 0x8000ul /* as in entry.S */
#define APIC_COMMAND 0xfee00300ul
#define APIC_PENDING 0x1000u
#define APIC_INIT 0xc4500u /* to all but the sender */
#define APIC_STARTUP 0xc4600u

#define RAM 1

/* What a PVH loader hands over. */
struct start_info {
	uint32_t magic, version, flags, modules;
	uint64_t module_list, command_line, rsdp, memory_map;
	uint32_t memory_entries, reserved;
};

struct memory_entry {
	uint64_t start, size;
	uint32_t type, reserved;
};

extern uint8_t trampoline[], trampoline_end[], image_start[], image_end[];
extern uint32_t cpus_started;

/* ------------------------------------------------------------------------ */
/* What a compiler wants                                                     */

void *memcpy(void *to, const void *from, size_t bytes)
{
	void *rest = to;

	asm volatile("rep movsb"
		     : "+D"(rest), "+S"(from), "+c"(bytes)
		     :
		     : "memory");
	return to;
}

void *memset(void *to, int value, size_t bytes)
{
	void *rest = to;

	asm volatile("rep stosb"
		     : "+D"(rest), "+c"(bytes)
		     : "a"(value)
		     : "memory");
	return to;
}

/* ------------------------------------------------------------------------ */
/* Devices                                                                   */

static void outb(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t inb(uint16_t port)
{
	uint8_t value;

	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void print_char(char c)
{
	while (!(inb(SERIAL_STATUS) & SERIAL_EMPTY))
		;
	outb(SERIAL, (uint8_t)c);
}

void print(const char *text)
{
	while (*text)
		print_char(*text++);
}

void print_number(const char *text, uint64_t number)
{
	char digits[24], *first = &digits[sizeof(digits) - 1];

	*first = '\0';
	do
		*--first = (char)('0' + number % 10);
	while (number /= 10);
	print("# ");
	print(text);
	print(first);
	print("\n");
}

_Noreturn void machine_exit(bool success)
{
	outb(EXIT, success ? EXIT_SUCCESS : EXIT_FAILURE);
	for (;;)
		asm volatile("cli; hlt");
}

_Noreturn void fail(const char *what, uint64_t number)
{
	print_number(what, number);
	machine_exit(false);
}

/* ------------------------------------------------------------------------ */
/* What the allocator wants                                                  */

uint64_t llfree_retries;

void llfree_log(const char *text)
{
	print(text);
}

_Noreturn void llfree_panic(const char *text)
{
	print("# panic: ");
	print(text);
	print("\n");
	machine_exit(false);
}

/* ------------------------------------------------------------------------ */
/* What the loader says                                                      */

/* Return what follows `prefix` in `text`, or null when it does not begin so. */
static const char *behind(const char *text, const char *prefix)
{
	while (*prefix)
		if (*text++ != *prefix++)
			return NULL;
	return text;
}

static uint64_t to_number(const char *digits)
{
	uint64_t number = 0;

	while (*digits >= '0' && *digits <= '9')
		number = 10 * number + (uint64_t)(*digits++ - '0');
	return number;
}

uint64_t parameter(const struct start_info *info, const char *name,
		   uint64_t otherwise)
{
	const char *at = (const char *)info->command_line;

	for (; at && *at; at++) {
		const char *value = behind(at, name);

		if (value && *value == '=')
			return to_number(value + 1);
	}
	return otherwise;
}

struct span usable_memory(const struct start_info *info, unsigned index)
{
	const struct memory_entry *entry = (const void *)info->memory_map;

	for (unsigned i = 0; i < info->memory_entries; i++, entry++)
		if (entry->type == RAM && index-- == 0)
			return (struct span){ entry->start,
					      entry->start + entry->size };
	return (struct span){ 0, 0 };
}

struct span kernel_image(void)
{
	return (struct span){ (uint64_t)image_start, (uint64_t)image_end };
}

/* ------------------------------------------------------------------------ */
/* Processors                                                                */

static void apic_send(uint32_t command)
{
	volatile uint32_t *apic = (volatile uint32_t *)APIC_COMMAND;

	*apic = command;
	while (*apic & APIC_PENDING)
		asm volatile("pause");
}

void start_cpus(unsigned cpus)
{
	memcpy((void *)TRAMPOLINE, trampoline,
	       (size_t)(trampoline_end - trampoline));
	apic_send(APIC_INIT);
	apic_send(APIC_STARTUP | TRAMPOLINE >> 12);
	while (atom_load_acquire(&cpus_started) < cpus)
		asm volatile("pause");
}

void barrier_wait(unsigned cpus)
{
	static uint32_t arrived, turns;
	uint32_t turn = atom_load_acquire(&turns);

	if (__atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL) == cpus) {
		atom_store(&arrived, 0);
		atom_store_release(&turns, turn + 1);
	}
	while (atom_load_acquire(&turns) == turn)
		asm volatile("pause");
}
