/*
 * Prints the bytes of Xen's interface structures as a C compiler lays them out:
 * every field has a value of its own, so that a swapped, missing or resized one
 * shows. The same values stand in golden_test.go.
 *
 * Compiled by main.go with -I on a folder whose xen-public is Xen's public headers.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define __XEN_TOOLS__ 1
#define __XEN_INTERFACE_VERSION__ 0x00040e00
#include "xen-public/xen.h"
#include "xen-public/domctl.h"
#include "xen-public/sysctl.h"
#include "xen-public/memory.h"
#include "xen-public/event_channel.h"
#include "xen-public/grant_table.h"
#include "xen-public/physdev.h"
#include "xen-public/sched.h"
#include "xen-public/version.h"
#include "xen-public/features.h"
#include "xen-public/hypfs.h"
#include "xen-public/platform.h"
#include "xen-public/hvm/params.h"
#include "xen-public/hvm/hvm_op.h"
#include "xen-public/hvm/dm_op.h"
#include "xen-public/hvm/save.h"
#include "xen-public/arch-x86/hvm/start_info.h"

#define DOMCTL XEN_DOMCTL_INTERFACE_VERSION
#define SYSCTL XEN_SYSCTL_INTERFACE_VERSION

#define V8(n)  ((uint8_t)(0x30 + (n)))
#define V16(n) ((uint16_t)(0x2100 + (n)))
#define V32(n) ((uint32_t)(0x0d0c0b00u + (n)))
#define V64(n) ((uint64_t)(0x1716151413121100ull + (n)))

/* Handles are structures around a pointer; the bytes are its address. */
#define HANDLE(field, n) do { uint64_t a = V64(n); memcpy(&(field), &a, 8); } while (0)

#define BEGIN(label, type) { const char *name = label; type s; memset(&s, 0, sizeof(s));
#define END dump(name, &s, sizeof(s)); }
#define NUMBER(c) printf("%s = %llu\n", #c, (unsigned long long)(c))
#define OFFSET(t, f) printf("offset %s.%s = %zu\n", #t, #f, offsetof(struct t, f))
#define SIZE(t) printf("size %s = %zu\n", #t, sizeof(struct t))

static void dump(const char *name, const void *p, size_t n)
{
    const unsigned char *b = p;
    printf("%s ", name);
    for (size_t i = 0; i < n; i++)
        printf("%02x", b[i]);
    printf("\n");
}

static void fill(void *p, int n, size_t size)
{
    unsigned char *b = p;
    for (size_t i = 0; i < size; i++)
        b[i] = n + i;
}

static void domctl_create(void)
{
    BEGIN("createdomain", struct xen_domctl_createdomain)
        s.ssidref = V32(1);
        fill(&s.handle, 0x40, 16);
        s.flags = V32(2);
        s.iommu_opts = V32(3);
        s.max_vcpus = V32(4);
        s.max_evtchn_port = V32(5);
        s.max_grant_frames = V32(6);
        s.max_maptrack_frames = V32(7);
        s.arch.emulation_flags = V32(8);
#if DOMCTL >= 0x13
        s.vmtrace_size = V32(9);
        s.arch.misc_flags = V32(10);
#endif
#if DOMCTL >= 0x14
        s.grant_opts = V32(11);
#endif
#if DOMCTL >= 0x15
        s.cpupool_id = V32(12);
#endif
#if DOMCTL >= 0x17
#if XEN_MINOR >= 21
        s.altp2m.opts = V16(13);
        s.altp2m.nr = V16(14);
#else
        s.altp2m_opts = V16(13);
#endif
#endif
    END
    BEGIN("getdomaininfo", struct xen_domctl_getdomaininfo)
        s.domain = V16(1);
        s.flags = V32(2);
        s.tot_pages = V64(3);
        s.max_pages = V64(4);
        s.outstanding_pages = V64(5);
        s.shr_pages = V64(6);
        s.paged_pages = V64(7);
        s.shared_info_frame = V64(8);
        s.cpu_time = V64(9);
        s.nr_online_vcpus = V32(10);
        s.max_vcpu_id = V32(11);
        s.ssidref = V32(12);
        fill(&s.handle, 0x50, 16);
        s.cpupool = V32(13);
        s.arch_config.emulation_flags = V32(14);
#if DOMCTL >= 0x13
        s.arch_config.misc_flags = V32(15);
#endif
#if DOMCTL >= 0x14
        s.gpaddr_bits = V8(16);
#endif
    END
}

