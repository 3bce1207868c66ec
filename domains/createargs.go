package domains

import (
	"goxl/domains/config"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// createArgs is what Xen is told when the domain is made (libxl_create.c,
// libxl__domain_make, and libxl_x86.c). What the running release lacks is left
// out where libxl of that release does, and refused by the hypercall's encoder
// otherwise.
func (m *Manager) createArgs(s *config.Spec) *xenctrl.CreateDomain {
	b := &s.BInfo
	args := &xenctrl.CreateDomain{
		SSIDRef:           s.CInfo.SSIDRef,
		Handle:            s.CInfo.UUID,
		MaxVCPUs:          uint32(b.MaxVCPUs),
		MaxEvtchnPort:     int32(b.EventChannels),
		MaxGrantFrames:    frames(b.MaxGrantFrames),
		MaxMaptrackFrames: frames(b.MaxMaptrackFrames),
		VMTraceBytes:      uint32(b.VMTraceBufKB+3) &^ 3 << 10,
		CPUPool:           s.CInfo.PoolID,
	}
	if m.xen.Has(xenctrl.GrantVersionLimit) {
		args.GrantVersion = uint8(b.MaxGrantVersion.Value())
	}
	if s.CInfo.Type != config.TypePV {
		args.Flags |= abi.CreateHVM
		args.EmulationFlags = abi.EmuPVH
		if s.CInfo.HAP == config.True {
			args.Flags |= abi.CreateHAP
		}
		if s.CInfo.OOS == config.False {
			args.Flags |= abi.CreateOOSOff
		}
		if b.NestedHVM == config.True && m.xen.Has(xenctrl.NestedVirtAtCreate) {
			args.Flags |= abi.CreateNestedVirt
		}
		if m.xen.Has(xenctrl.Altp2mAtCreate) {
			args.Altp2mMode = uint16(b.Altp2m)
		}
		if m.xen.Has(xenctrl.Altp2mCount) && b.Altp2m != config.Altp2mDisabled {
			args.Altp2mCount = uint16(b.Altp2mCount.Or(10))
		}
	}
	if b.VPMU == config.True {
		args.Flags |= abi.CreateVPMU
	}
	if b.ArchX86.MSRRelaxed == config.True && m.xen.Has(xenctrl.RelaxedMSR) {
		args.MiscFlags |= abi.MiscRelaxedMSR
	}
	return args
}

// frames is a limit of grant frames; without one Xen's own counts.
func frames(o config.Opt[uint32]) int32 {
	if n, ok := o.Get(); ok {
		return int32(n)
	}
	return abi.HostDefault
}
