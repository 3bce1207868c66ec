/* The kernel as a PV guest. Page p is at virtual address p * 4096; the kernel
   keeps the list of its frames (p2m) for whoever saves it. */
#include "mini.h"

extern char pv_upcall[], pv_failsafe[];
extern u64 pv_stubs[];
void pv_start(struct start_info *si) __attribute__((noreturn));

static struct start_info *si;
static u64 *p2m;	  /* frame by page, in pages of its own */
static u64 *lists, *list; /* frames of list's pages; frames of p2m's pages */
static u64 next_page;	  /* of the memory not in use at boot */

static char shared_page[PAGE] __attribute__((aligned(4096))); /* Xen's is mapped over it */

#define M2P ((const u64 *)0xffff800000000000UL)
#define FRAME(pte) ((pte) >> 12 & 0xffffffffffUL)
#define ENTRIES 512UL
#define KERNEL_CS 0xe033

static u64 *table(u64 pte)
{
	return (u64 *)(M2P[FRAME(pte)] * PAGE);
}

/* slot returns where the entry of level 1 to 3 for a page is, or 0 when a table
   above it is missing. */
static u64 *slot(u64 pfn, int level)
{
	u64 *t = (u64 *)si->pt_base;
	for (int l = 4; l > level; l--) {
		u64 pte = t[pfn >> 9 * (l - 1) & (ENTRIES - 1)];
		if (!(pte & PTE_PRESENT))
			return 0;
		t = table(pte);
	}
	return &t[pfn >> 9 * (level - 1) & (ENTRIES - 1)];
}

static void must(long result, const char *what)
{
	if (result < 0) {
		print("goxl-guest: %s: error %lu\n", what, (u64)-result);
		leave(CRASH);
	}
}

static u64 machine(const void *at)
{
	u64 va = (u64)at;
	return p2m[va / PAGE] * PAGE + va % PAGE;
}

static void set_entry(u64 *at, u64 value)
{
	struct mmu_update u = {.ptr = machine(at), .val = value};
	must(HYPERCALL(MMU_UPDATE, &u, 1, 0, DOMID_SELF), "change a page table");
}

static void map(u64 va, u64 pte)
{
	must(HYPERCALL(UPDATE_VA_MAPPING, va, pte, UVMF_INVLPG, 0), "map a page");
}

static u64 pte_of(u64 frame)
{
	return frame << 12 | PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY;
}

/* take_pages returns cleared pages that follow each other. */
static void *take_pages(u64 n)
{
	u64 at = next_page * PAGE;
	next_page += n;
	return memset((void *)at, 0, n * PAGE);
}

/* add_table makes a page a table, which Xen takes only when nobody can write it. */
static void add_table(u64 *above, u64 *t)
{
	u64 frame = p2m[(u64)t / PAGE];
	map((u64)t, pte_of(frame) & ~(u64)PTE_WRITE);
	set_entry(above, pte_of(frame));
}

/* map_all extends the first mapping to all pages, those that may come later too. */
static void map_all(void)
{
	u64 have = si->nr_pages;
	for (u64 pfn = 0; pfn < max_pages; pfn++) {
		if (!slot(pfn, 2))
			add_table(slot(pfn, 3), take_pages(1));
		u64 *at = slot(pfn, 1);
		if (at && pfn < have && !(*at & PTE_PRESENT))
			set_entry(at, pte_of(p2m[pfn]));
		if (at)
			continue;
		u64 *t = take_pages(1);
		for (u64 i = 0; i < ENTRIES && pfn + i < have; i++)
			t[i] = pte_of(p2m[pfn + i]);
		add_table(slot(pfn, 2), t);
	}
}

/* publish tells where the list of frames is, for whoever saves the guest. */
static void publish(void)
{
	u64 pages = (max_pages + ENTRIES - 1) / ENTRIES;
	for (u64 i = 0; i < pages; i++)
		list[i] = p2m[(u64)p2m / PAGE + i];
	for (u64 i = 0; i * ENTRIES < pages; i++)
		lists[i] = p2m[(u64)list / PAGE + i];
	shared->max_pfn = max_pages;
	shared->frame_lists = p2m[(u64)lists / PAGE];
}

static void own_p2m(void)
{
	u64 pages = (max_pages + ENTRIES - 1) / ENTRIES;
	u64 *mine = take_pages(pages);
	list = take_pages((pages + ENTRIES - 1) / ENTRIES);
	lists = take_pages(1);
	for (u64 i = 0; i < pages * ENTRIES; i++)
		mine[i] = i < si->nr_pages ? p2m[i] : INVALID_MFN;
	p2m = mine;
}

