package xenctrl

import "goxl/xenctrl/abi"

// SetMaxVCPUs allocates the vcpus of a new domain. The number is the one given
// to CreateDomain; what needs vcpus (affinity, paging pool) works from then on.
func (h *Handle) SetMaxVCPUs(id DomID, n uint32) error {
	return h.domctl("set max vcpus", abi.DomctlMaxVCPUs, id, abi.AppendMaxVCPUs(nil, n))
}

// SetMaxMem sets the most memory that domain id may own. It may be less than
// what it owns now.
func (h *Handle) SetMaxMem(id DomID, max KiB) error {
	return h.domctl("set max mem", abi.DomctlMaxMem, id, abi.AppendMaxMem(nil, uint64(max)))
}

// SetAddressSize makes a PV domain a 32-bit or 64-bit one. It must be called
// before the domain has memory.
func (h *Handle) SetAddressSize(id DomID, bits uint32) error {
	return h.domctl("set address size", abi.DomctlSetAddressSize, id, abi.AppendAddressSize(nil, bits))
}

// AddressSize returns 32 or 64, the width of a PV domain.
func (h *Handle) AddressSize(id DomID) (uint32, error) {
	const op = "get address size"
	c, err := h.begin(0)
	if err != nil {
		return 0, &OpError{op, id, err}
	}
	defer c.end()
	_, b, err := c.domctl(op, abi.DomctlGetAddressSize, id)
	if err != nil {
		return 0, err
	}
	return abi.ParseAddressSize(b), nil
}

// SetDomainHandle gives domain id another UUID.
func (h *Handle) SetDomainHandle(id DomID, u UUID) error {
	return h.domctl("set handle", abi.DomctlSetDomainHandle, id, abi.AppendDomainHandle(nil, u))
}

// SetDebugging lets a debugger stop domain id, or no longer.
func (h *Handle) SetDebugging(id DomID, on bool) error {
	return h.domctl("set debugging", abi.DomctlSetDebugging, id, abi.AppendSetDebugging(nil, on))
}

// HypercallInit makes frame the hypercall page of domain id.
func (h *Handle) HypercallInit(id DomID, frame GFN) error {
	return h.domctl("write hypercall page", abi.DomctlHypercallInit, id, abi.AppendHypercallInit(nil, uint64(frame)))
}

// SetTimeOffset sets what the wall clock of domain id shows, as seconds added
// to the host's UTC.
func (h *Handle) SetTimeOffset(id DomID, seconds int64) error {
	return h.domctl("set time offset", abi.DomctlSetTimeOffset, id, abi.AppendTimeOffset(nil, seconds))
}

// SetTSCInfo sets how domain id sees the time-stamp counter.
func (h *Handle) SetTSCInfo(id DomID, t TSCInfo) error {
	return h.domctl("set tsc info", abi.DomctlSetTSCInfo, id, abi.AppendTSCInfo(nil, t))
}

// TSCInfo returns how domain id sees the time-stamp counter.
func (h *Handle) TSCInfo(id DomID) (TSCInfo, error) {
	const op = "get tsc info"
	c, err := h.begin(0)
	if err != nil {
		return TSCInfo{}, &OpError{op, id, err}
	}
	defer c.end()
	_, b, err := c.domctl(op, abi.DomctlGetTSCInfo, id)
	if err != nil {
		return TSCInfo{}, err
	}
	return abi.ParseTSCInfo(b), nil
}

// SendTrigger sends abi.TriggerPower and the like to a vcpu of domain id.
func (h *Handle) SendTrigger(id DomID, trigger, vcpu uint32) error {
	return h.domctl("send trigger", abi.DomctlSendTrigger, id, abi.AppendSendTrigger(nil, trigger, vcpu))
}

// SetTarget lets stub domain id be the device model of target.
func (h *Handle) SetTarget(id, target DomID) error {
	return h.domctl("set target", abi.DomctlSetTarget, id, abi.AppendSetTarget(nil, target))
}

// SetVIRQHandler sends a global VIRQ to domain id instead of domain 0.
func (h *Handle) SetVIRQHandler(id DomID, virq uint32) error {
	return h.domctl("set virq handler", abi.DomctlSetVIRQHandler, id, abi.AppendVIRQHandler(nil, virq))
}

// SetIRQPermission allows domain id a physical interrupt, or no longer.
func (h *Handle) SetIRQPermission(id DomID, pirq uint32, allow bool) error {
	const op = "set irq permission"
	arg, err := abi.AppendIRQPermission(nil, h.version, pirq, allow)
	if err != nil {
		return &OpError{op, id, err}
	}
	return h.domctl(op, abi.DomctlIRQPermission, id, arg)
}

// SetGSIPermission allows domain id a GSI, or no longer. Needs Xen 4.20.
func (h *Handle) SetGSIPermission(id DomID, gsi uint32, allow bool) error {
	const op = "set gsi permission"
	if !h.Has(GSIPermission) {
		return &OpError{op, id, &abi.UnsupportedError{What: "gsi_permission", Since: "Xen 4.20", Have: h.version}}
	}
	return h.domctl(op, abi.DomctlGSIPermission, id, abi.AppendGSIPermission(nil, gsi, allow))
}

// SetIOMemPermission allows domain id n machine frames of I/O memory from first
// on, or no longer.
func (h *Handle) SetIOMemPermission(id DomID, first MFN, n uint64, allow bool) error {
	return h.domctl("set iomem permission", abi.DomctlIOMemPermission, id,
		abi.AppendIOMemPermission(nil, first, n, allow))
}

// SetIOPortPermission allows domain id n I/O ports from first on, or no longer.
func (h *Handle) SetIOPortPermission(id DomID, first, n uint32, allow bool) error {
	return h.domctl("set ioport permission", abi.DomctlIOPortPermission, id,
		abi.AppendIOPortPermission(nil, first, n, allow))
}

// MapIOPorts makes n host ports appear in an HVM domain, or no longer.
func (h *Handle) MapIOPorts(id DomID, gport, mport, n uint32, add bool) error {
	return h.domctl("map ioports", abi.DomctlIOPortMapping, id, abi.AppendIOPortMapping(nil, gport, mport, n, add))
}

// MapMMIO makes n machine frames appear in an HVM domain from gfn on, or no
// longer. It does nothing for a PV domain. It goes in steps of 64 frames, the
// most that Xen takes at once, and on after what Xen says it has done.
func (h *Handle) MapMMIO(id DomID, gfn GFN, mfn MFN, n uint64, add bool) error {
	const op = "map I/O memory"
	for done := uint64(0); done < n; {
		c, err := h.begin(0)
		if err != nil {
			return &OpError{op, id, err}
		}
		batch := min(n-done, abi.MaxMemoryMapping)
		abi.AppendMemoryMapping(c.domArg(), gfn+GFN(done), mfn+MFN(done), batch, add)
		ret, _, err := c.domctl(op, abi.DomctlMemoryMapping, id)
		c.end()
		if err != nil {
			return err
		}
		if ret > 0 && uint64(ret) < batch {
			batch = uint64(ret)
		}
		done += batch
	}
	return nil
}
