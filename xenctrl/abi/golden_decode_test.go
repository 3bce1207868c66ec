package abi

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// decoder reads a golden structure and says what it should have found.
type decoder struct {
	got  func([]byte) any
	want any
}

// decoders cover every structure that Xen writes.
func decoders() map[string]decoder {
	two := func(a, b any) any { return [2]any{a, b} }
	return map[string]decoder{
		"getvcpuinfo": {func(b []byte) any { return ParseVCPUInfo(b) },
			VCPUInfo{v32(1), true, false, true, time.Duration(v64(2)), v32(3)}},
		"ext_vcpucontext_size": {func(b []byte) any { return ExtVCPUContextLen(b) }, v32(2)},
		"vcpuextstate":         {func(b []byte) any { return two(ParseVCPUExtState(b)) }, two(v64(2), v64(3))},
		"vcpu_msrs":            {func(b []byte) any { return ParseVCPUMSRCount(b) }, v32(2)},
		"vcpu_msr":             {func(b []byte) any { return ParseVCPUMSR(b) }, VCPUMSR{v32(1), v64(2)}},
		"address_size":         {func(b []byte) any { return ParseAddressSize(b) }, v32(1)},
		"tsc_info":             {func(b []byte) any { return ParseTSCInfo(b) }, TSCInfo{v32(1), v32(2), v32(3), v64(4)}},
		"paging_mempool":       {func(b []byte) any { return ParsePagingMempool(b) }, v64(1)},
		"hvmcontext":           {func(b []byte) any { return ParseHVMContextSize(b) }, v32(1)},
		"hvmcontext_partial":   {func(b []byte) any { return ParseHVMContextPartialSize(b) }, v64(3)},
		"shadow_op": {func(b []byte) any { return ParseShadowOp(b) },
			ShadowOp{v32(1), v32(2), v32(3), v64(4), v64(5), v32(6), v32(7)}},
		"get_domain_state": {func(b []byte) any { return ParseDomainState(b) }, DomainState{0, v16(1), v16(2), v64(3)}},
		"cpu_policy_answer": {func(b []byte) any { return ParseCPUPolicy(b) },
			CPUPolicyAnswer{v32(1), v32(2), v32(5), v32(6), v32(7)}},
		"cpuid_leaf": {func(b []byte) any { return ParseCPUIDLeaf(b) },
			CPUIDLeaf{v32(1), v32(2), v32(3), v32(4), v32(5), v32(6)}},
		"msr_entry":          {func(b []byte) any { return ParsePolicyMSR(b) }, PolicyMSR{v32(1), v32(2), v64(3)}},
		"sysctl_cpu_policy":  {func(b []byte) any { return two(ParseSystemCPUPolicy(b)) }, two(v32(2), v32(3))},
		"cpu_featureset":     {func(b []byte) any { return ParseCPUFeatureSet(b) }, v32(2)},
		"cpu_levelling_caps": {func(b []byte) any { return ParseLevellingCaps(b) }, v32(1)},
		"scheduler_credit2": {func(b []byte) any { return ParseDomainSched(b, SchedCredit2) },
			SchedParams{Weight: v16(2), Cap: v16(3)}},
		"scheduler_rtds": {func(b []byte) any { return ParseDomainSched(b, SchedRTDS) },
			SchedParams{Period: v32(2), Budget: v32(3), Flags: v32(4)}},
		"schedparam_vcpu": {func(b []byte) any { return two(ParseSchedVCPU(b, SchedRTDS)) },
			two(v32(4), SchedParams{Period: v32(1), Budget: v32(2), Flags: v32(3)})},
		"pool_credit": {func(b []byte) any { return ParsePoolSched(b, SchedCredit) },
			PoolSchedParams{v32(3), v32(4), v32(5)}},
		"pool_credit2": {func(b []byte) any { return ParsePoolSched(b, SchedCredit2) }, PoolSchedParams{RatelimitUS: v32(3)}},
		"cpupool_op": {func(b []byte) any { return ParseCPUPoolOp(b) },
			CPUPoolOp{v32(1), v32(2), v32(3), v32(4), v32(5), v32(6), v64(7), v32(8)}},
		"getdomaininfolist_answer":    {func(b []byte) any { return ParseDomainInfoList(b) }, v32(4)},
		"readconsole":                 {func(b []byte) any { return two(ParseReadConsole(b)) }, two(v32(3), v32(1))},
		"getcpuinfo_answer":           {func(b []byte) any { return ParseCPUInfo(b) }, v32(3)},
		"cpuinfo":                     {func(b []byte) any { return ParseCPUIdle(b) }, time.Duration(v64(1))},
		"availheap_answer":            {func(b []byte) any { return ParseAvailHeap(b) }, v64(4)},
		"cputopoinfo":                 {func(b []byte) any { return ParseCount(b) }, v32(1)},
		"numainfo":                    {func(b []byte) any { return ParseCount(b) }, v32(1)},
		"pcitopoinfo":                 {func(b []byte) any { return ParseCount(b) }, v32(1)},
		"memory_map":                  {func(b []byte) any { return ParseCount(b) }, v32(1)},
		"cputopo":                     {func(b []byte) any { return ParseCPUTopology(b) }, CPUTopology{v32(1), v32(2), v32(3)}},
		"meminfo":                     {func(b []byte) any { return ParseNodeMemory(b) }, NodeMemory{v64(1), v64(2)}},
		"sched_id":                    {func(b []byte) any { return ParseSchedID(b) }, v32(1)},
		"compile_info":                {func(b []byte) any { return ParseCompileInfo(b) }, CompileInfo{"gcc", "me", "here", "now"}},
		"hypfs_direntry":              {func(b []byte) any { e, _ := ParseHypfsEntry(b); return e }, HypfsEntry{"", v8(1), v8(2), v32(3), v32(4)}},
		"pod_target_answer":           {func(b []byte) any { return ParsePODTarget(b) }, PODTarget{Pages(v64(1)), Pages(v64(2)), Pages(v64(3)), Pages(v64(4))}},
		"machphys_mfn_list_answer":    {func(b []byte) any { return ParseMachphysMFNList(b) }, v32(3)},
		"reserved_device_memory_map":  {func(b []byte) any { return ParseReservedDeviceMap(b) }, v32(2)},
		"reserved_device_memory":      {func(b []byte) any { return ParseReservedMemory(b) }, ReservedMemory{PFN(v64(1)), Pages(v64(2))}},
		"acquire_resource":            {func(b []byte) any { return ParseAcquireResource(b) }, v32(4)},
		"evtchn_alloc_unbound_answer": {func(b []byte) any { return ParseEvtchnAllocUnbound(b) }, Port(v32(3))},
		"evtchn_status_answer": {func(b []byte) any { return ParseEvtchnStatus(b) },
			EvtchnStatus{EvtchnInterdomain, v32(3), DomID(v16(4)), Port(v32(5)), 0}},
		"evtchn_status_unbound": {func(b []byte) any { return ParseEvtchnStatus(b) },
			EvtchnStatus{EvtchnUnbound, v32(3), DomID(v16(4)), 0, 0}},
		"hvm_param":                 {func(b []byte) any { return ParseHVMParam(b) }, v64(3)},
		"gnttab_setup_table_answer": {func(b []byte) any { return ParseGrantSetupTable(b) }, int16(GrantBadDomain)},
		"gnttab_query_size_answer": {func(b []byte) any { f, l, s := ParseGrantQuerySize(b); return [3]any{f, l, s} },
			[3]any{v32(2), v32(3), int16(GrantBadRef)}},
		"gnttab_get_version_answer": {func(b []byte) any { return ParseGrantGetVersion(b) }, v32(2)},
		"map_pirq":                  {func(b []byte) any { return ParseMapPIRQ(b) }, int32(v32(4))},
		// The headers around every domctl and sysctl: where cmd, version, domain and payload lie.
		"domctl": {func(b []byte) any {
			return [4]any{get32(b, 0), get32(b, 4), get16(b, 8), get64(b, DomctlArg)}
		}, [4]any{v32(1), v32(2), v16(3), v64(4)}},
		"sysctl": {func(b []byte) any { return [3]any{get32(b, 0), get32(b, 4), get32(b, SysctlArg)} },
			[3]any{v32(1), v32(2), v32(3)}},
	}
}

