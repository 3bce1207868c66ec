package config

// The enumerations of a Spec. The zero value of each is what libxl assumes when
// nothing is said, so some are numbered differently from libxl's. String returns
// the text that libxl uses in JSON, or "" for a value that has none.

// enum is implemented by every enumeration.
type enum interface {
	~int
	texts() []string
}

// enumText returns the text of value v, or "" if it has none.
func enumText(texts []string, v int) string {
	if v < 0 || v >= len(texts) {
		return ""
	}
	return texts[v]
}

// DomainType is a kind of guest. Source: libxl_domain_type.
type DomainType int

// The values of DomainType.
const (
	TypeInvalid DomainType = iota
	TypeHVM
	TypePV
	TypePVH
)

func (v DomainType) String() string { return enumText(v.texts(), int(v)) }

func (DomainType) texts() []string {
	return []string{"invalid", "hvm", "pv", "pvh"}
}

// Action is what to do when a guest has ended. Source: libxl_action_on_shutdown.
type Action int

// The values of Action.
const (
	ActionDestroy Action = iota
	ActionRestart
	ActionRestartRename
	ActionPreserve
	ActionCoredumpDestroy
	ActionCoredumpRestart
	ActionSoftReset
)

func (v Action) String() string { return enumText(v.texts(), int(v)) }

func (Action) texts() []string {
	return []string{
		"destroy", "restart", "restart_rename", "preserve", "coredump_destroy", "coredump_restart",
		"soft_reset",
	}
}

// Passthrough says how the IOMMU is used for a guest. Source: libxl_passthrough.
type Passthrough int

// The values of Passthrough.
const (
	PassthroughDefault Passthrough = iota
	PassthroughDisabled
	PassthroughEnabled
	PassthroughSyncPT
	PassthroughSharePT
)

func (v Passthrough) String() string { return enumText(v.texts(), int(v)) }

func (Passthrough) texts() []string {
	return []string{"default", "disabled", "enabled", "sync_pt", "share_pt"}
}

// TSCMode says what the guest sees as time stamp counter; the numbers are Xen's. Source: libxl_tsc_mode.
type TSCMode int

// The values of TSCMode.
const (
	TSCDefault TSCMode = iota
	TSCAlwaysEmulate
	TSCNative
	TSCNativeParavirt
)

func (v TSCMode) String() string { return enumText(v.texts(), int(v)) }

func (TSCMode) texts() []string {
	return []string{"default", "always_emulate", "native", "native_paravirt"}
}

// TimerMode says what happens to missed timer ticks; HVM_PARAM_TIMER_MODE is one less. Source: libxl_timer_mode.
type TimerMode int

// The values of TimerMode.
const (
	TimerModeDefault TimerMode = iota
	TimerModeDelayForMissedTicks
	TimerModeNoDelayForMissedTicks
	TimerModeNoMissedTicksPending
	TimerModeOneMissedTickPending
)

func (v TimerMode) String() string { return enumText(v.texts(), int(v)) }

func (TimerMode) texts() []string {
	return []string{
		"unknown", "delay_for_missed_ticks", "no_delay_for_missed_ticks", "no_missed_ticks_pending",
		"one_missed_tick_pending",
	}
}

// Scheduler is a scheduler of the hypervisor; Xen's number is three more. Source: libxl_scheduler.
type Scheduler int

// The values of Scheduler.
const (
	SchedUnknown Scheduler = iota
	SchedSEDF
	SchedCredit
	SchedCredit2
	SchedARINC653
	SchedRTDS
	SchedNull
)

func (v Scheduler) String() string { return enumText(v.texts(), int(v)) }

func (Scheduler) texts() []string {
	return []string{"unknown", "sedf", "credit", "credit2", "arinc653", "rtds", "null"}
}

// DeviceModelVersion is a kind of device model. Source: libxl_device_model_version.
type DeviceModelVersion int

