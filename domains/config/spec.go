package config

import "goxl/xenctrl/abi"

// Spec is everything that is asked for of one guest. It holds the members of
// libxl_domain_config, in its order; the xl tags carry the names that libxl uses
// in JSON and, as since=, the release that introduced a member. Members that were
// not asked for are absent; package domains chooses for them when a guest is made.
//
// Source: tools/libs/light/libxl_types.idl, stable-4.14 to stable-4.22.
type Spec struct {
	CInfo CreateInfo `xl:"c_info"`
	BInfo BuildInfo  `xl:"b_info"`

	Disks      []Disk      `xl:"disks"`
	NICs       []NIC       `xl:"nics"`
	PCIDevs    []PCIDev    `xl:"pcidevs"`
	RDMs       []RDM       `xl:"rdms"`
	DTDevs     []DTDev     `xl:"dtdevs"`
	VFBs       []VFB       `xl:"vfbs"`
	VKBs       []VKB       `xl:"vkbs"`
	Virtios    []Virtio    `xl:"virtios,since=4.18"`
	VTPMs      []VTPM      `xl:"vtpms"`
	P9s        []P9        `xl:"p9s"`
	PVCallsIfs []PVCallsIf `xl:"pvcallsifs"`
	VDispls    []VDispl    `xl:"vdispls"`
	VSnds      []VSnd      `xl:"vsnds"`
	Channels   []Channel   `xl:"channels"`
	USBCtrls   []USBCtrl   `xl:"usbctrls"`
	USBDevs    []USBDev    `xl:"usbdevs"`

	OnPoweroff  Action `xl:"on_poweroff"`
	OnReboot    Action `xl:"on_reboot"`
	OnWatchdog  Action `xl:"on_watchdog"`
	OnCrash     Action `xl:"on_crash"`
	OnSoftReset Action `xl:"on_soft_reset"`
}

// CreateInfo is what must be known to make the (still empty) domain.
// Source: libxl_domain_create_info.
type CreateInfo struct {
	Type                    DomainType  `xl:"type"`
	HAP                     Defbool     `xl:"hap"`
	OOS                     Defbool     `xl:"oos"`
	SSIDRef                 uint32      `xl:"ssidref"`
	SSIDLabel               Opt[string] `xl:"ssid_label"`
	Name                    Opt[string] `xl:"name"`
	DomID                   uint32      `xl:"domid"` // wanted; may be AnyDomID or RandomDomID
	UUID                    abi.UUID    `xl:"uuid"`
	XSData                  KeyValues   `xl:"xsdata"`
	PlatformData            KeyValues   `xl:"platformdata"`
	PoolID                  uint32      `xl:"poolid"`
	PoolName                Opt[string] `xl:"pool_name"`
	RunHotplugScripts       Defbool     `xl:"run_hotplug_scripts"`
	DriverDomain            Defbool     `xl:"driver_domain"`
	Passthrough             Passthrough `xl:"passthrough"`
	XendSuspendEvtchnCompat Defbool     `xl:"xend_suspend_evtchn_compat"`
}

// Values of CreateInfo.DomID that are no ids. xl sets it when it creates a guest,
// so the stored configuration of each guest has one of them.
const (
	AnyDomID    = 1<<32 - 1 // INVALID_DOMID: the hypervisor chooses, as it does for 0
	RandomDomID = 1<<32 - 2 // RANDOM_DOMID
)

