/* Where the kernel starts, and where Xen and the processor enter it. */

/* ELF notes. Source: xen/include/public/elfnote.h. */
.macro note type, kind:vararg
	.pushsection .note.Xen, "a", @note
	.balign 4
	.long 4, 2f - 1f, \type
	.asciz "Xen"
1:	\kind
2:	.balign 4
	.popsection
.endm
	note 1, .quad start_pv			/* ENTRY */
	note 2, .quad hypercall_page		/* HYPERCALL_PAGE */
	note 3, .quad 0				/* VIRT_BASE */
	note 4, .quad 0				/* PADDR_OFFSET */
	note 5, .asciz "xen-3.0"		/* XEN_VERSION */
	note 6, .asciz "goxl-mini"		/* GUEST_OS */
	note 7, .asciz "1"			/* GUEST_VERSION */
	note 8, .asciz "generic"		/* LOADER */
	note 9, .asciz "yes"			/* PAE_MODE */
	note 10, .asciz "hvm_callback_vector"	/* FEATURES: none required */
	note 14, .quad 1			/* SUSPEND_CANCEL */
	note 18, .long start_pvh		/* PHYS32_ENTRY */

	.section .text.page, "ax"
	.globl hypercall_page
	.balign 4096
hypercall_page:
	.skip 4096

	.text
	.code64
	.globl start_pv
start_pv:				/* rsi: start info */
	cld
	mov $stack_top, %esp
	mov %rsi, %rdi
	call pv_start
	ud2

	.code32
start_pvh:				/* ebx: start info; flat segments, no paging */
	cld
	mov $stack_top, %esp
	mov $tables_2m, %edi
	mov $0x83, %eax			/* present, writable, 2 MiB */
1:	mov %eax, (%edi)
	add $8, %edi
	add $0x200000, %eax
	jnc 1b				/* up to 4 GiB */
	mov $tables_2m + 3, %eax
	mov $table_3, %edi
	mov $4, %ecx
2:	mov %eax, (%edi)
	add $8, %edi
	add $4096, %eax
	loop 2b
	movl $table_3 + 3, table_4
	mov %cr4, %eax
	or $0x20, %eax			/* PAE */
	mov %eax, %cr4
	mov $table_4, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx		/* EFER */
	rdmsr
	or $0x100, %eax			/* LME */
	wrmsr
	mov %cr0, %eax
	or $0x80000000, %eax		/* PG */
	mov %eax, %cr0
	lgdt gdt_at
	ljmp $8, $3f
	.code64
3:	xor %eax, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %ebx, %edi
	call pvh_start
	ud2

/* Events are taken only while the vcpu is blocked. Both handlers return to it
   with interrupts off again, and the main loop looks at what has happened. */
	.globl pv_upcall, pvh_upcall, pv_failsafe
pv_upcall:				/* rcx, r11, rip, cs, rflags, rsp, ss */
	pop %rcx
	pop %r11
	andq $~0x200, 16(%rsp)
	pushq $0			/* no VGCF flags */
	jmp hypercall_page + 23 * 32	/* iret: it pushes rcx, r11 and rax itself */
pvh_upcall:
	andq $~0x200, 16(%rsp)
	cmpq $blocked, (%rsp)
	jne 1f
	incq (%rsp)			/* over the hlt: with interrupts off it would be the end */
1:	iretq

/* An event may come between sti and hlt, where a processor would not let it in:
   QEMU's forgets that when the hypervisor has a turn there. */
	.globl pvh_block
pvh_block:
	sti
blocked:
	hlt
	cli
	ret
pv_failsafe:
	mov $255, %edi
	mov %rsp, %rsi
	call trap

/* A stub for each exception, with a table of them for both kinds of guest. The
   frame that trap() gets starts with the error code. */
.macro stubs kind, pops
	.pushsection .rodata
	.balign 8
	.globl \kind\()_stubs
\kind\()_stubs:
	.popsection
	.set vector, 0
	.rept 20
	.pushsection .rodata
	.quad 1f
	.popsection
1:	.if \pops
	pop %rcx
	pop %r11
	.endif
	.if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17
	.else
	pushq $0
	.endif
	mov $vector, %edi
	mov %rsp, %rsi
	call trap
	.set vector, vector + 1
	.endr
.endm
	stubs pv, 1
	stubs pvh, 0

	.section .rodata
	.balign 8
gdt:	.quad 0, 0x00209b0000000000	/* 64-bit code */
gdt_at:	.word gdt_at - gdt - 1
	.quad gdt

	.section .bss.page, "aw", @nobits
	.balign 4096
tables_2m: .skip 4 * 4096
table_3: .skip 4096
table_4: .skip 4096
	.skip 16384
stack_top:
	.section .note.GNU-stack, "", @progbits
