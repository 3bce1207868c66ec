package abi

import (
	"errors"
	"testing"
	"time"
)

func duration(n uint64) time.Duration { return time.Duration(n) }

// encoders are our bytes of every structure that Xen reads, made with the values
// of golden/template/dump.c.
func encoders(v Version) map[string][]byte {
	out := map[string][]byte{}
	for _, m := range []map[string][]byte{
		encodeVCPU(), encodeParam(v), encodePolicy(), encodeSched(), encodePermission(v), encodeHost(),
		encodeMemory(), encodeSmall(),
	} {
		for name, b := range m {
			out[name] = b
		}
	}
	return out
}

func encodeVCPU() map[string][]byte {
	return map[string][]byte{
		"vcpucontext":     AppendVCPUContext(nil, v32(1), v64(2)),
		"vcpuaffinity":    AppendVCPUAffinity(nil, v32(1), v32(2), v64(3), v64(4), v32(5)),
		"nodeaffinity":    AppendNodeAffinity(nil, v64(1), v32(2)),
		"ext_vcpucontext": AppendExtVCPUContext(nil, v32(1)),
		"vcpuextstate":    AppendVCPUExtState(nil, v32(1), v64(2), v64(3), v64(4)),
		"vcpu_msrs":       AppendVCPUMSRs(nil, v32(1), v32(2), v64(3)),
		"vcpu_msr":        AppendVCPUMSR(nil, VCPUMSR{v32(1), v64(2)}),
	}
}

func encodeParam(v Version) map[string][]byte {
	m := map[string][]byte{
		"max_mem":             AppendMaxMem(nil, v64(1)),
		"max_vcpus":           AppendMaxVCPUs(nil, v32(1)),
		"address_size":        AppendAddressSize(nil, v32(1)),
		"hypercall_init":      AppendHypercallInit(nil, v64(1)),
		"settimeoffset":       AppendTimeOffset(nil, int64(v64(1))),
		"setdomainhandle":     AppendDomainHandle(nil, UUID(run(0x60, 16))),
		"setdebugging":        AppendSetDebugging(nil, true),
		"sendtrigger":         AppendSendTrigger(nil, v32(1), v32(2)),
		"subscribe":           AppendSubscribe(nil, v32(1)),
		"set_target":          AppendSetTarget(nil, DomID(v16(1))),
		"set_virq_handler":    AppendVIRQHandler(nil, v32(1)),
		"set_access_required": AppendAccessRequired(nil, true),
		"tsc_info":            AppendTSCInfo(nil, TSCInfo{v32(1), v32(2), v32(3), v64(4)}),
		"hvmcontext":          AppendHVMContext(nil, v32(1), v64(2)),
		"hvmcontext_partial":  AppendHVMContextPartial(nil, v32(1), v32(2), v64(3), v64(4)),
		"vnuma":               AppendVNUMA(nil, v32(1), v32(2), v32(3), v64(4), v64(5), v64(6), v64(7)),
		"vmemrange":           AppendVMemRange(nil, VMemRange{v64(1), v64(2), v32(3), v32(4)}),
		"shadow_op":           AppendShadowOp(nil, ShadowOp{v32(1), v32(2), v32(3), v64(4), v64(5), v32(6), v32(7)}),
		"getpageframeinfo3":   AppendPageFrameInfo(nil, v64(1), v64(2)),
	}
	if v.Domctl >= 0x15 {
		m["paging_mempool"] = AppendPagingMempool(nil, v64(1))
	}
	return m
}

func encodePolicy() map[string][]byte {
	return map[string][]byte{
		"cpu_policy":        AppendCPUPolicy(nil, v32(1), v32(2), v64(3), v64(4)),
		"cpuid_leaf":        AppendCPUIDLeaf(nil, CPUIDLeaf{v32(1), v32(2), v32(3), v32(4), v32(5), v32(6)}),
		"msr_entry":         AppendPolicyMSR(nil, PolicyMSR{v32(1), v32(2), v64(3)}),
		"sysctl_cpu_policy": AppendSystemCPUPolicy(nil, v32(1), v32(2), v32(3), v64(4), v64(5)),
		"cpu_featureset":    AppendCPUFeatureSet(nil, v32(1), v32(2), v64(3)),
	}
}

