package domains

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"goxl/domains/config"
	"goxl/domains/policy"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// setDefaults fills in what a configuration leaves open, with what libxl of the
// running release would choose on this host, and refuses what the host cannot do
// (libxl__domain_config_setdefault). It can be repeated.
func (m *Manager) setDefaults(ctx context.Context, s *config.Spec) error {
	op := "create " + s.CInfo.Name.Value()
	phys, err := m.xen.PhysInfo()
	if err != nil {
		return m.hyper(0, "look at the host", err)
	}
	if err := m.setPool(ctx, op, s); err != nil {
		return err
	}
	c, b := &s.CInfo, &s.BInfo
	if c.Type != config.TypePV {
		if phys.Capabilities&(abi.CapHAP|abi.CapShadow) == 0 {
			return &Error{Kind: Unsupported, Op: op, Err: fmt.Errorf("this host has neither hardware assisted nor shadow paging: %w", errors.ErrUnsupported),
				Hint: `use type="pv", or switch on virtualisation in the firmware`}
		}
		c.HAP.SetDefault(phys.Capabilities&abi.CapHAP != 0)
		c.OOS.SetDefault(true)
	}
	if err := m.checkHost(op, s, phys.Capabilities); err != nil {
		return err
	}
	c.RunHotplugScripts.SetDefault(true)
	c.DriverDomain.SetDefault(false)
	if c.SSIDRef == 0 {
		c.SSIDRef = 11 // SECINITSID_DOMU: Xen ignores it without FLASK
	}
	c.XendSuspendEvtchnCompat.SetDefault(false)
	if c.Passthrough == config.PassthroughDefault {
		c.Passthrough = config.PassthroughDisabled
	}
	m.setMemoryDefaults(s)
	setVCPUDefaults(b)
	b.DeviceModelStubdom.SetDefault(false)
	b.VPMU.SetDefault(false)
	if b.DeviceModelVersion == config.DMUnknown {
		b.DeviceModelVersion = config.DMQEMUXen
	}
	b.BlkdevStart.SetDefault("xvda")
	b.NUMAPlacement.SetDefault(true)
	b.ClaimMode.SetDefault(false)
	b.LocalTime.SetDefault(false)
	b.DisableMigrate.SetDefault(false)
	for i := range b.IOMem {
		b.IOMem[i].GFN.SetDefault(b.IOMem[i].Start)
	}
	if b.EventChannels == 0 {
		b.EventChannels = 1023
	}
	b.ACPI.SetDefault(true)
	b.ArchX86.MSRRelaxed.SetDefault(false)
	b.DMRestrict.SetDefault(false)
	setGrantVersion(b, phys.Capabilities, m.xen.Has(xenctrl.GrantVersionLimit))
	setTypeDefaults(b)
	return nil
}

// checkHost refuses what this host's hardware or hypervisor cannot do.
func (m *Manager) checkHost(op string, s *config.Spec, caps uint32) error {
	no := func(what, hint string) error {
		return &Error{Kind: Unsupported, Op: op, Err: fmt.Errorf("%s: %w", what, errors.ErrUnsupported), Hint: hint}
	}
	switch {
	case s.CInfo.Type == config.TypePV && caps&abi.CapPV == 0 && m.xen.Version().AtLeast(4, 13):
		return no("this hypervisor was built without PV guests", `use type="pvh"`)
	case s.CInfo.Type == config.TypePVH && caps&abi.CapHVM == 0:
		return no("this host cannot run hardware assisted guests", `use type="pv", or switch on virtualisation in the firmware`)
	case s.CInfo.HAP == config.True && caps&abi.CapHAP == 0:
		return no("hap=1, but this host has no hardware assisted paging", "remove hap=")
	case s.CInfo.Type == config.TypePVH && s.CInfo.HAP == config.False && caps&abi.CapShadow == 0:
		return no("hap=0, but this hypervisor was built without shadow paging", "remove hap=")
	case s.BInfo.VPMU == config.True && caps&abi.CapVPMU == 0:
		return no("vpmu=1, but this host has no virtual performance counters", "remove vpmu=")
	}
	return nil
}

// setPool resolves the name or number of the cpupool.
func (m *Manager) setPool(ctx context.Context, op string, s *config.Spec) error {
	name, ok := s.CInfo.PoolName.Get()
	if !ok {
		return nil
	}
	pools, err := m.xen.CPUPools()
	if err != nil {
		return m.hyper(0, "list cpupools", err)
	}
	number, numErr := strconv.ParseUint(name, 10, 32)
	for _, p := range pools {
		known, err := m.PoolName(ctx, p.ID)
		if err != nil {
			return err
		}
		if numErr == nil && allDigits(name) && uint64(p.ID) == number || known == name {
			s.CInfo.PoolID = p.ID
			return nil
		}
	}
	return &Error{Kind: BadConfig, Op: op, Err: fmt.Errorf("pool=%q: there is no such cpupool", name), Hint: "see xl cpupool-list"}
}

// setMemoryDefaults fills in the sizes.
func (m *Manager) setMemoryDefaults(s *config.Spec) {
	b := &s.BInfo
	b.MaxMem.SetDefault(32 * 1024)
	b.TargetMem.SetDefault(b.MaxMem.Value())
	container := s.CInfo.Type != config.TypePV
	b.ShadowMem.SetDefault(policy.PagingMemory(m.xen.Version(), b.MaxMem.Value(), max(b.MaxVCPUs, 1),
		container, container && s.CInfo.HAP == config.True))
	b.StubdomMem.SetDefault(0)
	b.IOMMUMem.SetDefault(0)
	b.VideoMem.SetDefault(0)
}

func setVCPUDefaults(b *config.BuildInfo) {
	if b.MaxVCPUs == 0 {
		b.MaxVCPUs = 1
	}
	if b.AvailVCPUs == nil {
		b.AvailVCPUs = config.BitmapOf(0)
	}
	if !b.CPUMap.IsEmpty() && len(b.VCPUHardAffinity) == 0 {
		for range b.MaxVCPUs {
			b.VCPUHardAffinity = append(b.VCPUHardAffinity, append(config.Bitmap(nil), b.CPUMap...))
		}
	}
}

func setGrantVersion(b *config.BuildInfo, caps uint32, known bool) {
	switch {
	case !known || caps&(abi.CapGrantV1|abi.CapGrantV2) == 0:
		b.MaxGrantVersion.SetDefault(0)
	case caps&abi.CapGrantV2 != 0:
		b.MaxGrantVersion.SetDefault(2)
	default:
		b.MaxGrantVersion.SetDefault(1)
	}
}

func setTypeDefaults(b *config.BuildInfo) {
	if p := b.PV; p != nil {
		p.E820Host.SetDefault(false)
		p.SlackMem.SetDefault(0)
		return
	}
	if b.TimerMode == config.TimerModeDefault {
		b.TimerMode = config.TimerModeNoDelayForMissedTicks
	}
	b.APIC.SetDefault(true)
	b.NestedHVM.SetDefault(false)
	if p := b.PVH; p != nil {
		p.PVShim.SetDefault(false)
		if p.PVShim == config.True {
			p.PVShimPath.SetDefault("/usr/lib/xen/boot/xen-shim")
			p.PVShimCmdline.SetDefault("pv-shim console=xen,pv")
		}
	}
}
