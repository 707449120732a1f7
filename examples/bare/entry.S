/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * From what the machine gives to C in long mode. The first processor arrives
 * by PVH (32 bits, no paging, ebx has the start info), the others by a start-up
 * interrupt (16 bits, at the page that the trampoline was copied to). Memory is
 * mapped one to one, 512 GiB by pages of 1 GiB. Interrupts stay off, and there
 * is no table for exceptions: one resets the machine, which ends it.
 */
#define TRAMPOLINE 0x8000
#define STACK_BITS 14
#define CPUS 64

#define CODE32 0x08
#define DATA 0x10
#define CODE64 0x18

#define CR0_PE 1
#define CR0_PG 0x80000000
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100
#define PAGE_1G 0x83 /* present, writable, large */
#define TABLE 3 /* present, writable */

	/* Where a PVH loader shall jump to. */
	.section .note, "a", @note
	.balign 4
	.long 4, 8, 18
	.asciz "Xen"
	.quad start

	.text
	.code32
	.globl start
start:
	cld
	mov %ebx, start_info
	/* The tables: the one page above, 512 entries of 1 GiB below. */
	movl $pages + TABLE, page_map
	mov $pages, %edi
	mov $PAGE_1G, %eax
	xor %edx, %edx
1:	mov %eax, (%edi)
	mov %edx, 4(%edi)
	add $0x40000000, %eax
	adc $0, %edx
	add $8, %edi
	cmp $pages + 4096, %edi
	jne 1b
	lgdt gdt_pointer
	ljmp $CODE32, $protected

	/* Every processor, in protected mode. */
protected:
	mov $DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $page_map, %eax
	mov %eax, %cr3
	mov $CR4_PAE, %eax
	mov %eax, %cr4
	mov $MSR_EFER, %ecx
	rdmsr
	or $EFER_LME, %eax
	wrmsr
	mov $(CR0_PG | CR0_PE), %eax
	mov %eax, %cr0
	ljmp $CODE64, $long_mode

	.code64
long_mode:
	/* A number for each, in the order of arrival, and a stack. */
	mov $1, %edi
	lock xadd %edi, cpus_started
	cmp $CPUS, %edi
	jae 2f
	lea 1(%rdi), %rsp
	shl $STACK_BITS, %rsp
	add $stacks, %rsp
	xor %ebp, %ebp
	test %edi, %edi
	jnz 1f
	mov start_info, %edi
	call first_cpu
1:	call other_cpu
2:	hlt
	jmp 2b

	/* Copied to TRAMPOLINE; only addresses of that copy until the jump. */
	.globl trampoline, trampoline_end
	.code16
trampoline:
	cli
	xor %ax, %ax
	mov %ax, %ds
	lgdtl TRAMPOLINE + (gdt_copy - trampoline)
	mov $CR0_PE, %eax
	mov %eax, %cr0
	ljmpl $CODE32, $protected
	.balign 8
gdt_copy:
	.word gdt_end - gdt - 1
	.long gdt
trampoline_end:

	.section .rodata
	.balign 8
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff
	.quad 0x00cf93000000ffff
	.quad 0x00af9b000000ffff
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt

	.bss
	.balign 4096
page_map:
	.skip 4096
pages:
	.skip 4096
stacks:
	.skip CPUS << STACK_BITS
	.globl cpus_started
cpus_started:
	.skip 4
start_info:
	.skip 4