static void domctl_vcpu(void)
{
    BEGIN("vcpucontext", struct xen_domctl_vcpucontext)
        s.vcpu = V32(1); HANDLE(s.ctxt, 2);
    END
    BEGIN("getvcpuinfo", struct xen_domctl_getvcpuinfo)
        s.vcpu = V32(1); s.online = 1; s.blocked = 0; s.running = 1;
        s.cpu_time = V64(2); s.cpu = V32(3);
    END
    BEGIN("vcpuaffinity", struct xen_domctl_vcpuaffinity)
        s.vcpu = V32(1); s.flags = V32(2);
        HANDLE(s.cpumap_hard.bitmap, 3); s.cpumap_hard.nr_bits = V32(5);
        HANDLE(s.cpumap_soft.bitmap, 4); s.cpumap_soft.nr_bits = V32(5);
    END
    BEGIN("nodeaffinity", struct xen_domctl_nodeaffinity)
        HANDLE(s.nodemap.bitmap, 1); s.nodemap.nr_bits = V32(2);
    END
    BEGIN("ext_vcpucontext", struct xen_domctl_ext_vcpucontext)
        s.vcpu = V32(1);
    END
    BEGIN("ext_vcpucontext_size", struct xen_domctl_ext_vcpucontext)
        s.size = V32(2);
    END
    BEGIN("vcpuextstate", struct xen_domctl_vcpuextstate)
        s.vcpu = V32(1); s.xfeature_mask = V64(2); s.size = V64(3); HANDLE(s.buffer, 4);
    END
    BEGIN("vcpu_msrs", struct xen_domctl_vcpu_msrs)
        s.vcpu = V32(1); s.msr_count = V32(2); HANDLE(s.msrs, 3);
    END
    BEGIN("vcpu_msr", struct xen_domctl_vcpu_msr)
        s.index = V32(1); s.value = V64(2);
    END
}

static void domctl_param(void)
{
    BEGIN("max_mem", struct xen_domctl_max_mem) s.max_memkb = V64(1); END
    BEGIN("max_vcpus", struct xen_domctl_max_vcpus) s.max = V32(1); END
    BEGIN("address_size", struct xen_domctl_address_size) s.size = V32(1); END
    BEGIN("hypercall_init", struct xen_domctl_hypercall_init) s.gmfn = V64(1); END
    BEGIN("settimeoffset", struct xen_domctl_settimeoffset) s.time_offset_seconds = V64(1); END
    BEGIN("setdomainhandle", struct xen_domctl_setdomainhandle) fill(&s.handle, 0x60, 16); END
    BEGIN("setdebugging", struct xen_domctl_setdebugging) s.enable = 1; END
    BEGIN("sendtrigger", struct xen_domctl_sendtrigger) s.trigger = V32(1); s.vcpu = V32(2); END
    BEGIN("subscribe", struct xen_domctl_subscribe) s.port = V32(1); END
    BEGIN("set_target", struct xen_domctl_set_target) s.target = V16(1); END
    BEGIN("set_virq_handler", struct xen_domctl_set_virq_handler) s.virq = V32(1); END
    BEGIN("set_access_required", struct xen_domctl_set_access_required) s.access_required = 1; END
    BEGIN("tsc_info", struct xen_domctl_tsc_info)
        s.tsc_mode = V32(1); s.gtsc_khz = V32(2); s.incarnation = V32(3); s.elapsed_nsec = V64(4);
    END
#if DOMCTL >= 0x15
    BEGIN("paging_mempool", struct xen_domctl_paging_mempool) s.size = V64(1); END
#endif
    BEGIN("hvmcontext", struct xen_domctl_hvmcontext) s.size = V32(1); HANDLE(s.buffer, 2); END
    BEGIN("hvmcontext_partial", struct xen_domctl_hvmcontext_partial)
        s.type = V32(1); s.instance = V32(2); s.bufsz = V64(3); HANDLE(s.buffer, 4);
    END
    BEGIN("vnuma", struct xen_domctl_vnuma)
        s.nr_vnodes = V32(1); s.nr_vmemranges = V32(2); s.nr_vcpus = V32(3);
        HANDLE(s.vdistance, 4); HANDLE(s.vcpu_to_vnode, 5); HANDLE(s.vnode_to_pnode, 6); HANDLE(s.vmemrange, 7);
    END
    BEGIN("vmemrange", struct xen_vmemrange)
        s.start = V64(1); s.end = V64(2); s.flags = V32(3); s.nid = V32(4);
    END
    BEGIN("shadow_op", struct xen_domctl_shadow_op)
        s.op = V32(1); s.mode = V32(2); s.mb = V32(3); HANDLE(s.dirty_bitmap, 4); s.pages = V64(5);
        s.stats.fault_count = V32(6); s.stats.dirty_count = V32(7);
    END
    BEGIN("getpageframeinfo3", struct xen_domctl_getpageframeinfo3) s.num = V64(1); HANDLE(s.array, 2); END
#if defined(XEN_DOMCTL_get_domain_state)
    BEGIN("get_domain_state", struct xen_domctl_get_domain_state)
        s.state = V16(1); s.caps = V16(2); s.unique_id = V64(3);
    END
#endif
}

