package abi

// Flags of CreateDomain. Source: domctl.h, XEN_DOMCTL_CDF_*.
const (
	CreateHVM         = 1 << 0 // HVM and PVH guests
	CreateHAP         = 1 << 1 // hardware-assisted paging; HVM and PVH only
	CreateS3Integrity = 1 << 2
	CreateOOSOff      = 1 << 3
	CreateXenstore    = 1 << 4 // the domain that runs xenstore
	CreateIOMMU       = 1 << 5 // needed for devices, also hot-plugged ones
	CreateNestedVirt  = 1 << 6 // 4.15
	CreateVPMU        = 1 << 7 // 4.16
	IOMMUNoSharePT    = 1 << 0 // in IOMMUOpts: XEN_DOMCTL_IOMMU_no_sharept
	MiscRelaxedMSR    = 1 << 0 // in MiscFlags: XEN_X86_MSR_RELAXED, 4.15
	GrantVersionMask  = 0xf    // in grant_opts: the highest grant version
	HostDefault       = -1     // MaxGrantFrames, MaxMaptrackFrames: the host's default
	UnlimitedPorts    = -1     // MaxEvtchnPort: as many as the ABI has
	EmuLAPIC          = 1 << 0 // emulation flags: all that a PVH guest has
	EmuPIT            = 1 << 8
	EmuUsePIRQ        = 1 << 9
	EmuVPCI           = 1 << 10
	EmuPVH            = EmuLAPIC
	EmuHVM            = 0x1ff // every device, without PIRQs over event channels
	EmuHVMWithPIRQ    = 0x3ff // what releases up to 4.18 require of HVM
)

// CreateDomain is what a new domain is made of. Limits cannot be changed later.
type CreateDomain struct {
	SSIDRef           uint32 // FLASK label; 0 is the default
	Handle            UUID
	Flags             uint32 // Create…
	IOMMUOpts         uint32
	MaxVCPUs          uint32 // SetMaxVCPUs must be given the same number
	MaxEvtchnPort     int32
	MaxGrantFrames    int32
	MaxMaptrackFrames int32
	GrantVersion      uint8  // highest grant table version, 1 or 2; a field since 4.16
	Altp2mMode        uint16 // since 4.19
	Altp2mCount       uint16 // since 4.21
	VMTraceBytes      uint32 // since 4.15
	CPUPool           uint32 // since 4.17
	EmulationFlags    uint32
	MiscFlags         uint32 // since 4.15
}

// CreateDomainSize returns sizeof(struct xen_domctl_createdomain) in v.
func CreateDomainSize(v Version) int {
	switch {
	case v.Domctl >= 0x17:
		return 68
	case v.Domctl >= 0x15:
		return 64
	case v.Domctl >= 0x14:
		return 60
	case v.Domctl >= 0x13:
		return 56
	}
	return 48
}

// AppendCreateDomain appends c as hypervisor v reads it. The tail grew with the
// domctl number: 0x13 vmtrace_size and misc_flags, 0x14 grant_opts, 0x15
// cpupool_id, 0x17 altp2m_opts, which release 4.21 split into two halves.
// A set field that v lacks is an UnsupportedError.
func AppendCreateDomain(b []byte, v Version, c *CreateDomain) ([]byte, error) {
	if err := c.supportedBy(v); err != nil {
		return nil, err
	}
	b = append32(b, c.SSIDRef)
	b = append(b, c.Handle[:]...)
	b = append32(b, c.Flags, c.IOMMUOpts, c.MaxVCPUs, uint32(c.MaxEvtchnPort))
	b = append32(b, uint32(c.MaxGrantFrames), uint32(c.MaxMaptrackFrames))
	if v.Domctl >= 0x14 {
		b = append32(b, uint32(c.GrantVersion))
	}
	if v.Domctl >= 0x17 {
		b = append16(b, c.Altp2mMode, c.Altp2mCount) // before 4.21 one u32, upper half 0
	}
	if v.Domctl >= 0x13 {
		b = append32(b, c.VMTraceBytes)
	}
	if v.Domctl >= 0x15 {
		b = append32(b, c.CPUPool) // before that: cpupool_op after creation
	}
	b = append32(b, c.EmulationFlags)
	if v.Domctl >= 0x13 {
		b = append32(b, c.MiscFlags)
	}
	return b, nil
}

// supportedBy refuses fields that v would read as something else.
func (c *CreateDomain) supportedBy(v Version) error {
	need := func(what, since string) error {
		return &UnsupportedError{What: what, Since: "Xen " + since, Have: v}
	}
	switch {
	case v.Domctl < 0x13 && c.Flags&CreateNestedVirt != 0:
		return need("nested virtualisation as a creation flag", "4.15")
	case v.Domctl < 0x13 && c.VMTraceBytes != 0:
		return need("vmtrace", "4.15")
	case v.Domctl < 0x14 && c.Flags&CreateVPMU != 0:
		return need("a vPMU per domain", "4.16")
	case v.Domctl < 0x14 && c.GrantVersion == 1:
		return need("a limit on the grant table version", "4.16")
	case v.Domctl < 0x17 && c.Altp2mMode != 0:
		return need("altp2m as a creation option", "4.19")
	case v.before(4, 21) && c.Altp2mCount != 0:
		return need("the number of altp2m views", "4.21")
	}
	return nil // relaxed MSRs before 4.15 are how every domain behaves
}