// BuildInfo is what must be known to fill the domain. Type selects which of PV,
// PVH and HVM is set. Source: libxl_domain_build_info.
type BuildInfo struct {
	MaxVCPUs         int         `xl:"max_vcpus"`
	AvailVCPUs       Bitmap      `xl:"avail_vcpus"`
	CPUMap           Bitmap      `xl:"cpumap"`
	NodeMap          Bitmap      `xl:"nodemap"`
	VCPUHardAffinity []Bitmap    `xl:"vcpu_hard_affinity"`
	VCPUSoftAffinity []Bitmap    `xl:"vcpu_soft_affinity"`
	NUMAPlacement    Defbool     `xl:"numa_placement"`
	TSCMode          TSCMode     `xl:"tsc_mode"`
	MaxMem           MemKB       `xl:"max_memkb"`
	TargetMem        MemKB       `xl:"target_memkb"`
	VideoMem         MemKB       `xl:"video_memkb"`
	ShadowMem        MemKB       `xl:"shadow_memkb"`
	IOMMUMem         MemKB       `xl:"iommu_memkb"`
	RTCTimeOffset    uint32      `xl:"rtc_timeoffset"` // seconds, two's complement
	ExecSSIDRef      uint32      `xl:"exec_ssidref"`
	ExecSSIDLabel    Opt[string] `xl:"exec_ssid_label"`
	LocalTime        Defbool     `xl:"localtime"`
	DisableMigrate   Defbool     `xl:"disable_migrate"`
	CPUID            CPUPolicy   `xl:"cpuid"`
	BlkdevStart      Opt[string] `xl:"blkdev_start"`
	VNUMANodes       []VNode     `xl:"vnuma_nodes"`

	MaxGrantFrames    Opt[uint32] `xl:"max_grant_frames"`
	MaxMaptrackFrames Opt[uint32] `xl:"max_maptrack_frames"`
	MaxGrantVersion   Opt[int]    `xl:"max_grant_version,since=4.16"`

	DeviceModelVersion   DeviceModelVersion `xl:"device_model_version"`
	DeviceModelStubdom   Defbool            `xl:"device_model_stubdomain"`
	StubdomMem           MemKB              `xl:"stubdomain_memkb"`
	StubdomKernel        Opt[string]        `xl:"stubdomain_kernel"`
	StubdomCmdline       Opt[string]        `xl:"stubdomain_cmdline,since=4.16"`
	StubdomRamdisk       Opt[string]        `xl:"stubdomain_ramdisk"`
	DeviceModel          Opt[string]        `xl:"device_model"`
	DeviceModelSSIDRef   uint32             `xl:"device_model_ssidref"`
	DeviceModelSSIDLabel Opt[string]        `xl:"device_model_ssid_label"`
	DeviceModelUser      Opt[string]        `xl:"device_model_user"`
	Extra                []string           `xl:"extra"` // more QEMU arguments
	ExtraPV              []string           `xl:"extra_pv"`
	ExtraHVM             []string           `xl:"extra_hvm"`
	SchedParams          SchedParams        `xl:"sched_params"`

	IOPorts   []IOPortRange `xl:"ioports"`
	IRQs      []uint32      `xl:"irqs"`
	IOMem     []IOMemRange  `xl:"iomem"`
	LLCColors []uint32      `xl:"llc_colors,since=4.20"`

	ClaimMode          Defbool     `xl:"claim_mode"`
	EventChannels      uint32      `xl:"event_channels"`
	Kernel             Opt[string] `xl:"kernel"`
	Cmdline            Opt[string] `xl:"cmdline"`
	Ramdisk            Opt[string] `xl:"ramdisk"`
	DeviceTree         Opt[string] `xl:"device_tree"`
	ACPI               Defbool     `xl:"acpi"`
	Bootloader         Opt[string] `xl:"bootloader"`
	BootloaderArgs     []string    `xl:"bootloader_args"`
	BootloaderRestrict Defbool     `xl:"bootloader_restrict,since=4.18"`
	BootloaderUser     Opt[string] `xl:"bootloader_user,since=4.18"`
	TimerMode          TimerMode   `xl:"timer_mode"`
	NestedHVM          Defbool     `xl:"nested_hvm"`
	APIC               Defbool     `xl:"apic"`
	DMRestrict         Defbool     `xl:"dm_restrict"`
	TEE                TEEType     `xl:"tee"`

	Type DomainType `xl:"-"` // which of the three follows
	HVM  *HVMInfo   `xl:"type.hvm,union"`
	PV   *PVInfo    `xl:"type.pv,union"`
	PVH  *PVHInfo   `xl:"type.pvh,union"`

	ArchARM              ArchARM     `xl:"arch_arm"`
	ArchX86              ArchX86     `xl:"arch_x86,since=4.15"`
	Altp2m               Altp2mMode  `xl:"altp2m"`
	Altp2mCount          Opt[uint32] `xl:"altp2m_count,since=4.21"`
	VMTraceBufKB         int         `xl:"vmtrace_buf_kb,since=4.15"`
	VPMU                 Defbool     `xl:"vpmu,since=4.16"`
	TrapUnmappedAccesses Defbool     `xl:"trap_unmapped_accesses,since=4.21"`
	XenstoreFeatureMask  Opt[uint32] `xl:"xenstore_feature_mask,since=4.21"`
	XenstoreQuota        XSQuotaList `xl:"xenstore_quota,since=4.22"`
}

