/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The entry of syscall(): system calls after which a child may run on this very
 * stack are made without a frame of ours on it, as in libc; all others go to
 * syscall_call, which takes the same arguments. The kernel overwrites rcx and
 * r11.
 */
#include "preload/calls/syscall.h"

#include <sys/syscall.h>

#define TEXT(number) TEXT_OF(number)
#define TEXT_OF(number) #number

__asm__(".text\n"
	".globl syscall\n"
	".type syscall, @function\n"
	"syscall:\n"
	"	endbr64\n"
	"	cmpq	$" TEXT(
		SYS_clone) ", %rdi\n"
			   "	je	1f\n"
			   "	cmpq	$" TEXT(
				   SYS_clone3) ", %rdi\n"
					       "	je	1f\n"
					       "	cmpq	$" TEXT(
						       SYS_vfork) ", %rdi\n"
								  "	je"
								  "	1f\n"
								  "	cmpq"
								  "	$" TEXT(
									  SYS_fork) ", %rdi\n"
										    "	je	1f\n"
										    "	jmp	syscall_call\n"
										    "1:	movq	%rdi, %rax\n"
										    "	movq	%rsi, %rdi\n"
										    "	movq	%rdx, %rsi\n"
										    "	movq	%rcx, %rdx\n"
										    "	movq	%r8, %r10\n"
										    "	movq	%r9, %r8\n"
										    "	movq	8(%rsp), %r9\n"
										    "	syscall\n"
										    "	cmpq	$-4095, %rax\n"
										    "	jae	2f\n"
										    "	ret\n"
										    "2:	movq	%rax, %rdi\n"
										    "	jmp	sys_result\n"
										    ".size syscall, .-syscall\n");
