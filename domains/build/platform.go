package build

import (
	"context"
	"fmt"

	"goxl/domains/policy"
	"goxl/xenctrl/abi"
)

// setLimits makes the vcpus, places them, and sets how much memory the domain
// may own.
func (b *builder) setLimits(context.Context) error {
	if err := b.h.SetMaxVCPUs(b.dom, uint32(b.p.VCPUs)); err != nil {
		return err
	}
	if err := b.place(); err != nil {
		return err
	}
	if err := b.setAffinity(); err != nil {
		return err
	}
	return b.h.SetMaxMem(b.dom, b.p.Target+policy.MaxMemSlack)
}

// setAffinity pins the vcpus as was asked for.
func (b *builder) setAffinity() error {
	p := b.p
	for i := range min(p.VCPUs, max(len(p.HardAffinity), len(p.SoftAffinity))) {
		var hard, soft abi.Bitmap
		if i < len(p.HardAffinity) {
			hard = abi.Bitmap(p.HardAffinity[i])
		}
		if i < len(p.SoftAffinity) {
			soft = abi.Bitmap(p.SoftAffinity[i])
		}
		if len(hard) == 0 && len(soft) == 0 {
			continue
		}
		if _, _, err := b.h.SetVCPUAffinity(b.dom, uint32(i), hard, soft); err != nil {
			return fmt.Errorf("pin vcpu %d: %w", i, err)
		}
	}
	return nil
}

// allocatePorts makes the guest's ends of the two event channels, unless the
// caller did.
func (b *builder) allocatePorts(context.Context) error {
	for _, r := range []struct {
		want Ring
		got  *BuiltRing
	}{{b.p.Store, &b.res.Store}, {b.p.Console, &b.res.Console}} {
		r.got.Port = r.want.Port
		if r.got.Port != 0 {
			continue
		}
		port, err := b.h.EvtchnAllocUnbound(b.dom, r.want.Remote)
		if err != nil {
			return err
		}
		r.got.Port = port
	}
	return nil
}

// setPlatform sets what surrounds the vcpus: timers, clock, memory map, and the
// pool for a translated guest's page tables.
func (b *builder) setPlatform(context.Context) error {
	p := b.p
	if p.Kind == PVH {
		if err := b.h.SetHVMParam(b.dom, abi.ParamTimerMode, p.TimerMode); err != nil {
			return err
		}
		if p.Altp2m != 0 && !b.h.Version().AtLeast(4, 19) {
			if err := b.h.SetHVMParam(b.dom, abi.ParamAltp2m, p.Altp2m); err != nil {
				return err
			}
		}
	}
	if p.Kind == PV {
		if err := b.setPVMemoryMap(); err != nil {
			return err
		}
	}
	if err := b.h.SetTSCInfo(b.dom, abi.TSCInfo{Mode: uint32(p.TSC)}); err != nil {
		return err
	}
	if s := int64(p.TimeOffset.Seconds()); s != 0 {
		if err := b.h.SetTimeOffset(b.dom, s); err != nil {
			return err
		}
	}
	if p.Kind == PVH {
		if err := b.h.SetPagingMempool(b.dom, p.Paging); err != nil {
			return err
		}
		b.res.Paging = p.Paging
	}
	return nil
}

// setPVMemoryMap tells a PV guest its memory: what it may grow to from 0 on, or
// the host's map cut to the guest's size.
func (b *builder) setPVMemoryMap() error {
	all := []abi.E820Entry{{Size: uint64(b.p.MaxMem+b.p.Slack) << 10, Type: abi.E820RAM}}
	if b.p.E820Host {
		host, err := b.h.MachineMemoryMap()
		if err != nil {
			return err
		}
		if all, err = hostMap(host, b.p.Target, b.p.MaxMem-b.p.Target+b.p.Slack); err != nil {
			return err
		}
	}
	return b.h.SetMemoryMap(b.dom, all)
}

// setCPUPolicy sets what the guest's CPUID says. A guest that was saved brings
// what it is used to.
func (b *builder) setCPUPolicy(context.Context) error {
	if b.p.Source != nil {
		return nil
	}
	index := uint32(abi.PolicyPVDefault)
	if b.p.Kind == PVH {
		index = abi.PolicyHVMDefault
	}
	var c policy.CPUs
	var err error
	if c.Default, err = b.h.SystemCPUPolicy(index); err != nil {
		return err
	}
	if c.Host, err = b.h.SystemCPUPolicy(abi.PolicyHost); err != nil {
		return err
	}
	pol, err := policy.CPU(c, policy.Traits{
		Container:    b.p.Kind == PVH,
		InvariantTSC: b.p.NoMigrate || b.p.TSC == TSCEmulate,
		NestedVirt:   b.p.NestedHVM,
	}, b.p.CPUPolicy)
	if err != nil {
		return err
	}
	return b.h.SetCPUPolicy(b.dom, pol)
}