static void domctl_policy(void)
{
    BEGIN("cpu_policy", struct xen_domctl_cpu_policy)
        s.nr_leaves = V32(1); s.nr_msrs = V32(2); HANDLE(s.leaves, 3); HANDLE(s.msrs, 4);
    END
    BEGIN("cpu_policy_answer", struct xen_domctl_cpu_policy)
        s.nr_leaves = V32(1); s.nr_msrs = V32(2); s.err_leaf = V32(5); s.err_subleaf = V32(6); s.err_msr = V32(7);
    END
    BEGIN("cpuid_leaf", xen_cpuid_leaf_t)
        s.leaf = V32(1); s.subleaf = V32(2); s.a = V32(3); s.b = V32(4); s.c = V32(5); s.d = V32(6);
    END
    BEGIN("msr_entry", xen_msr_entry_t) s.idx = V32(1); s.flags = V32(2); s.val = V64(3); END
    BEGIN("sysctl_cpu_policy", struct xen_sysctl_cpu_policy)
        s.index = V32(1); s.nr_leaves = V32(2); s.nr_msrs = V32(3); HANDLE(s.leaves, 4); HANDLE(s.msrs, 5);
    END
    BEGIN("cpu_featureset", struct xen_sysctl_cpu_featureset)
        s.index = V32(1); s.nr_features = V32(2); HANDLE(s.features, 3);
    END
#if SYSCTL < 0x16 || defined(XEN_SYSCTL_get_cpu_levelling_caps)
    BEGIN("cpu_levelling_caps", struct xen_sysctl_cpu_levelling_caps) s.caps = V32(1); END
#endif
}

static void scheduling(void)
{
    BEGIN("scheduler_credit2", struct xen_domctl_scheduler_op)
        s.sched_id = XEN_SCHEDULER_CREDIT2; s.cmd = V32(1); s.u.credit2.weight = V16(2); s.u.credit2.cap = V16(3);
    END
    BEGIN("scheduler_credit", struct xen_domctl_scheduler_op)
        s.sched_id = XEN_SCHEDULER_CREDIT; s.cmd = V32(1); s.u.credit.weight = V16(2); s.u.credit.cap = V16(3);
    END
    BEGIN("scheduler_rtds", struct xen_domctl_scheduler_op)
        s.sched_id = XEN_SCHEDULER_RTDS; s.cmd = V32(1);
        s.u.rtds.period = V32(2); s.u.rtds.budget = V32(3); s.u.rtds.flags = V32(4);
    END
    BEGIN("scheduler_vcpus", struct xen_domctl_scheduler_op)
        s.sched_id = XEN_SCHEDULER_RTDS; s.cmd = V32(1); HANDLE(s.u.v.vcpus, 2); s.u.v.nr_vcpus = V32(3);
    END
    BEGIN("schedparam_vcpu", struct xen_domctl_schedparam_vcpu)
        s.u.rtds.period = V32(1); s.u.rtds.budget = V32(2); s.u.rtds.flags = V32(3); s.vcpuid = V32(4);
    END
    BEGIN("pool_credit", struct xen_sysctl_scheduler_op)
        s.cpupool_id = V32(1); s.sched_id = XEN_SCHEDULER_CREDIT; s.cmd = V32(2);
        s.u.sched_credit.tslice_ms = V32(3); s.u.sched_credit.ratelimit_us = V32(4);
        s.u.sched_credit.vcpu_migr_delay_us = V32(5);
    END
    BEGIN("pool_credit2", struct xen_sysctl_scheduler_op)
        s.cpupool_id = V32(1); s.sched_id = XEN_SCHEDULER_CREDIT2; s.cmd = V32(2);
        s.u.sched_credit2.ratelimit_us = V32(3);
    END
    BEGIN("cpupool_op", struct xen_sysctl_cpupool_op)
        s.op = V32(1); s.cpupool_id = V32(2); s.sched_id = V32(3); s.domid = V32(4); s.cpu = V32(5); s.n_dom = V32(6);
        HANDLE(s.cpumap.bitmap, 7); s.cpumap.nr_bits = V32(8);
    END
}