func TestGoldenDecoders(t *testing.T) {
	eachRelease(t, func(t *testing.T, g golden) {
		for name, d := range decoders() {
			b, ok := g.bytes[name]
			if !ok {
				continue // this release does not have it; coverage holds the reverse
			}
			if got := d.got(b); !reflect.DeepEqual(got, d.want) {
				t.Errorf("%s: got %+v, want %+v", name, got, d.want)
			}
		}
	})
}

func TestGoldenNumbers(t *testing.T) {
	eachRelease(t, func(t *testing.T, g golden) {
		for name, want := range ourNumbers(g.v) {
			if got, ok := g.numbers[name]; ok && got != want {
				t.Errorf("%s is %d in the headers, %d here", name, got, want)
			} else if !ok && !strings.Contains(name, "mempool") && !strings.Contains(name, "gsi") && !strings.Contains(name, "domain_state") {
				t.Errorf("%s is not in the headers", name)
			}
		}
	})
}

// ourNumbers are our constants under the names of the headers.
func ourNumbers(v Version) map[string]uint64 {
	lapic := uint64(24)
	if v.AtLeast(4, 18) {
		lapic = 32
	}
	return map[string]uint64{
		"XEN_DOMCTL_INTERFACE_VERSION": uint64(v.Domctl), "XEN_SYSCTL_INTERFACE_VERSION": uint64(v.Sysctl),
		"XENPF_INTERFACE_VERSION": PlatformInterface,
		"size xen_domctl":         DomctlSize, "size xen_sysctl": SysctlSize, "size xen_platform_op": PlatformSize,
		"__HYPERVISOR_mmu_update": OpMMUUpdate, "__HYPERVISOR_platform_op": OpPlatform, "__HYPERVISOR_memory_op": OpMemory,
		"__HYPERVISOR_xen_version": OpXenVersion, "__HYPERVISOR_grant_table_op": OpGrantTable, "__HYPERVISOR_mmuext_op": OpMMUExt,
		"__HYPERVISOR_sched_op": OpSched, "__HYPERVISOR_event_channel_op": OpEventChannel, "__HYPERVISOR_physdev_op": OpPhysdev,
		"__HYPERVISOR_hvm_op": OpHVM, "__HYPERVISOR_sysctl": OpSysctl, "__HYPERVISOR_domctl": OpDomctl,
		"__HYPERVISOR_dm_op": OpDM, "__HYPERVISOR_hypfs_op": OpHypfs,

		"XEN_DOMCTL_createdomain": DomctlCreateDomain, "XEN_DOMCTL_destroydomain": DomctlDestroyDomain,
		"XEN_DOMCTL_pausedomain": DomctlPauseDomain, "XEN_DOMCTL_unpausedomain": DomctlUnpauseDomain,
		"XEN_DOMCTL_getdomaininfo": DomctlGetDomainInfo, "XEN_DOMCTL_setvcpuaffinity": DomctlSetVCPUAffinity,
		"XEN_DOMCTL_shadow_op": DomctlShadowOp, "XEN_DOMCTL_max_mem": DomctlMaxMem,
		"XEN_DOMCTL_setvcpucontext": DomctlSetVCPUContext, "XEN_DOMCTL_getvcpucontext": DomctlGetVCPUContext,
		"XEN_DOMCTL_getvcpuinfo": DomctlGetVCPUInfo, "XEN_DOMCTL_max_vcpus": DomctlMaxVCPUs,
		"XEN_DOMCTL_scheduler_op": DomctlSchedulerOp, "XEN_DOMCTL_setdomainhandle": DomctlSetDomainHandle,
		"XEN_DOMCTL_setdebugging": DomctlSetDebugging, "XEN_DOMCTL_irq_permission": DomctlIRQPermission,
		"XEN_DOMCTL_iomem_permission": DomctlIOMemPermission, "XEN_DOMCTL_ioport_permission": DomctlIOPortPermission,
		"XEN_DOMCTL_hypercall_init": DomctlHypercallInit, "XEN_DOMCTL_settimeoffset": DomctlSetTimeOffset,
		"XEN_DOMCTL_getvcpuaffinity": DomctlGetVCPUAffinity, "XEN_DOMCTL_resumedomain": DomctlResumeDomain,
		"XEN_DOMCTL_sendtrigger": DomctlSendTrigger, "XEN_DOMCTL_subscribe": DomctlSubscribe,
		"XEN_DOMCTL_gethvmcontext": DomctlGetHVMContext, "XEN_DOMCTL_sethvmcontext": DomctlSetHVMContext,
		"XEN_DOMCTL_set_address_size": DomctlSetAddressSize, "XEN_DOMCTL_get_address_size": DomctlGetAddressSize,
		"XEN_DOMCTL_assign_device": DomctlAssignDevice, "XEN_DOMCTL_memory_mapping": DomctlMemoryMapping,
		"XEN_DOMCTL_ioport_mapping": DomctlIOPortMapping, "XEN_DOMCTL_set_ext_vcpucontext": DomctlSetExtVCPUContext,
		"XEN_DOMCTL_get_ext_vcpucontext": DomctlGetExtVCPUContext, "XEN_DOMCTL_test_assign_device": DomctlTestAssignDevice,
		"XEN_DOMCTL_set_target": DomctlSetTarget, "XEN_DOMCTL_deassign_device": DomctlDeassignDevice,
		"XEN_DOMCTL_gethvmcontext_partial": DomctlGetHVMContextPart, "XEN_DOMCTL_gettscinfo": DomctlGetTSCInfo,
		"XEN_DOMCTL_settscinfo": DomctlSetTSCInfo, "XEN_DOMCTL_getpageframeinfo3": DomctlGetPageFrameInfo3,
		"XEN_DOMCTL_setvcpuextstate": DomctlSetVCPUExtState, "XEN_DOMCTL_getvcpuextstate": DomctlGetVCPUExtState,
		"XEN_DOMCTL_set_virq_handler": DomctlSetVIRQHandler, "XEN_DOMCTL_setnodeaffinity": DomctlSetNodeAffinity,
		"XEN_DOMCTL_getnodeaffinity": DomctlGetNodeAffinity, "XEN_DOMCTL_get_vcpu_msrs": DomctlGetVCPUMSRs,
		"XEN_DOMCTL_set_vcpu_msrs": DomctlSetVCPUMSRs, "XEN_DOMCTL_setvnumainfo": DomctlSetVNUMAInfo,
		"XEN_DOMCTL_soft_reset": DomctlSoftReset, "XEN_DOMCTL_get_cpu_policy": DomctlGetCPUPolicy,
		"XEN_DOMCTL_set_cpu_policy": DomctlSetCPUPolicy, "XEN_DOMCTL_get_paging_mempool_size": DomctlGetPagingMempool,
		"XEN_DOMCTL_set_paging_mempool_size": DomctlSetPagingMempool, "XEN_DOMCTL_gsi_permission": DomctlGSIPermission,
		"XEN_DOMCTL_get_domain_state": DomctlGetDomainState,

		"XEN_SYSCTL_readconsole": SysctlReadConsole, "XEN_SYSCTL_physinfo": SysctlPhysInfo, "XEN_SYSCTL_sched_id": SysctlSchedID,
		"XEN_SYSCTL_getdomaininfolist": SysctlGetDomainInfos, "XEN_SYSCTL_debug_keys": SysctlDebugKeys,
		"XEN_SYSCTL_getcpuinfo": SysctlGetCPUInfo, "XEN_SYSCTL_availheap": SysctlAvailHeap,
		"XEN_SYSCTL_cpu_hotplug": SysctlCPUHotplug, "XEN_SYSCTL_cputopoinfo": SysctlCPUTopoInfo,
		"XEN_SYSCTL_numainfo": SysctlNUMAInfo, "XEN_SYSCTL_cpupool_op": SysctlCPUPoolOp,
		"XEN_SYSCTL_scheduler_op": SysctlSchedulerOp, "XEN_SYSCTL_pcitopoinfo": SysctlPCITopoInfo,
		"XEN_SYSCTL_get_cpu_featureset": SysctlGetCPUFeatures, "XEN_SYSCTL_get_cpu_policy": SysctlGetCPUPolicy,

		"XENMEM_decrease_reservation": MemDecreaseReservation, "XENMEM_maximum_ram_page": MemMaximumRAMPage,
		"XENMEM_current_reservation": MemCurrentReservation, "XENMEM_machphys_mfn_list": MemMachphysMFNList,
		"XENMEM_populate_physmap": MemPopulatePhysmap, "XENMEM_add_to_physmap": MemAddToPhysmap,
		"XENMEM_machine_memory_map": MemMachineMemoryMap, "XENMEM_set_memory_map": MemSetMemoryMap,
		"XENMEM_maximum_gpfn": MemMaximumGPFN, "XENMEM_remove_from_physmap": MemRemoveFromPhysmap,
		"XENMEM_set_pod_target": MemSetPODTarget, "XENMEM_get_pod_target": MemGetPODTarget,
		"XENMEM_get_sharing_freed_pages": MemSharingFreedPages, "XENMEM_get_sharing_shared_pages": MemSharingUsedPages,
		"XENMEM_claim_pages": MemClaimPages, "XENMEM_reserved_device_memory_map": MemReservedDeviceMap,
		"XENMEM_acquire_resource": MemAcquireResource, "XENMEMF_populate_on_demand": MemfPopulateOnDemand,
		"XENMEMF_exact_node_request": MemfExactNode, "XENMEMF_vnode": MemfVNode, "XENMEMF_node(5)": uint64(MemfNode(5)),

		"XEN_DOMCTL_CDF_hvm": CreateHVM, "XEN_DOMCTL_CDF_hap": CreateHAP, "XEN_DOMCTL_CDF_iommu": CreateIOMMU,
		"XEN_DOMINF_dying": InfoDying, "XEN_DOMINF_shutdown": InfoShutdown, "XEN_DOMINF_shutdownshift": InfoShutShift,
		"XEN_X86_EMU_LAPIC": EmuLAPIC, "XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION": ShadowSetAllocation,
		"XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY": ShadowLogDirty, "XEN_DOMCTL_SHADOW_OP_CLEAN": ShadowClean,
		"XEN_DOMCTL_SHADOW_OP_PEEK": ShadowPeek, "HVM_PARAM_STORE_PFN": ParamStorePFN, "HVM_PARAM_CONSOLE_PFN": ParamConsolePFN,
		"HVM_PARAM_IDENT_PT": ParamIdentPT, "HVM_PARAM_MCA_CAP": ParamMCACap, "MMUEXT_PIN_L4_TABLE": MMUExtPinL4,
		"MMUEXT_UNPIN_TABLE": MMUExtUnpin, "EVTCHNOP_alloc_unbound": EvtchnAllocUnbound, "EVTCHNOP_status": EvtchnStatusOp,
		"EVTCHNOP_reset": EvtchnReset,

		// Structures that builders fill in guest memory.
		"size vcpu_guest_context": VCPUContextSize, "offset vcpu_guest_context.flags": 512,
		"offset vcpu_guest_context.user_regs": 520, "offset vcpu_guest_context.user_regs.rip": 648,
		"offset vcpu_guest_context.user_regs.rsi": 624, "offset vcpu_guest_context.user_regs.rsp": 672,
		"offset vcpu_guest_context.kernel_ss": 4968, "offset vcpu_guest_context.kernel_sp": 4976,
		"offset vcpu_guest_context.ctrlreg": 4984, "offset vcpu_guest_context.debugreg": 5048,
		"offset vcpu_guest_context.fs_base": 5144, "size start_info": 1168, "offset start_info.shared_info": 40,
		"offset start_info.store_mfn": 56, "offset start_info.console": 72, "offset start_info.pt_base": 88,
		"offset start_info.mod_start": 112, "offset start_info.cmd_line": 128, "offset start_info.first_p2m_pfn": 1152,
		"size shared_info": 3136, "offset shared_info.evtchn_pending": 2048, "offset shared_info.evtchn_mask": 2560,
		"offset shared_info.arch": 3088, "size hvm_start_info": 56, "offset hvm_start_info.cmdline_paddr": 24,
		"offset hvm_start_info.rsdp_paddr": 32, "offset hvm_start_info.memmap_paddr": 40,
		"offset hvm_start_info.memmap_entries": 48, "size hvm_modlist_entry": 32, "size hvm_memmap_table_entry": 24,
		"size hvm_save_descriptor": 8, "size hvm_save_header": 24, "size hvm_hw_cpu": 1032, "offset hvm_hw_cpu.rbx": 520,
		"offset hvm_hw_cpu.rip": 640, "offset hvm_hw_cpu.cr0": 656, "offset hvm_hw_cpu.dr6": 720,
		"offset hvm_hw_cpu.cs_limit": 768, "offset hvm_hw_cpu.cs_arbytes": 888, "offset hvm_hw_cpu.tr_arbytes": 912,
		"size hvm_hw_mtrr": 240, "offset hvm_hw_mtrr.msr_mtrr_def_type": 232, "size hvm_hw_lapic": lapic,
	}
}