func encodeSched() map[string][]byte {
	wc := SchedParams{Weight: v16(2), Cap: v16(3)}
	return map[string][]byte{
		"scheduler_credit2": AppendDomainSched(nil, SchedCredit2, v32(1), wc),
		"scheduler_credit":  AppendDomainSched(nil, SchedCredit, v32(1), wc),
		"scheduler_rtds":    AppendDomainSched(nil, SchedRTDS, v32(1), SchedParams{Period: v32(2), Budget: v32(3), Flags: v32(4)}),
		"scheduler_vcpus":   AppendDomainSchedVCPUs(nil, SchedRTDS, v32(1), v64(2), v32(3)),
		"schedparam_vcpu":   AppendSchedVCPU(nil, SchedRTDS, v32(4), SchedParams{Period: v32(1), Budget: v32(2), Flags: v32(3)}),
		"pool_credit":       AppendPoolSched(nil, v32(1), SchedCredit, v32(2), PoolSchedParams{v32(3), v32(4), v32(5)}),
		"pool_credit2":      AppendPoolSched(nil, v32(1), SchedCredit2, v32(2), PoolSchedParams{RatelimitUS: v32(3)}),
		"cpupool_op":        AppendCPUPoolOp(nil, CPUPoolOp{v32(1), v32(2), v32(3), v32(4), v32(5), v32(6), v64(7), v32(8)}),
	}
}

func encodePermission(v Version) map[string][]byte {
	irq, _ := AppendIRQPermission(nil, v, uint32(v8(1)), true)
	m := map[string][]byte{
		"irq_permission":    irq,
		"iomem_permission":  AppendIOMemPermission(nil, MFN(v64(1)), v64(2), true),
		"ioport_permission": AppendIOPortPermission(nil, v32(1), v32(2), true),
		"memory_mapping":    AppendMemoryMapping(nil, GFN(v64(1)), MFN(v64(2)), v64(3), true),
		"ioport_mapping":    AppendIOPortMapping(nil, v32(1), v32(2), v32(3), true),
		"assign_device":     AppendAssignPCI(nil, v32(2), v32(1)),
	}
	if v.AtLeast(4, 20) {
		m["gsi_permission"] = AppendGSIPermission(nil, v32(1), true)
	}
	return m
}

func encodeHost() map[string][]byte {
	return map[string][]byte{
		"getdomaininfolist": AppendDomainInfoList(nil, DomID(v16(1)), v32(2), v64(3)),
		"readconsole":       AppendReadConsole(nil, true, true, v32(1), v64(2), v32(3)),
		"debug_keys":        AppendDebugKeys(nil, v64(1), v32(2)),
		"getcpuinfo":        AppendCPUInfo(nil, v32(1), v64(2)),
		"availheap":         AppendAvailHeap(nil, v32(1), v32(2), int32(v32(3))),
		"cpu_hotplug":       AppendCPUHotplug(nil, v32(1), v32(2)),
		"cputopoinfo":       AppendCountAddr(nil, v32(1), v64(2)),
		"numainfo":          AppendNUMAInfo(nil, v32(1), v64(2), v64(3)),
		"pcitopoinfo":       AppendPCITopology(nil, v32(1), v64(2), v64(3)),
		"pci_device":        AppendPCIDevice(nil, PCIDevice{v16(1), v8(2), v8(3)}),
	}
}