static void permissions(void)
{
    BEGIN("irq_permission", struct xen_domctl_irq_permission) s.pirq = V8(1); s.allow_access = 1; END
#ifdef XEN_DOMCTL_gsi_permission
    BEGIN("gsi_permission", struct xen_domctl_gsi_permission) s.gsi = V32(1); s.flags = 1; END
#endif
    BEGIN("iomem_permission", struct xen_domctl_iomem_permission)
        s.first_mfn = V64(1); s.nr_mfns = V64(2); s.allow_access = 1;
    END
    BEGIN("ioport_permission", struct xen_domctl_ioport_permission)
        s.first_port = V32(1); s.nr_ports = V32(2); s.allow_access = 1;
    END
    BEGIN("memory_mapping", struct xen_domctl_memory_mapping)
        s.first_gfn = V64(1); s.first_mfn = V64(2); s.nr_mfns = V64(3); s.add_mapping = 1;
    END
    BEGIN("ioport_mapping", struct xen_domctl_ioport_mapping)
        s.first_gport = V32(1); s.first_mport = V32(2); s.nr_ports = V32(3); s.add_mapping = 1;
    END
    BEGIN("assign_device", struct xen_domctl_assign_device) s.flags = V32(1); s.u.pci.machine_sbdf = V32(2); END
}

static void host(void)
{
    BEGIN("getdomaininfolist", struct xen_sysctl_getdomaininfolist)
        s.first_domain = V16(1); s.max_domains = V32(2); HANDLE(s.buffer, 3);
    END
    BEGIN("getdomaininfolist_answer", struct xen_sysctl_getdomaininfolist) s.num_domains = V32(4); END
    BEGIN("physinfo", struct xen_sysctl_physinfo)
        s.threads_per_core = V32(1); s.cores_per_socket = V32(2); s.nr_cpus = V32(3); s.max_cpu_id = V32(4);
        s.nr_nodes = V32(5); s.max_node_id = V32(6); s.cpu_khz = V32(7); s.capabilities = V32(8);
#if SYSCTL >= 0x15
        s.arch_capabilities = V32(9);
#endif
        s.total_pages = V64(10); s.free_pages = V64(11); s.scrub_pages = V64(12); s.outstanding_pages = V64(13);
        s.max_mfn = V64(14);
        fill(&s.hw_cap, 0x70, 32);
    END
    BEGIN("readconsole", struct xen_sysctl_readconsole)
        s.clear = 1; s.incremental = 1; s.index = V32(1); HANDLE(s.buffer, 2); s.count = V32(3);
    END
    BEGIN("debug_keys", struct xen_sysctl_debug_keys) HANDLE(s.keys, 1); s.nr_keys = V32(2); END
    BEGIN("getcpuinfo", struct xen_sysctl_getcpuinfo) s.max_cpus = V32(1); HANDLE(s.info, 2); END
    BEGIN("getcpuinfo_answer", struct xen_sysctl_getcpuinfo) s.nr_cpus = V32(3); END
    BEGIN("cpuinfo", struct xen_sysctl_cpuinfo) s.idletime = V64(1); END
    BEGIN("availheap", struct xen_sysctl_availheap)
        s.min_bitwidth = V32(1); s.max_bitwidth = V32(2); s.node = V32(3);
    END
    BEGIN("availheap_answer", struct xen_sysctl_availheap) s.avail_bytes = V64(4); END
    BEGIN("cpu_hotplug", struct xen_sysctl_cpu_hotplug) s.cpu = V32(1); s.op = V32(2); END
    BEGIN("cputopoinfo", struct xen_sysctl_cputopoinfo) s.num_cpus = V32(1); HANDLE(s.cputopo, 2); END
    BEGIN("cputopo", struct xen_sysctl_cputopo) s.core = V32(1); s.socket = V32(2); s.node = V32(3); END
    BEGIN("numainfo", struct xen_sysctl_numainfo)
        s.num_nodes = V32(1); HANDLE(s.meminfo, 2); HANDLE(s.distance, 3);
    END
    BEGIN("meminfo", struct xen_sysctl_meminfo) s.memsize = V64(1); s.memfree = V64(2); END
    BEGIN("pcitopoinfo", struct xen_sysctl_pcitopoinfo)
        s.num_devs = V32(1); HANDLE(s.devs, 2); HANDLE(s.nodes, 3);
    END
    BEGIN("pci_device", struct physdev_pci_device) s.seg = V16(1); s.bus = V8(2); s.devfn = V8(3); END
    BEGIN("sched_id", struct xen_sysctl_sched_id) s.sched_id = V32(1); END
    BEGIN("domctl", struct xen_domctl)
        s.cmd = V32(1); s.interface_version = V32(2); s.domain = V16(3); s.u.max_mem.max_memkb = V64(4);
    END
    BEGIN("sysctl", struct xen_sysctl) s.cmd = V32(1); s.interface_version = V32(2); s.u.sched_id.sched_id = V32(3); END
    BEGIN("compile_info", struct xen_compile_info)
        strcpy(s.compiler, "gcc"); strcpy(s.compile_by, "me"); strcpy(s.compile_domain, "here"); strcpy(s.compile_date, "now");
    END
    BEGIN("hypfs_direntry", struct xen_hypfs_direntry)
        s.type = V8(1); s.encoding = V8(2); s.content_len = V32(3); s.max_write_len = V32(4);
    END
}

