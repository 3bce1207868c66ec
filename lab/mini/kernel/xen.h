/* What the kernel needs of Xen's interface. Sources: xen/include/public/xen.h,
   arch-x86/xen.h, arch-x86/xen-x86_64.h, event_channel.h, memory.h, sched.h,
   vcpu.h, hvm/params.h, io/console.h, io/xs_wire.h. */
#ifndef XEN_H
#define XEN_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

#define PAGE 4096UL
#define DOMID_SELF 0x7ff0
#define INVALID_MFN (~0UL)

enum { /* hypercalls */
	SET_TRAP_TABLE = 0, MMU_UPDATE = 1, SET_CALLBACKS = 4, MEMORY_OP = 12,
	UPDATE_VA_MAPPING = 14, VCPU_OP = 24, MMUEXT_OP = 26, SCHED_OP = 29, EVENT_CHANNEL_OP = 32, HVM_OP = 34,
};
enum { SCHEDOP_BLOCK = 1, SCHEDOP_SHUTDOWN = 2 };
enum { POWEROFF, REBOOT, SUSPEND, CRASH, WATCHDOG, SOFT_RESET }; /* SHUTDOWN_… */
enum { EVTCHNOP_BIND_VIRQ = 1, EVTCHNOP_SEND = 4, EVTCHNOP_UNMASK = 9 };
enum { VIRQ_TIMER = 0 };
enum { VCPUOP_STOP_PERIODIC_TIMER = 7, VCPUOP_SET_SINGLESHOT_TIMER = 8 };
enum { DECREASE_RESERVATION = 1, POPULATE_PHYSMAP = 6, ADD_TO_PHYSMAP = 7, MEMORY_MAP = 9 };
enum { HVMOP_SET_PARAM, HVMOP_GET_PARAM };
enum { PARAM_CALLBACK_IRQ = 0, PARAM_STORE_PFN = 1, PARAM_STORE_PORT = 2, PARAM_CONSOLE_PFN = 17, PARAM_CONSOLE_PORT = 18 };
enum { UVMF_INVLPG = 2 };
enum { MMUEXT_TLB_FLUSH_LOCAL = 6 };
enum { PTE_PRESENT = 1, PTE_WRITE = 2, PTE_USER = 4, PTE_ACCESSED = 32, PTE_DIRTY = 64 };

#define AT(type, field, offset) _Static_assert(__builtin_offsetof(type, field) == (offset), #field)

struct vcpu_time {
	u32 version, pad;
	u64 tsc, system;
	u32 mul;
	signed char shift;
	u8 flags, pad1[2];
};
struct vcpu_info {
	u8 upcall_pending, upcall_mask, pad[6];
	u64 pending_sel, cr2, pad1;
	struct vcpu_time time;
};
struct shared_info {
	struct vcpu_info vcpu[32];
	u64 pending[64], mask[64];
	u32 wc_version, wc_sec, wc_nsec, wc_sec_hi;
	u64 max_pfn, frame_lists, nmi_reason, p2m_cr3, p2m_vaddr, p2m_generation;
};
AT(struct shared_info, pending, 2048);
AT(struct shared_info, wc_version, 3072);
AT(struct shared_info, p2m_generation, 3128);

struct start_info {
	char magic[32];
	u64 nr_pages, shared_info;
	u32 flags, pad;
	u64 store_mfn;
	u32 store_port, pad1;
	u64 console_mfn;
	u32 console_port, pad2;
	u64 pt_base, nr_pt_frames, mfn_list, mod_start, mod_len;
	char cmd_line[1024];
};
AT(struct start_info, store_port, 64);
AT(struct start_info, cmd_line, 128);

struct hvm_start_info {
	u32 magic, version, flags, nr_modules;
	u64 modules, cmd_line, rsdp;
};

struct console_ring {
	char in[1024], out[2048];
	u32 in_cons, in_prod, out_cons, out_prod;
};
struct store_ring {
	char req[1024], rsp[1024];
	u32 req_cons, req_prod, rsp_cons, rsp_prod;
};
struct store_header {
	u32 type, id, tx, len;
};
enum { XS_READ = 2, XS_WATCH = 4, XS_BEGIN = 6, XS_END = 7, XS_WRITE = 11, XS_EVENT = 15, XS_ERROR = 16 };

struct trap_info {
	u8 vector, flags;
	u16 cs;
	u64 address;
};
struct mmu_update {
	u64 ptr, val;
};
struct mmuext_op {
	u32 cmd, pad;
	u64 arg1, arg2;
};
struct reservation {
	u64 *extents, count;
	u32 order, flags;
	u16 domid;
};
struct add_to_physmap {
	u16 domid, size;
	u32 space;
	u64 idx, gpfn;
};
struct memory_map {
	u32 entries;
	void *buffer;
};
struct e820 {
	u64 start, size;
	u32 type;
} __attribute__((packed));
struct hvm_param {
	u16 domid, pad;
	u32 index;
	u64 value;
};
struct bind_virq {
	u32 virq, vcpu, port;
};
struct timer {
	u64 at;
	u32 flags;
};

extern char hypercall_page[];

static inline long hypercall(int number, u64 a, u64 b, u64 c, u64 d)
{
	register u64 r10 asm("r10") = d;
	long result;
	asm volatile("call *%[to]"
		     : "=a"(result), "+D"(a), "+S"(b), "+d"(c), "+r"(r10)
		     : [to] "r"(hypercall_page + number * 32)
		     : "memory", "rcx", "r8", "r9", "r11");
	return result;
}

#define HYPERCALL(number, a, b, c, d) hypercall(number, (u64)(a), (u64)(b), (u64)(c), (u64)(d))

/* barrier keeps the compiler from moving memory accesses; the processor keeps
   stores and loads in order as far as rings need it. fence orders all. */
#define barrier() asm volatile("" ::: "memory")
#define fence() asm volatile("mfence" ::: "memory")

#endif