// The values of DeviceModelVersion.
const (
	DMUnknown DeviceModelVersion = iota
	DMQEMUXenTraditional
	DMQEMUXen
)

func (v DeviceModelVersion) String() string { return enumText(v.texts(), int(v)) }

func (DeviceModelVersion) texts() []string {
	return []string{"unknown", "qemu_xen_traditional", "qemu_xen"}
}

// TEEType is an Arm guest's trusted execution environment. Source: libxl_tee_type.
type TEEType int

// The values of TEEType.
const (
	TEENone TEEType = iota
	TEEOPTEE
	TEEFFA
)

func (v TEEType) String() string { return enumText(v.texts(), int(v)) }

func (TEEType) texts() []string {
	return []string{"none", "optee", "ffa"}
}

// GICVersion is an Arm guest's interrupt controller. Source: libxl_gic_version.
type GICVersion int

// The values of GICVersion.
const (
	GICDefault GICVersion = iota
	GICV2
	GICV3
)

func (v GICVersion) String() string { return enumText(v.texts(), int(v)) }

func (GICVersion) texts() []string {
	return []string{"default", "v2", "v3"}
}

// VUARTType is an Arm guest's emulated serial port. Source: libxl_vuart_type.
type VUARTType int

// The values of VUARTType.
const (
	VUARTUnknown VUARTType = iota
	VUARTSBSA
)

func (v VUARTType) String() string { return enumText(v.texts(), int(v)) }

func (VUARTType) texts() []string {
	return []string{"unknown", "sbsa_uart"}
}

// SVEType is an Arm guest's vector length: disabled, the host's, or 128 bits times SVEType-1. Source: libxl_sve_type.
type SVEType int

// The values of SVEType.
const (
	SVEDisabled SVEType = iota
	SVEHW
	SVE128
	SVE256
	SVE384
	SVE512
	SVE640
	SVE768
	SVE896
	SVE1024
	SVE1152
	SVE1280
	SVE1408
	SVE1536
	SVE1664
	SVE1792
	SVE1920
	SVE2048
)

func (v SVEType) String() string { return enumText(v.texts(), int(v)) }

func (SVEType) texts() []string {
	return []string{
		"disabled", "hw", "128", "256", "384", "512", "640", "768", "896", "1024", "1152", "1280",
		"1408", "1536", "1664", "1792", "1920", "2048",
	}
}

// ArmSCIType is an Arm guest's system control interface. Source: libxl_arm_sci_type.
type ArmSCIType int

// The values of ArmSCIType.
const (
	ArmSCINone ArmSCIType = iota
	ArmSCISCMISMC
)

func (v ArmSCIType) String() string { return enumText(v.texts(), int(v)) }

func (ArmSCIType) texts() []string {
	return []string{"none", "scmi_smc"}
}

// Altp2mMode says who may use alternate physical-to-machine maps; the numbers are HVM_PARAM_ALTP2M's. Source: libxl_altp2m_mode.
type Altp2mMode int

// The values of Altp2mMode.
const (
	Altp2mDisabled Altp2mMode = iota
	Altp2mMixed
	Altp2mExternal
	Altp2mLimited
)

func (v Altp2mMode) String() string { return enumText(v.texts(), int(v)) }

func (Altp2mMode) texts() []string {
	return []string{"disabled", "mixed", "external", "limited"}
}

// BIOSType is an HVM guest's firmware. Source: libxl_bios_type.
type BIOSType int

// The values of BIOSType.
const (
	BIOSUnknown BIOSType = iota
	BIOSROMBIOS
	BIOSSeaBIOS
	BIOSOVMF
)

func (v BIOSType) String() string { return enumText(v.texts(), int(v)) }

func (BIOSType) texts() []string {
	return []string{"unknown", "rombios", "seabios", "ovmf"}
}

// HDType is the emulated disk controller. Source: libxl_hdtype.
type HDType int

// The values of HDType.
const (
	HDIDE HDType = iota
	HDAHCI
)