static void memory(void)
{
    BEGIN("reservation", struct xen_memory_reservation)
        HANDLE(s.extent_start, 1); s.nr_extents = V64(2); s.extent_order = V32(3); s.mem_flags = V32(4); s.domid = V16(5);
    END
    BEGIN("add_to_physmap", struct xen_add_to_physmap)
        s.domid = V16(1); s.size = V16(2); s.space = V32(3); s.idx = V64(4); s.gpfn = V64(5);
    END
    BEGIN("add_to_physmap_batch", struct xen_add_to_physmap_batch)
        s.domid = V16(1); s.space = V16(2); s.size = V16(3); s.u.foreign_domid = V16(4);
        HANDLE(s.idxs, 5); HANDLE(s.gpfns, 6); HANDLE(s.errs, 7);
    END
    BEGIN("remove_from_physmap", struct xen_remove_from_physmap) s.domid = V16(1); s.gpfn = V64(2); END
    BEGIN("memory_map", struct xen_memory_map) s.nr_entries = V32(1); HANDLE(s.buffer, 2); END
    BEGIN("foreign_memory_map", struct xen_foreign_memory_map)
        s.domid = V16(1); s.map.nr_entries = V32(2); HANDLE(s.map.buffer, 3);
    END
    BEGIN("pod_target", struct xen_pod_target) s.target_pages = V64(1); s.domid = V16(2); END
    BEGIN("pod_target_answer", struct xen_pod_target)
        s.target_pages = V64(1); s.tot_pages = V64(2); s.pod_cache_pages = V64(3); s.pod_entries = V64(4);
    END
    BEGIN("machphys_mfn_list", struct xen_machphys_mfn_list) s.max_extents = V32(1); HANDLE(s.extent_start, 2); END
    BEGIN("machphys_mfn_list_answer", struct xen_machphys_mfn_list) s.nr_extents = V32(3); END
    BEGIN("reserved_device_memory_map", struct xen_reserved_device_memory_map)
        s.flags = V32(1); s.nr_entries = V32(2); HANDLE(s.buffer, 3);
        s.dev.pci.seg = V16(4); s.dev.pci.bus = V8(5); s.dev.pci.devfn = V8(6);
    END
    BEGIN("reserved_device_memory", struct xen_reserved_device_memory) s.start_pfn = V64(1); s.nr_pages = V64(2); END
    BEGIN("acquire_resource", struct xen_mem_acquire_resource)
        s.domid = V16(1); s.type = V16(2); s.id = V32(3); s.nr_frames = V32(4); s.frame = V64(5); HANDLE(s.frame_list, 6);
    END
}

