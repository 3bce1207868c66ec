/* The kernel as a PVH guest: the first 4 GiB are mapped one to one, Xen hands out
   rings and ports as HVM parameters. */
#include "mini.h"

extern char pvh_upcall[], kernel_end[];
extern u64 pvh_stubs[];
void pvh_start(struct hvm_start_info *hsi) __attribute__((noreturn));
void pvh_block(void);

#define SHARED_PFN 0xfe000UL /* between RAM and the special pages: nothing is there */
#define UPCALL_VECTOR 0x40
#define CODE_SEGMENT 8
#define LEAF 0x40000000 /* of Xen; it may be higher by multiples of 0x100 */

static void cpuid(u32 leaf, u32 r[4])
{
	asm volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(0));
}

/* fill_hypercall_page has Xen write the page; after a move to another processor
   it may have to be a different one. Source: arch-x86/cpuid.h. */
static void fill_hypercall_page(void)
{
	u32 r[4];
	for (u32 leaf = LEAF; leaf < LEAF + 0x10000; leaf += 0x100) {
		cpuid(leaf, r);
		if (r[1] != 0x566e6558 || r[2] != 0x65584d4d || r[3] != 0x4d4d566e) /* XenVMMXenVMM */
			continue;
		cpuid(leaf + 2, r);
		asm volatile("wrmsr" ::"a"((u32)(u64)hypercall_page), "d"(0), "c"(r[1]) : "memory");
		return;
	}
}

static u64 param(u32 index)
{
	struct hvm_param p = {.domid = DOMID_SELF, .index = index};
	HYPERCALL(HVM_OP, HVMOP_GET_PARAM, &p, 0, 0);
	return p.value;
}

static void connect(void)
{
	fill_hypercall_page();
	struct add_to_physmap at = {.domid = DOMID_SELF, .gpfn = SHARED_PFN};
	HYPERCALL(MEMORY_OP, ADD_TO_PHYSMAP, &at, 0, 0);
	shared = (void *)(SHARED_PFN * PAGE);
	struct hvm_param irq = {.domid = DOMID_SELF, .index = PARAM_CALLBACK_IRQ, .value = 2UL << 56 | UPCALL_VECTOR};
	HYPERCALL(HVM_OP, HVMOP_SET_PARAM, &irq, 0, 0);
	console = (void *)(param(PARAM_CONSOLE_PFN) * PAGE);
	store = (void *)(param(PARAM_STORE_PFN) * PAGE);
	console_port = (u32)param(PARAM_CONSOLE_PORT);
	store_port = (u32)param(PARAM_STORE_PORT);
}

static void set_traps(void)
{
	static struct {
		u16 low, cs, kind, middle;
		u32 high, zero;
	} gates[UPCALL_VECTOR + 1];
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) idt = {sizeof gates - 1, (u64)gates};
	for (u32 i = 0; i <= UPCALL_VECTOR; i++) {
		u64 to = i < 20 ? pvh_stubs[i] : i == UPCALL_VECTOR ? (u64)pvh_upcall : 0;
		gates[i].low = (u16)to;
		gates[i].cs = CODE_SEGMENT;
		gates[i].kind = to ? 0x8e00 : 0; /* present, interrupt gate */
		gates[i].middle = (u16)(to >> 16);
	}
	asm volatile("lidt %0" ::"m"(idt));
}

void pvh_start(struct hvm_start_info *hsi)
{
	platform = &pvh;
	if (hsi->cmd_line)
		memcpy(command_line, (void *)hsi->cmd_line, sizeof command_line - 1);
	set_traps();
	connect();

	struct e820 ram[32];
	struct memory_map map = {.entries = 32, .buffer = ram};
	HYPERCALL(MEMORY_OP, MEMORY_MAP, &map, 0, 0);
	for (u32 i = 0; i < map.entries; i++) {
		u64 end = (ram[i].start + ram[i].size) / PAGE;
		if (ram[i].type != 1 || end > SHARED_PFN)
			ram[i].type = 0; /* memory above 4 GiB is left alone */
		else
			owned_pages += ram[i].size / PAGE;
		if (ram[i].type && end > max_pages)
			max_pages = end;
	}
	u64 first = (u64)kernel_end / PAGE;
	pool_start(kernel_end);
	first += pool_size();
	for (u32 i = 0; i < map.entries; i++)
		if (ram[i].type) {
			u64 start = ram[i].start / PAGE, end = (ram[i].start + ram[i].size) / PAGE;
			if (start < 0x100)
				pool_add(start ? start : 1, end < 0x100 ? end : 0x100);
			pool_add(start > first ? start : first, end);
		}
	run();
}

static long suspend_pvh(void)
{
	u32 reason = SUSPEND;
	return HYPERCALL(SCHED_OP, SCHEDOP_SHUTDOWN, &reason, 0, 0);
}

static void drop(const u64 *pfns, u64 *frames, u64 n)
{
	memcpy(frames, pfns, n * sizeof *pfns);
}

static void add(const u64 *pfns, const u64 *frames, u64 n)
{
	(void)pfns, (void)frames, (void)n; /* they are where they were asked for */
}

const struct platform pvh = {"pvh", connect, pvh_block, suspend_pvh, drop, add};