func encodeMemory() map[string][]byte {
	return map[string][]byte{
		"reservation":         AppendReservation(nil, Reservation{v64(1), v64(2), v32(3), v32(4), DomID(v16(5))}),
		"add_to_physmap":      AppendAddToPhysmap(nil, DomID(v16(1)), v16(2), v32(3), v64(4), GFN(v64(5))),
		"remove_from_physmap": AppendRemoveFromPhysmap(nil, DomID(v16(1)), GFN(v64(2))),
		"add_to_physmap_batch": AppendAddToPhysmapBatch(nil, DomID(v16(1)), v16(2), v16(3), DomID(v16(4)),
			v64(5), v64(6), v64(7)),
		"memory_map":         AppendMemoryMap(nil, v32(1), v64(2)),
		"foreign_memory_map": AppendForeignMemoryMap(nil, DomID(v16(1)), v32(2), v64(3)),
		"pod_target":         AppendPODTarget(nil, DomID(v16(2)), Pages(v64(1))),
		"machphys_mfn_list":  AppendMachphysMFNList(nil, v32(1), v64(2)),
		"reserved_device_memory_map": AppendReservedDeviceMap(nil, v32(1), v32(2), v64(3),
			PCIDevice{v16(4), v8(5), v8(6)}),
		"acquire_resource": AppendAcquireResource(nil, DomID(v16(1)), v16(2), v32(3), v32(4), v64(5), v64(6)),
	}
}

func encodeSmall() map[string][]byte {
	d1, d2 := DomID(v16(1)), DomID(v16(2))
	return map[string][]byte{
		"mmuext_op":               AppendMMUExt(nil, MMUExtOp{v32(1), MFN(v64(2)), v64(3)}),
		"mmu_update":              AppendMMUUpdate(nil, v64(1), v64(2)),
		"evtchn_alloc_unbound":    AppendEvtchnAllocUnbound(nil, d1, d2),
		"evtchn_close":            AppendEvtchnPort(nil, Port(v32(1))),
		"evtchn_send":             AppendEvtchnPort(nil, Port(v32(1))),
		"evtchn_reset":            AppendEvtchnReset(nil, d1),
		"evtchn_status":           AppendEvtchnStatus(nil, d1, Port(v32(2))),
		"hvm_param":               AppendHVMParam(nil, d1, v32(2), v64(3)),
		"remote_shutdown":         AppendRemoteShutdown(nil, d1, ShutdownSoftReset),
		"gnttab_setup_table":      AppendGrantSetupTable(nil, d1, v32(2), v64(3)),
		"gnttab_query_size":       AppendGrantQuerySize(nil, d1),
		"gnttab_get_version":      AppendGrantGetVersion(nil, d1),
		"grant_entry_v1":          AppendGrantEntryV1(nil, v16(1), d2, v32(3)),
		"map_pirq":                AppendMapPIRQ(nil, d1, int32(v32(2)), int32(v32(3)), int32(v32(4))),
		"unmap_pirq":              AppendUnmapPIRQ(nil, d1, int32(v32(2))),
		"setup_gsi":               AppendSetupGSI(nil, int32(v32(1)), v8(2), v8(3)),
		"dm_modified_memory":      AppendDMOp(nil, DMModifiedMemory, AppendDMModifiedMemory(nil, v32(1))),
		"dm_extent":               AppendDMExtent(nil, v32(1), PFN(v64(2))),
		"dm_pin_memory_cacheattr": AppendDMOp(nil, DMPinMemoryCacheAttr, AppendDMPinCacheAttr(nil, v64(1), v64(2), v32(3))),
		"dm_remote_shutdown":      AppendDMOp(nil, DMRemoteShutdown, AppendDMRemoteShutdown(nil, ShutdownCrash)),
	}
}

func TestGoldenEncoders(t *testing.T) {
	eachRelease(t, func(t *testing.T, g golden) {
		for name, got := range encoders(g.v) {
			same(t, g, name, got)
		}
	})
}

func TestIRQPermissionAbove255(t *testing.T) {
	old, _ := Release(4, 15)
	if _, err := AppendIRQPermission(nil, old, 256, true); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("pirq 256 on 4.15: %v, want ErrUnsupported", err)
	}
}
