package abi

// Hypercall numbers. Source: xen/include/public/xen.h, __HYPERVISOR_*.
const (
	OpMMUUpdate    = 1  // __HYPERVISOR_mmu_update
	OpPlatform     = 7  // __HYPERVISOR_platform_op
	OpMemory       = 12 // __HYPERVISOR_memory_op
	OpXenVersion   = 17 // __HYPERVISOR_xen_version
	OpGrantTable   = 20 // __HYPERVISOR_grant_table_op
	OpMMUExt       = 26 // __HYPERVISOR_mmuext_op
	OpXSM          = 27 // __HYPERVISOR_xsm_op
	OpSched        = 29 // __HYPERVISOR_sched_op
	OpEventChannel = 32 // __HYPERVISOR_event_channel_op
	OpPhysdev      = 33 // __HYPERVISOR_physdev_op
	OpHVM          = 34 // __HYPERVISOR_hvm_op
	OpSysctl       = 35 // __HYPERVISOR_sysctl
	OpDomctl       = 36 // __HYPERVISOR_domctl
	OpDM           = 41 // __HYPERVISOR_dm_op
	OpHypfs        = 42 // __HYPERVISOR_hypfs_op
)

// Domctl commands. Source: xen/include/public/domctl.h, XEN_DOMCTL_*.
const (
	DomctlCreateDomain      = 1
	DomctlDestroyDomain     = 2
	DomctlPauseDomain       = 3
	DomctlUnpauseDomain     = 4
	DomctlGetDomainInfo     = 5
	DomctlSetVCPUAffinity   = 9
	DomctlShadowOp          = 10
	DomctlMaxMem            = 11
	DomctlSetVCPUContext    = 12
	DomctlGetVCPUContext    = 13
	DomctlGetVCPUInfo       = 14
	DomctlMaxVCPUs          = 15
	DomctlSchedulerOp       = 16
	DomctlSetDomainHandle   = 17
	DomctlSetDebugging      = 18
	DomctlIRQPermission     = 19
	DomctlIOMemPermission   = 20
	DomctlIOPortPermission  = 21
	DomctlHypercallInit     = 22
	DomctlSetTimeOffset     = 24
	DomctlGetVCPUAffinity   = 25
	DomctlResumeDomain      = 27
	DomctlSendTrigger       = 28
	DomctlSubscribe         = 29
	DomctlGetHVMContext     = 33
	DomctlSetHVMContext     = 34
	DomctlSetAddressSize    = 35
	DomctlGetAddressSize    = 36
	DomctlAssignDevice      = 37
	DomctlBindPTIRQ         = 38
	DomctlMemoryMapping     = 39
	DomctlIOPortMapping     = 40
	DomctlSetExtVCPUContext = 42
	DomctlGetExtVCPUContext = 43
	DomctlTestAssignDevice  = 45
	DomctlSetTarget         = 46
	DomctlDeassignDevice    = 47
	DomctlUnbindPTIRQ       = 48
	DomctlGetDeviceGroup    = 50
	DomctlGetHVMContextPart = 55
	DomctlVMEventOp         = 56
	DomctlGetTSCInfo        = 59
	DomctlSetTSCInfo        = 60
	DomctlGetPageFrameInfo3 = 61
	DomctlSetVCPUExtState   = 62
	DomctlGetVCPUExtState   = 63
	DomctlSetAccessRequired = 64
	DomctlSetVIRQHandler    = 66
	DomctlSetNodeAffinity   = 68
	DomctlGetNodeAffinity   = 69
	DomctlGetVCPUMSRs       = 72
	DomctlSetVCPUMSRs       = 73
	DomctlSetVNUMAInfo      = 74
	DomctlPSRCMTOp          = 75
	DomctlPSRAlloc          = 78
	DomctlSoftReset         = 79
	DomctlGetCPUPolicy      = 82
	DomctlSetCPUPolicy      = 83
	DomctlVMTraceOp         = 84 // 4.15
	DomctlGetPagingMempool  = 85 // 4.17
	DomctlSetPagingMempool  = 86 // 4.17
	DomctlGSIPermission     = 88 // 4.20
	DomctlSetLLCColors      = 89 // 4.20
	DomctlGetDomainState    = 90 // 4.21, interface version 0
	DomctlStableInterface   = 0
	DomctlSize              = 144 // sizeof(struct xen_domctl), every release
	DomctlArg               = 16  // offset of the union
	SysctlSize              = 136 // sizeof(struct xen_sysctl), every release
	SysctlArg               = 8
	PlatformSize            = 136
	PlatformArg             = 8
	PlatformInterface       = 0x03000001 // XENPF_INTERFACE_VERSION, every release
)

