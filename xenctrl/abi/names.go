package abi

// OpName names a hypercall, and its sub-operation where it has one, for
// statistics: "domctl/max_mem", "memory_op/populate_physmap".
func OpName(op uint64, cmd uint32) string {
	base, subs := opNames(op)
	if base == "" {
		base = "hypercall" + number(uint32(op))
	}
	if subs == nil {
		return base
	}
	if name, ok := subs[cmd]; ok {
		return base + "/" + name
	}
	return base + "/" + number(cmd)
}

func number(n uint32) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return number(n/10) + number(n%10)
}

func opNames(op uint64) (string, map[uint32]string) {
	switch op {
	case OpDomctl:
		return "domctl", domctlNames()
	case OpSysctl:
		return "sysctl", sysctlNames()
	case OpMemory:
		return "memory_op", memoryNames()
	case OpXenVersion:
		return "xen_version", map[uint32]string{}
	case OpEventChannel:
		return "event_channel_op", map[uint32]string{EvtchnClose: "close", EvtchnSend: "send",
			EvtchnStatusOp: "status", EvtchnAllocUnbound: "alloc_unbound", EvtchnReset: "reset"}
	case OpGrantTable:
		return "grant_table_op", map[uint32]string{GnttabSetupTable: "setup_table",
			GnttabQuerySize: "query_size", GnttabGetVersion: "get_version"}
	case OpHVM:
		return "hvm_op", map[uint32]string{HVMSetParam: "set_param", HVMGetParam: "get_param"}
	case OpMMUExt:
		return "mmuext_op", nil
	case OpMMUUpdate:
		return "mmu_update", nil
	case OpSched:
		return "sched_op", map[uint32]string{SchedRemoteShutdown: "remote_shutdown"}
	case OpPhysdev:
		return "physdev_op", map[uint32]string{PhysdevMapPIRQ: "map_pirq", PhysdevUnmapPIRQ: "unmap_pirq"}
	case OpPlatform:
		return "platform_op", map[uint32]string{}
	case OpHypfs:
		return "hypfs_op", map[uint32]string{HypfsGetVersion: "get_version", HypfsRead: "read", HypfsWrite: "write"}
	case OpXSM:
		return "xsm_op", nil
	case OpDM:
		return "dm_op", nil
	}
	return "", nil
}

func domctlNames() map[uint32]string {
	return map[uint32]string{
		1: "createdomain", 2: "destroydomain", 3: "pausedomain", 4: "unpausedomain", 5: "getdomaininfo",
		9: "setvcpuaffinity", 10: "shadow_op", 11: "max_mem", 12: "setvcpucontext", 13: "getvcpucontext",
		14: "getvcpuinfo", 15: "max_vcpus", 16: "scheduler_op", 17: "setdomainhandle", 18: "setdebugging",
		19: "irq_permission", 20: "iomem_permission", 21: "ioport_permission", 22: "hypercall_init",
		24: "settimeoffset", 25: "getvcpuaffinity", 27: "resumedomain", 28: "sendtrigger", 29: "subscribe",
		33: "gethvmcontext", 34: "sethvmcontext", 35: "set_address_size", 36: "get_address_size",
		37: "assign_device", 38: "bind_pt_irq", 39: "memory_mapping", 40: "ioport_mapping",
		42: "set_ext_vcpucontext", 43: "get_ext_vcpucontext", 45: "test_assign_device", 46: "set_target",
		47: "deassign_device", 48: "unbind_pt_irq", 50: "get_device_group", 55: "gethvmcontext_partial",
		59: "gettscinfo", 60: "settscinfo", 61: "getpageframeinfo3", 62: "setvcpuextstate",
		63: "getvcpuextstate", 64: "set_access_required", 66: "set_virq_handler", 68: "setnodeaffinity",
		69: "getnodeaffinity", 72: "get_vcpu_msrs", 73: "set_vcpu_msrs", 74: "setvnumainfo",
		79: "soft_reset", 82: "get_cpu_policy", 83: "set_cpu_policy", 85: "get_paging_mempool_size",
		86: "set_paging_mempool_size", 88: "gsi_permission", 90: "get_domain_state",
	}
}

func sysctlNames() map[uint32]string {
	return map[uint32]string{
		1: "readconsole", 2: "tbuf_op", 3: "physinfo", 4: "sched_id", 5: "perfc_op", 6: "getdomaininfolist",
		7: "debug_keys", 8: "getcpuinfo", 9: "availheap", 10: "get_pmstat", 11: "cpu_hotplug", 12: "pm_op",
		14: "page_offline_op", 16: "cputopoinfo", 17: "numainfo", 18: "cpupool_op", 19: "scheduler_op",
		21: "psr_cmt_op", 22: "pcitopoinfo", 23: "psr_alloc", 25: "get_cpu_levelling_caps",
		26: "get_cpu_featureset", 27: "livepatch_op", 29: "get_cpu_policy",
	}
}

func memoryNames() map[uint32]string {
	return map[uint32]string{
		1: "decrease_reservation", 2: "maximum_ram_page", 3: "current_reservation", 4: "maximum_reservation",
		5: "machphys_mfn_list", 6: "populate_physmap", 7: "add_to_physmap", 10: "machine_memory_map",
		12: "machphys_mapping", 13: "set_memory_map", 14: "maximum_gpfn", 15: "remove_from_physmap",
		16: "set_pod_target", 17: "get_pod_target", 18: "get_sharing_freed_pages", 19: "get_sharing_shared_pages",
		23: "add_to_physmap_batch", 24: "claim_pages", 26: "get_vnumainfo", 27: "reserved_device_memory_map",
		28: "acquire_resource",
	}
}