static void small(void)
{
    BEGIN("mmuext_op", struct mmuext_op) s.cmd = V32(1); s.arg1.mfn = V64(2); s.arg2.src_mfn = V64(3); END
    BEGIN("mmu_update", struct mmu_update) s.ptr = V64(1); s.val = V64(2); END
    BEGIN("evtchn_alloc_unbound", struct evtchn_alloc_unbound) s.dom = V16(1); s.remote_dom = V16(2); END
    BEGIN("evtchn_alloc_unbound_answer", struct evtchn_alloc_unbound) s.port = V32(3); END
    BEGIN("evtchn_close", struct evtchn_close) s.port = V32(1); END
    BEGIN("evtchn_send", struct evtchn_send) s.port = V32(1); END
    BEGIN("evtchn_reset", struct evtchn_reset) s.dom = V16(1); END
    BEGIN("evtchn_status", struct evtchn_status) s.dom = V16(1); s.port = V32(2); END
    BEGIN("evtchn_status_answer", struct evtchn_status)
        s.status = EVTCHNSTAT_interdomain; s.vcpu = V32(3); s.u.interdomain.dom = V16(4); s.u.interdomain.port = V32(5);
    END
    BEGIN("evtchn_status_unbound", struct evtchn_status)
        s.status = EVTCHNSTAT_unbound; s.vcpu = V32(3); s.u.unbound.dom = V16(4);
    END
    BEGIN("hvm_param", struct xen_hvm_param) s.domid = V16(1); s.index = V32(2); s.value = V64(3); END
    BEGIN("remote_shutdown", struct sched_remote_shutdown) s.domain_id = V16(1); s.reason = 5; END
    BEGIN("gnttab_setup_table", struct gnttab_setup_table)
        s.dom = V16(1); s.nr_frames = V32(2); HANDLE(s.frame_list, 3);
    END
    BEGIN("gnttab_setup_table_answer", struct gnttab_setup_table) s.status = -2; END
    BEGIN("gnttab_query_size", struct gnttab_query_size) s.dom = V16(1); END
    BEGIN("gnttab_query_size_answer", struct gnttab_query_size)
        s.nr_frames = V32(2); s.max_nr_frames = V32(3); s.status = -3;
    END
    BEGIN("gnttab_get_version", struct gnttab_get_version) s.dom = V16(1); END
    BEGIN("gnttab_get_version_answer", struct gnttab_get_version) s.version = V32(2); END
    BEGIN("grant_entry_v1", struct grant_entry_v1) s.flags = V16(1); s.domid = V16(2); s.frame = V32(3); END
    BEGIN("map_pirq", struct physdev_map_pirq) s.domid = V16(1); s.type = V32(2); s.index = V32(3); s.pirq = V32(4); END
    BEGIN("unmap_pirq", struct physdev_unmap_pirq) s.domid = V16(1); s.pirq = V32(2); END
    BEGIN("setup_gsi", struct physdev_setup_gsi) s.gsi = V32(1); s.triggering = V8(2); s.polarity = V8(3); END
    BEGIN("dm_modified_memory", struct xen_dm_op)
        s.op = XEN_DMOP_modified_memory; s.u.modified_memory.nr_extents = V32(1);
    END
    BEGIN("dm_extent", struct xen_dm_op_modified_memory_extent) s.nr = V32(1); s.first_pfn = V64(2); END
    BEGIN("dm_pin_memory_cacheattr", struct xen_dm_op)
        s.op = XEN_DMOP_pin_memory_cacheattr;
        s.u.pin_memory_cacheattr.start = V64(1); s.u.pin_memory_cacheattr.end = V64(2); s.u.pin_memory_cacheattr.type = V32(3);
    END
    BEGIN("dm_remote_shutdown", struct xen_dm_op)
        s.op = XEN_DMOP_remote_shutdown; s.u.remote_shutdown.reason = 3;
    END
}

#include "numbers.c"

int main(void)
{
    domctl_create();
    domctl_vcpu();
    domctl_param();
    domctl_policy();
    scheduling();
    permissions();
    host();
    memory();
    small();
    numbers();
    return 0;
}