// PVInfo holds what only PV guests have.
type PVInfo struct {
	Kernel         Opt[string] `xl:"kernel"` // old place of BuildInfo.Kernel, as are the next four
	SlackMem       MemKB       `xl:"slack_memkb"`
	Bootloader     Opt[string] `xl:"bootloader"`
	BootloaderArgs []string    `xl:"bootloader_args"`
	Cmdline        Opt[string] `xl:"cmdline"`
	Ramdisk        Opt[string] `xl:"ramdisk"`
	E820Host       Defbool     `xl:"e820_host"`
}

// PVHInfo holds what only PVH guests have.
type PVHInfo struct {
	PVShim        Defbool     `xl:"pvshim"`
	PVShimPath    Opt[string] `xl:"pvshim_path"`
	PVShimCmdline Opt[string] `xl:"pvshim_cmdline"`
	PVShimExtra   Opt[string] `xl:"pvshim_extra"`
}

// SchedParams are the scheduler's settings for the whole domain.
// Source: libxl_domain_sched_params.
type SchedParams struct {
	Sched     Scheduler `xl:"sched"`
	Weight    Opt[int]  `xl:"weight"`
	Cap       Opt[int]  `xl:"cap"` // percent of one CPU
	Period    Opt[int]  `xl:"period"`
	Budget    Opt[int]  `xl:"budget"`
	ExtraTime Opt[int]  `xl:"extratime"`
	Slice     Opt[int]  `xl:"slice"`
	Latency   Opt[int]  `xl:"latency"`
}

// VNode is one virtual NUMA node. Source: libxl_vnode_info.
type VNode struct {
	Mem       MemKB    `xl:"memkb"`
	Distances []uint32 `xl:"distances"`
	PNode     uint32   `xl:"pnode"`
	VCPUs     Bitmap   `xl:"vcpus"`
}

// IOPortRange is a range of x86 I/O ports. Source: libxl_ioport_range.
type IOPortRange struct {
	First  uint32 `xl:"first"`
	Number uint32 `xl:"number"`
}

// IOMemRange is a range of I/O memory, in pages. Source: libxl_iomem_range.
type IOMemRange struct {
	Start  uint64      `xl:"start"`
	Number uint64      `xl:"number"`
	GFN    Opt[uint64] `xl:"gfn"` // absent: the same frames as on the host
}

// ArchARM holds what only Arm guests have.
type ArchARM struct {
	GICVersion GICVersion  `xl:"gic_version"`
	VUART      VUARTType   `xl:"vuart"`
	SVE        SVEType     `xl:"sve_vl,since=4.18"`
	NrSPIs     Opt[uint32] `xl:"nr_spis,since=4.19"`
	SCI        ArmSCI      `xl:"arm_sci,since=4.21"`
}

// ArmSCI is the system control interface of an Arm guest.
type ArmSCI struct {
	Type ArmSCIType `xl:"type"`
}

// ArchX86 holds what all kinds of x86 guest share.
type ArchX86 struct {
	MSRRelaxed Defbool `xl:"msr_relaxed"`
}

// XSQuotaList are the xenstore quotas of one domain. Source: libxl_xs_quota_list.
type XSQuotaList struct {
	Quota []XSQuota `xl:"quota"`
}

// XSQuota is one xenstore quota.
type XSQuota struct {
	Name  Opt[string] `xl:"name"`
	Value uint32      `xl:"val"`
}

// KeyValue is a pair of a KeyValues.
type KeyValue struct {
	Key   string
	Value Opt[string]
}

// KeyValues is a list of pairs, in order. Source: libxl_key_value_list.
type KeyValues []KeyValue

// MemKB is an amount of memory in KiB. Absent means that the toolstack computes
// it. Source: MemKB, LIBXL_MEMKB_DEFAULT.
type MemKB = Opt[abi.KiB]

// DevID numbers a device among those of its kind. Absent means the next free one.
type DevID = Opt[int]

// NewSpec returns the Spec of a guest of kind t for which nothing else was asked.
func NewSpec(t DomainType) *Spec {
	s := &Spec{CInfo: CreateInfo{Type: t}}
	s.BInfo.setType(t)
	return s
}

// setType makes t the kind of guest, and its part of the union an empty one.
func (b *BuildInfo) setType(t DomainType) {
	b.Type, b.HVM, b.PV, b.PVH = t, nil, nil, nil
	switch t {
	case TypeHVM:
		b.HVM = new(HVMInfo)
	case TypePV:
		b.PV = new(PVInfo)
	case TypePVH:
		b.PVH = new(PVHInfo)
	}
}
