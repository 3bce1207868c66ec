package xenctrl_test

import (
	"context"
	"syscall"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// refusals are what Xen 4.14, 4.17 and 4.20 answered, as Debian builds them.
func refusals() []refusal {
	ctx := context.Background()
	return []refusal{
		{"create with an unknown flag", creating(func(d *xenctrl.CreateDomain) { d.Flags = 1 << 30 }), syscall.EINVAL, 14},
		{"create PV with HAP", creating(func(d *xenctrl.CreateDomain) { d.Flags = abi.CreateHAP }), syscall.EINVAL, 14},
		{"create without vcpus", creating(func(d *xenctrl.CreateDomain) { d.MaxVCPUs = 0 }), syscall.EINVAL, 14},
		{"create with too many vcpus", creating(func(d *xenctrl.CreateDomain) { d.MaxVCPUs = 8193 }), syscall.EINVAL, 14},
		{"create without grant frames", creating(func(d *xenctrl.CreateDomain) { d.MaxGrantFrames = 0 }), syscall.EINVAL, 14},
		{"create with grant version 3", creating(func(d *xenctrl.CreateDomain) { d.GrantVersion = 3 }), syscall.EINVAL, 16},
		{"create PV with devices", creating(func(d *xenctrl.CreateDomain) { d.EmulationFlags = 3 }), syscall.EOPNOTSUPP, 14},
		{"create with an IOMMU there is none of", creating(func(d *xenctrl.CreateDomain) { d.Flags = abi.CreateIOMMU }), syscall.EINVAL, 14},
		{"create with IOMMU options only", creating(func(d *xenctrl.CreateDomain) { d.IOMMUOpts = 1 }), syscall.EINVAL, 14},
		{"create in a pool there is none of", creating(func(d *xenctrl.CreateDomain) { d.CPUPool = 77 }), syscall.ESRCH, 17},
		{"create with a taken id", func(h *xenctrl.Handle, f fixture) error {
			_, err := h.CreateDomainAs(f.pv, &xenctrl.CreateDomain{MaxVCPUs: 1, MaxGrantFrames: -1, MaxMaptrackFrames: -1})
			return err
		}, syscall.EEXIST, 14},
		{"another number of vcpus", func(h *xenctrl.Handle, f fixture) error { return h.SetMaxVCPUs(f.pv, 3) }, syscall.EINVAL, 14},
		{"pause domain 0", func(h *xenctrl.Handle, f fixture) error { return h.Pause(0) }, syscall.EINVAL, 14},
		{"destroy domain 0", func(h *xenctrl.Handle, f fixture) error { return h.DestroyDomain(ctx, 0) }, syscall.EINVAL, 14},
		{"destroy no domain", func(h *xenctrl.Handle, f fixture) error { return h.DestroyDomain(ctx, none) }, syscall.ESRCH, 14},
		{"32-bit PV", func(h *xenctrl.Handle, f fixture) error { return h.SetAddressSize(f.pv, 32) }, syscall.EOPNOTSUPP, 14},
		{"paging pool of PV", func(h *xenctrl.Handle, f fixture) error { return h.SetPagingMempool(f.pv, 1024) }, syscall.EOPNOTSUPP, 17},
		{"claim above the limit", func(h *xenctrl.Handle, f fixture) error { return h.ClaimPages(f.pv, 1<<30) }, syscall.EINVAL, 14},
		{"claim no more than owned", func(h *xenctrl.Handle, f fixture) error { return h.ClaimPages(f.pv, 1) }, syscall.EINVAL, 14},
		{"populate above the limit", func(h *xenctrl.Handle, f fixture) error {
			return count(h.Populate(ctx, f.pv, []xenctrl.PFN{1 << 20}, 13, 0, nil))
		}, errNone, 14},
		{"take what it does not own", func(h *xenctrl.Handle, f fixture) error {
			return count(h.DecreaseReservation(ctx, f.pv, []xenctrl.GFN{1}, 0))
		}, errNone, 14},
		{"map what PV does not own", mapping(func(f fixture) xenctrl.DomID { return f.pv }, 0x10), syscall.EPERM, 14},
		{"map of no domain", mapping(func(fixture) xenctrl.DomID { return none }, 0x10), syscall.ESRCH, 14},
		{"map a hole of PVH", mapping(func(f fixture) xenctrl.DomID { return f.pvh }, 0x10), syscall.EINVAL, 14},
		{"HVM parameter of PV", func(h *xenctrl.Handle, f fixture) error { return h.SetHVMParam(f.pv, 1, 1) }, syscall.EINVAL, 14},
		{"HVM parameter out of range", func(h *xenctrl.Handle, f fixture) error { return h.SetHVMParam(f.pvh, 99, 1) }, syscall.EINVAL, 14},
		{"HVM parameter that is gone", func(h *xenctrl.Handle, f fixture) error { return h.SetHVMParam(f.pvh, 13, 1) }, syscall.EINVAL, 14},
		{"nested virtualisation as a parameter", func(h *xenctrl.Handle, f fixture) error {
			return h.SetHVMParam(f.pvh, abi.ParamNestedHVM, 1)
		}, syscall.EINVAL, 15},
		{"altp2m as a parameter", func(h *xenctrl.Handle, f fixture) error {
			return h.SetHVMParam(f.pvh, abi.ParamAltp2m, 1)
		}, syscall.EEXIST, 19},
		{"HVM context of PV", func(h *xenctrl.Handle, f fixture) error { _, err := h.HVMContext(f.pv); return err }, syscall.EINVAL, 14},
		{"HVM context without a header", func(h *xenctrl.Handle, f fixture) error {
			return h.SetHVMContext(f.pvh, make([]byte, 8))
		}, syscall.ENODATA, 14},
		{"context of a vcpu there is none of", func(h *xenctrl.Handle, f fixture) error {
			return h.SetVCPUContext(f.pv, 2, make([]byte, abi.VCPUContextSize))
		}, syscall.EINVAL, 14},
		{"context without page tables", func(h *xenctrl.Handle, f fixture) error {
			return h.SetVCPUContext(f.pv, 0, make([]byte, abi.VCPUContextSize))
		}, syscall.EINVAL, 14},
		{"pin what it does not own", func(h *xenctrl.Handle, f fixture) error { return h.PinTable(f.pv, 4, 1) }, syscall.EINVAL, 14},
		{"unpin what is not pinned", func(h *xenctrl.Handle, f fixture) error { return h.UnpinTable(f.pv, f.page) }, syscall.EINVAL, 14},
		{"event channel of no domain", func(h *xenctrl.Handle, f fixture) error {
			_, err := h.EvtchnAllocUnbound(none, 0)
			return err
		}, syscall.ESRCH, 14},
		{"status of a port there is none of", func(h *xenctrl.Handle, f fixture) error {
			_, err := h.EvtchnStatus(f.pv, 100000)
			return err
		}, syscall.EINVAL, 14},
		{"grant table of no domain", func(h *xenctrl.Handle, f fixture) error {
			_, err := h.GrantSetupTable(none, 1)
			return err
		}, syscall.ESRCH, 14},
		{"grant resource of no domain", resource(func(fixture) xenctrl.DomID { return none }, 0), syscall.ESRCH, 14},
		{"grant resource beyond the limit", resource(func(f fixture) xenctrl.DomID { return f.pv }, 5000), syscall.EINVAL, 14},
		{"no CPU to run on", func(h *xenctrl.Handle, f fixture) error {
			_, _, err := h.SetVCPUAffinity(f.pv, 0, xenctrl.CPUMap{0}, nil)
			return err
		}, syscall.EINVAL, 14},
		{"no node at all", func(h *xenctrl.Handle, f fixture) error {
			return h.SetNodeAffinity(f.pv, xenctrl.NodeMap{0})
		}, syscall.EINVAL, 14},
		{"another scheduler", func(h *xenctrl.Handle, f fixture) error {
			_, err := h.SchedParams(f.pv, abi.SchedRTDS)
			return err
		}, syscall.EINVAL, 14},
		{"a trigger for a vcpu there is none of", func(h *xenctrl.Handle, f fixture) error {
			return h.SendTrigger(f.pv, abi.TriggerNMI, 7)
		}, syscall.ESRCH, 14},
		{"physmap of PV", func(h *xenctrl.Handle, f fixture) error {
			return h.AddToPhysmap(f.pv, abi.SpaceGrantTable, 0, 0x100, 0)
		}, syscall.EACCES, 14},
		{"remove a hole", func(h *xenctrl.Handle, f fixture) error { return h.RemoveFromPhysmap(f.pvh, 0x5000) }, syscall.ENOENT, 14},
		{"an unknown leaf", func(h *xenctrl.Handle, f fixture) error {
			return h.SetCPUPolicy(f.pv, xenctrl.CPUPolicy{Leaves: []xenctrl.CPUIDLeaf{{Leaf: 0x3fffffff, Subleaf: abi.NoSubleaf}}})
		}, syscall.ERANGE, 14},
		{"move to a pool there is none of", func(h *xenctrl.Handle, f fixture) error {
			return h.MoveDomainToCPUPool(f.pv, 77)
		}, syscall.ENOENT, 14},
		{"destroy pool 0", func(h *xenctrl.Handle, f fixture) error { return h.DestroyCPUPool(0) }, syscall.EBUSY, 14},
	}
}

func mapping(dom func(fixture) xenctrl.DomID, frame xenctrl.GFN) func(*xenctrl.Handle, fixture) error {
	return func(h *xenctrl.Handle, f fixture) error {
		m, err := h.MapForeign(dom(f), []xenctrl.GFN{frame}, xenctrl.ProtRead)
		if err == nil {
			_ = m.Close()
		}
		return err
	}
}

func resource(dom func(fixture) xenctrl.DomID, first uint64) func(*xenctrl.Handle, fixture) error {
	return func(h *xenctrl.Handle, f fixture) error {
		m, err := h.MapResource(dom(f), xenctrl.Resource{Type: abi.ResourceGrantTable}, first, 1, xenctrl.ProtRead)
		if err == nil {
			_ = m.Close()
		}
		return err
	}
}