func (v HDType) String() string { return enumText(v.texts(), int(v)) }

func (HDType) texts() []string {
	return []string{"ide", "ahci"}
}

// VGAKind is the emulated graphics card. Source: libxl_vga_interface_type.
type VGAKind int

// The values of VGAKind.
const (
	VGAUnknown VGAKind = iota
	VGACirrus
	VGAStd
	VGANone
	VGAQXL
)

func (v VGAKind) String() string { return enumText(v.texts(), int(v)) }

func (VGAKind) texts() []string {
	return []string{"unknown", "cirrus", "std", "none", "qxl"}
}

// GfxPassthruKind is a kind of graphics card given to the guest. Source: libxl_gfx_passthru_kind.
type GfxPassthruKind int

// The values of GfxPassthruKind.
const (
	GfxPassthruDefault GfxPassthruKind = iota
	GfxPassthruIGD
)

func (v GfxPassthruKind) String() string { return enumText(v.texts(), int(v)) }

func (GfxPassthruKind) texts() []string {
	return []string{"default", "igd"}
}

// VendorDevice is an extra PCI device for a vendor's drivers. Source: libxl_vendor_device.
type VendorDevice int

// The values of VendorDevice.
const (
	VendorDeviceNone VendorDevice = iota
	VendorDeviceXenServer
)

func (v VendorDevice) String() string { return enumText(v.texts(), int(v)) }

func (VendorDevice) texts() []string {
	return []string{"none", "xenserver"}
}

// RDMStrategy says which reserved device memory counts. Source: libxl_rdm_reserve_strategy.
type RDMStrategy int

// The values of RDMStrategy.
const (
	RDMIgnore RDMStrategy = iota
	RDMHost
)

func (v RDMStrategy) String() string { return enumText(v.texts(), int(v)) }

func (RDMStrategy) texts() []string {
	return []string{"ignore", "host"}
}

// RDMPolicy says what a conflict with reserved device memory does. Source: libxl_rdm_reserve_policy.
type RDMPolicy int

// The values of RDMPolicy.
const (
	RDMPolicyUnset RDMPolicy = iota
	RDMStrict
	RDMRelaxed
)

func (v RDMPolicy) String() string { return enumText(v.texts(), int(v)) }

func (RDMPolicy) texts() []string {
	return []string{"invalid", "strict", "relaxed"}
}

// SMBIOSType names an SMBIOS string. Source: libxl_smbios_type.
type SMBIOSType int

// The values of SMBIOSType.
const (
	SMBIOSUnset SMBIOSType = iota
	SMBIOSBIOSVendor
	SMBIOSBIOSVersion
	SMBIOSSystemManufacturer
	SMBIOSSystemProductName
	SMBIOSSystemVersion
	SMBIOSSystemSerialNumber
	SMBIOSBaseboardManufacturer
	SMBIOSBaseboardProductName
	SMBIOSBaseboardVersion
	SMBIOSBaseboardSerialNumber
	SMBIOSBaseboardAssetTag
	SMBIOSBaseboardLocationInChassis
	SMBIOSEnclosureManufacturer
	SMBIOSEnclosureSerialNumber
	SMBIOSEnclosureAssetTag
	SMBIOSBatteryManufacturer
	SMBIOSBatteryDeviceName
	SMBIOSOEM
)

func (v SMBIOSType) String() string { return enumText(v.texts(), int(v)) }

func (SMBIOSType) texts() []string {
	return []string{
		"", "bios_vendor", "bios_version", "system_manufacturer", "system_product_name",
		"system_version", "system_serial_number", "baseboard_manufacturer", "baseboard_product_name",
		"baseboard_version", "baseboard_serial_number", "baseboard_asset_tag",
		"baseboard_location_in_chassis", "enclosure_manufacturer", "enclosure_serial_number",
		"enclosure_asset_tag", "battery_manufacturer", "battery_device_name", "oem",
	}
}
