package xenctrl

import (
	"bytes"

	"goxl/xenctrl/abi"
)

// VCPUInfo returns what Xen tells about one vcpu; ErrNoDomain when the domain
// does not exist, syscall.EINVAL when it has no such vcpu.
func (h *Handle) VCPUInfo(id DomID, vcpu uint32) (VCPUInfo, error) {
	const op = "get vcpu info"
	c, err := h.begin(0)
	if err != nil {
		return VCPUInfo{}, &OpError{op, id, err}
	}
	defer c.end()
	abi.AppendVCPUInfo(c.domArg(), vcpu)
	_, b, err := c.domctl(op, abi.DomctlGetVCPUInfo, id)
	if err != nil {
		return VCPUInfo{}, err
	}
	return abi.ParseVCPUInfo(b), nil
}

// SetVCPUContext sets the registers of a PV vcpu: a struct vcpu_guest_context,
// 5168 bytes for a 64-bit and 2800 for a 32-bit guest. A nil ctx resets the vcpu.
func (h *Handle) SetVCPUContext(id DomID, vcpu uint32, ctx []byte) error {
	const op = "set vcpu context"
	c, err := h.begin(len(ctx))
	if err != nil {
		return &OpError{op, id, err}
	}
	defer c.end()
	copy(c.data(), ctx)
	addr := c.addr(0)
	if ctx == nil {
		addr = 0
	}
	abi.AppendVCPUContext(c.domArg(), vcpu, addr)
	_, _, err = c.domctl(op, abi.DomctlSetVCPUContext, id)
	return err
}

// VCPUContext returns the registers of a vcpu as Xen lays them out. Of a 32-bit
// PV guest only the first 2800 bytes mean something.
func (h *Handle) VCPUContext(id DomID, vcpu uint32) ([]byte, error) {
	const op = "get vcpu context"
	c, err := h.begin(abi.VCPUContextSize)
	if err != nil {
		return nil, &OpError{op, id, err}
	}
	defer c.end()
	abi.AppendVCPUContext(c.domArg(), vcpu, c.addr(0))
	if _, _, err := c.domctl(op, abi.DomctlGetVCPUContext, id); err != nil {
		return nil, err
	}
	return bytes.Clone(c.data()), nil
}

// ExtVCPUContext returns the extra state of a PV vcpu as a record of the length
// that Xen gave it, ready for SetExtVCPUContext.
func (h *Handle) ExtVCPUContext(id DomID, vcpu uint32) ([]byte, error) {
	const op = "get extended vcpu context"
	c, err := h.begin(0)
	if err != nil {
		return nil, &OpError{op, id, err}
	}
	defer c.end()
	abi.AppendExtVCPUContext(c.domArg(), vcpu)
	_, b, err := c.domctl(op, abi.DomctlGetExtVCPUContext, id)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(b[:min(len(b), int(abi.ExtVCPUContextLen(b)))]), nil
}

// SetExtVCPUContext gives a PV vcpu what ExtVCPUContext returned, at most 128
// bytes; the vcpu is the one that the record names.
func (h *Handle) SetExtVCPUContext(id DomID, ctx []byte) error {
	const op = "set extended vcpu context"
	c, err := h.begin(0)
	if err != nil {
		return &OpError{op, id, err}
	}
	defer c.end()
	dst := c.domArg()
	copy(dst[:cap(dst)], ctx)
	_, _, err = c.domctl(op, abi.DomctlSetExtVCPUContext, id)
	return err
}

// VCPUExtState returns the XCR0 mask and the XSAVE area of a PV vcpu; an empty
// area when it has none.
func (h *Handle) VCPUExtState(id DomID, vcpu uint32) (mask uint64, area []byte, err error) {
	const op = "get vcpu extended state"
	_, size, err := h.vcpuExtState(op, id, vcpu, 0)
	if err != nil || size == 0 {
		return 0, nil, err
	}
	c, err := h.begin(int(size))
	if err != nil {
		return 0, nil, &OpError{op, id, err}
	}
	defer c.end()
	abi.AppendVCPUExtState(c.domArg(), vcpu, 0, size, c.addr(0))
	_, b, err := c.domctl(op, abi.DomctlGetVCPUExtState, id)
	if err != nil {
		return 0, nil, err
	}
	mask, got := abi.ParseVCPUExtState(b)
	return mask, bytes.Clone(c.data()[:min(got, size)]), nil
}

// vcpuExtState asks for the size of the area.
func (h *Handle) vcpuExtState(op string, id DomID, vcpu uint32, addr uint64) (mask, size uint64, err error) {
	c, err := h.begin(0)
	if err != nil {
		return 0, 0, &OpError{op, id, err}
	}
	defer c.end()
	abi.AppendVCPUExtState(c.domArg(), vcpu, 0, 0, addr)
	_, b, err := c.domctl(op, abi.DomctlGetVCPUExtState, id)
	if err != nil {
		return 0, 0, err
	}
	mask, size = abi.ParseVCPUExtState(b)
	return mask, size, nil
}

// SetVCPUExtState gives a PV vcpu its XSAVE area.
func (h *Handle) SetVCPUExtState(id DomID, vcpu uint32, mask uint64, area []byte) error {
	const op = "set vcpu extended state"
	c, err := h.begin(len(area))
	if err != nil {
		return &OpError{op, id, err}
	}
	defer c.end()
	copy(c.data(), area)
	abi.AppendVCPUExtState(c.domArg(), vcpu, mask, uint64(len(area)), c.addr(0))
	_, _, err = c.domctl(op, abi.DomctlSetVCPUExtState, id)
	return err
}

// VCPUMSRs returns the model-specific registers of a PV vcpu.
func (h *Handle) VCPUMSRs(id DomID, vcpu uint32) ([]abi.VCPUMSR, error) {
	const op = "get vcpu msrs"
	n, err := h.vcpuMSRs(op, id, vcpu, nil)
	if err != nil || n == 0 {
		return nil, err
	}
	out := make([]abi.VCPUMSR, n)
	n, err = h.vcpuMSRs(op, id, vcpu, out)
	return out[:min(int(n), len(out))], err
}

func (h *Handle) vcpuMSRs(op string, id DomID, vcpu uint32, out []abi.VCPUMSR) (uint32, error) {
	c, err := h.begin(len(out) * abi.VCPUMSRSize)
	if err != nil {
		return 0, &OpError{op, id, err}
	}
	defer c.end()
	addr := c.addr(0)
	if out == nil {
		addr = 0
	}
	abi.AppendVCPUMSRs(c.domArg(), vcpu, uint32(len(out)), addr)
	_, b, err := c.domctl(op, abi.DomctlGetVCPUMSRs, id)
	if err != nil {
		return 0, err
	}
	for i := range out {
		out[i] = abi.ParseVCPUMSR(c.data()[i*abi.VCPUMSRSize:])
	}
	return abi.ParseVCPUMSRCount(b), nil
}

// SetVCPUMSRs gives a PV vcpu its model-specific registers.
func (h *Handle) SetVCPUMSRs(id DomID, vcpu uint32, msrs []abi.VCPUMSR) error {
	const op = "set vcpu msrs"
	c, err := h.begin(len(msrs) * abi.VCPUMSRSize)
	if err != nil {
		return &OpError{op, id, err}
	}
	defer c.end()
	dst := c.data()[:0]
	for _, m := range msrs {
		dst = abi.AppendVCPUMSR(dst, m)
	}
	abi.AppendVCPUMSRs(c.domArg(), vcpu, uint32(len(msrs)), c.addr(0))
	_, _, err = c.domctl(op, abi.DomctlSetVCPUMSRs, id)
	return err
}