/* limit returns how many pages the guest may come to have. Tables for them take
   memory now, so that it cannot be more than a multiple of what there is. */
static u64 limit(void)
{
	struct e820 ram[8];
	struct memory_map map = {.entries = 8, .buffer = ram};
	u64 most = si->nr_pages, top = most * 8;
	if (HYPERCALL(MEMORY_OP, MEMORY_MAP, &map, 0, 0) == 0)
		for (u32 i = 0; i < map.entries; i++)
			if (ram[i].type == 1 && (ram[i].start + ram[i].size) / PAGE > most)
				most = (ram[i].start + ram[i].size) / PAGE;
	return most < top ? most : top;
}

static void connect(void)
{
	map((u64)shared_page, pte_of(si->shared_info / PAGE));
	shared = (void *)shared_page;
	shared->vcpu[0].upcall_mask = 1;
	console = (void *)(M2P[si->console_mfn] * PAGE);
	store = (void *)(M2P[si->store_mfn] * PAGE);
	console_port = si->console_port;
	store_port = si->store_port;
	if (lists)
		publish();
}

static void set_traps(void)
{
	static struct trap_info traps[21];
	for (u32 i = 0; i < 20; i++)
		traps[i] = (struct trap_info){.vector = (u8)i, .cs = KERNEL_CS, .address = pv_stubs[i]};
	HYPERCALL(SET_TRAP_TABLE, traps, 0, 0, 0);
	HYPERCALL(SET_CALLBACKS, pv_upcall, pv_failsafe, 0, 0);
}

void pv_start(struct start_info *start)
{
	si = start;
	platform = &pv;
	memcpy(command_line, si->cmd_line, sizeof command_line - 1);
	p2m = (u64 *)si->mfn_list;
	next_page = si->pt_base / PAGE + si->nr_pt_frames;
	set_traps();
	connect();
	owned_pages = si->nr_pages;
	max_pages = limit();
	map_all();
	own_p2m();
	publish();
	pool_start(take_pages(pool_size()));
	pool_add(1, (u64)0x100000 / PAGE);
	pool_add(next_page, si->nr_pages);
	run();
}

static void wait(void)
{
	HYPERCALL(SCHED_OP, SCHEDOP_BLOCK, 0, 0, 0);
	shared->vcpu[0].upcall_mask = 1; /* also when no event was delivered */
}

/* suspend gives start_info's frames as page numbers, which the restorer turns
   into the new ones; the shared info, which is Xen's page, must not be mapped. */
static long suspend_pv(void)
{
	u32 reason = SUSPEND;
	si->store_mfn = M2P[si->store_mfn];
	si->console_mfn = M2P[si->console_mfn];
	map((u64)shared_page, pte_of(p2m[(u64)shared_page / PAGE]));
	memset(shared_page, 0, PAGE);
	long result = HYPERCALL(SCHED_OP, SCHEDOP_SHUTDOWN, &reason, p2m[(u64)si / PAGE], 0);
	if (result != 0) { /* nobody has rewritten start_info */
		si->store_mfn = p2m[si->store_mfn];
		si->console_mfn = p2m[si->console_mfn];
	}
	return result;
}

/* set_pages gives entries of level 1 their values, many in one call. */
static void set_pages(const u64 *pfns, const u64 *ptes, u64 n)
{
	static struct mmu_update updates[BATCH];
	u64 done = 0;
	for (; done < n; done++)
		updates[done] = (struct mmu_update){.ptr = machine(slot(pfns[done], 1)), .val = ptes[done]};
	must(HYPERCALL(MMU_UPDATE, updates, n, 0, DOMID_SELF), "change mappings");
}

static u64 ptes[BATCH];

static void drop(const u64 *pfns, u64 *frames, u64 n)
{
	for (u64 i = 0; i < n; i++) {
		frames[i] = p2m[pfns[i]];
		p2m[pfns[i]] = INVALID_MFN;
		ptes[i] = 0;
	}
	set_pages(pfns, ptes, n);
	struct mmuext_op flush = {.cmd = MMUEXT_TLB_FLUSH_LOCAL};
	must(HYPERCALL(MMUEXT_OP, &flush, 1, 0, DOMID_SELF), "flush");
}

static void add(const u64 *pfns, const u64 *frames, u64 n)
{
	for (u64 i = 0; i < n; i++) {
		p2m[pfns[i]] = frames[i];
		ptes[i] = pte_of(frames[i]);
	}
	set_pages(pfns, ptes, n);
}

const struct platform pv = {"pv", connect, wait, suspend_pv, drop, add};