// Sysctl commands. Source: xen/include/public/sysctl.h, XEN_SYSCTL_*.
const (
	SysctlReadConsole    = 1
	SysctlTbufOp         = 2
	SysctlPhysInfo       = 3
	SysctlSchedID        = 4
	SysctlPerfcOp        = 5
	SysctlGetDomainInfos = 6 // XEN_SYSCTL_getdomaininfolist
	SysctlDebugKeys      = 7
	SysctlGetCPUInfo     = 8
	SysctlAvailHeap      = 9
	SysctlGetPMStat      = 10
	SysctlCPUHotplug     = 11
	SysctlPMOp           = 12
	SysctlPageOfflineOp  = 14
	SysctlLockprofOp     = 15
	SysctlCPUTopoInfo    = 16
	SysctlNUMAInfo       = 17
	SysctlCPUPoolOp      = 18
	SysctlSchedulerOp    = 19
	SysctlCoverageOp     = 20
	SysctlPSRCMTOp       = 21
	SysctlPCITopoInfo    = 22
	SysctlPSRAlloc       = 23
	SysctlGetLevelCaps   = 25 // gone in 4.22
	SysctlGetCPUFeatures = 26
	SysctlLivepatchOp    = 27
	SysctlGetCPUPolicy   = 29
)

// Memory_op commands. Source: xen/include/public/memory.h, XENMEM_*.
const (
	MemDecreaseReservation = 1
	MemMaximumRAMPage      = 2
	MemCurrentReservation  = 3
	MemMaximumReservation  = 4
	MemMachphysMFNList     = 5
	MemPopulatePhysmap     = 6
	MemAddToPhysmap        = 7
	MemMemoryMap           = 9
	MemMachineMemoryMap    = 10
	MemMachphysMapping     = 12
	MemSetMemoryMap        = 13
	MemMaximumGPFN         = 14
	MemRemoveFromPhysmap   = 15
	MemSetPODTarget        = 16
	MemGetPODTarget        = 17
	MemSharingFreedPages   = 18
	MemSharingUsedPages    = 19
	MemAddToPhysmapBatch   = 23
	MemClaimPages          = 24
	MemGetVNUMAInfo        = 26
	MemReservedDeviceMap   = 27
	MemAcquireResource     = 28
)

// Xen_version commands. Source: xen/include/public/version.h, XENVER_*.
const (
	VerVersion       = 0
	VerExtraVersion  = 1
	VerCompileInfo   = 2
	VerCapabilities  = 3
	VerChangeset     = 4
	VerPlatform      = 5
	VerGetFeatures   = 6
	VerPageSize      = 7
	VerGuestHandle   = 8
	VerCommandLine   = 9
	VerBuildID       = 10
	VerExtraVersion2 = 11 // 4.20: variable length
	VerCapabilities2 = 12
	VerChangeset2    = 13
	VerCommandLine2  = 14
)

// Commands of the smaller hypercalls.
const (
	MMUExtPinL1   = 0 // MMUEXT_PIN_L1_TABLE
	MMUExtPinL2   = 1
	MMUExtPinL3   = 2
	MMUExtPinL4   = 3
	MMUExtUnpin   = 4
	MMUExtBasePtr = 5

	EvtchnBindInterdomain = 0 // EVTCHNOP_bind_interdomain
	EvtchnBindVIRQ        = 1
	EvtchnClose           = 3
	EvtchnSend            = 4
	EvtchnStatusOp        = 5
	EvtchnAllocUnbound    = 6
	EvtchnReset           = 10

	GnttabMap             = 0 // GNTTABOP_map_grant_ref
	GnttabUnmap           = 1
	GnttabSetupTable      = 2
	GnttabCopy            = 5
	GnttabQuerySize       = 6
	GnttabSetVersion      = 8
	GnttabGetStatusFrames = 9
	GnttabGetVersion      = 10

	HVMSetParam   = 0 // HVMOP_set_param
	HVMGetParam   = 1
	HVMGetMemType = 15

	SchedRemoteShutdown = 4 // SCHEDOP_remote_shutdown

	PhysdevMapPIRQ   = 13 // PHYSDEVOP_map_pirq
	PhysdevUnmapPIRQ = 14
	PhysdevSetupGSI  = 21

	HypfsGetVersion = 0 // XEN_HYPFS_OP_get_version
	HypfsRead       = 1
	HypfsWrite      = 2

	PlatformGetCPUVersion = 48 // XENPF_get_cpu_version
	PlatformGetCPUInfo    = 55
	PlatformUcodeRevision = 65 // 4.18
)
