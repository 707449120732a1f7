/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * The entry of syscall(): system calls after which a child may run on this very
 * stack are made without a frame of ours on it, as in libc; all others go to
 * syscall_call, which takes the same arguments.
 */
#include "preload/calls/syscall.h"

#include <sys/syscall.h>

#define TEXT(number) TEXT_OF(number)
#define TEXT_OF(number) #number

__asm__(".text\n"
	".globl syscall\n"
	".type syscall, %function\n"
	"syscall:\n"
	"	hint	#34\n" /* bti c */
	"	cmp	x0, #" TEXT(
		SYS_clone) "\n"
			   "	b.eq	1f\n"
			   "	cmp	x0, #" TEXT(
				   SYS_clone3) "\n"
					       "	b.eq	1f\n"
					       "	b	syscall_call\n"
					       "1:	mov	x8, x0\n"
					       "	mov	x0, x1\n"
					       "	mov	x1, x2\n"
					       "	mov	x2, x3\n"
					       "	mov	x3, x4\n"
					       "	mov	x4, x5\n"
					       "	mov	x5, x6\n"
					       "	svc	#0\n"
					       "	cmn	x0, #4095\n"
					       "	b.hs	2f\n"
					       "	ret\n"
					       "2:	b	sys_result\n"
					       ".size syscall, .-syscall\n");
