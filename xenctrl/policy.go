package xenctrl

import (
	"errors"

	"goxl/xenctrl/abi"
)

// CPUPolicy returns what CPU domain id sees.
func (h *Handle) CPUPolicy(id DomID) (CPUPolicy, error) {
	const op = "get CPU policy"
	leaves, msrs, err := h.SystemCPUPolicySize(abi.PolicyHost)
	if err != nil {
		return CPUPolicy{}, err
	}
	c, err := h.begin(leaves*abi.CPUIDLeafSize + msrs*abi.PolicyMSRSize)
	if err != nil {
		return CPUPolicy{}, &OpError{op, id, err}
	}
	defer c.end()
	second := leaves * abi.CPUIDLeafSize
	abi.AppendCPUPolicy(c.domArg(), uint32(leaves), uint32(msrs), c.addr(0), c.addr(second))
	_, b, err := c.domctl(op, abi.DomctlGetCPUPolicy, id)
	if err != nil {
		return CPUPolicy{}, err
	}
	ans := abi.ParseCPUPolicy(b)
	return parsePolicy(c.data(), second, min(int(ans.Leaves), leaves), min(int(ans.MSRs), msrs)), nil
}

// SetCPUPolicy changes what CPU domain id sees: the leaves and MSRs of p replace
// those it has, the others stay. It works until the first Unpause; later it is
// ErrExists. When Xen refuses the content, errors.As finds a *PolicyError with
// the culprit.
func (h *Handle) SetCPUPolicy(id DomID, p CPUPolicy) error {
	const op = "set CPU policy"
	second := len(p.Leaves) * abi.CPUIDLeafSize
	c, err := h.begin(second + len(p.MSRs)*abi.PolicyMSRSize)
	if err != nil {
		return &OpError{op, id, err}
	}
	defer c.end()
	dst := c.data()[:0]
	for _, l := range p.Leaves {
		dst = abi.AppendCPUIDLeaf(dst, l)
	}
	for _, m := range p.MSRs {
		dst = abi.AppendPolicyMSR(dst, m)
	}
	abi.AppendCPUPolicy(c.domArg(), uint32(len(p.Leaves)), uint32(len(p.MSRs)), c.addr(0), c.addr(second))
	_, _, err = c.domctl(op, abi.DomctlSetCPUPolicy, id)
	var refused *OpError
	if errors.As(err, &refused) {
		ans := abi.ParseCPUPolicy(c.buf.b[abi.DomctlArg:abi.DomctlSize])
		refused.Err = policyCulprit(ans, refused.Err)
	}
	return err
}

// policyCulprit adds what Xen named. It writes the fields only when it looked
// at the content; they were zero before, and leaf 0 is a leaf.
func policyCulprit(ans abi.CPUPolicyAnswer, err error) error {
	const none = abi.NoSubleaf
	if ans.ErrLeaf == 0 && ans.ErrSubleaf == 0 && ans.ErrMSR == 0 || ans.ErrLeaf == none && ans.ErrMSR == none {
		return err
	}
	return &PolicyError{ans.ErrLeaf, ans.ErrSubleaf, ans.ErrMSR, err}
}

// SystemCPUPolicy returns one of the policies that Xen keeps for the host:
// abi.PolicyHost, abi.PolicyPVDefault and so on. One for a kind of guest that
// was not built in is errors.ErrUnsupported.
func (h *Handle) SystemCPUPolicy(index uint32) (CPUPolicy, error) {
	const op = "get system CPU policy"
	leaves, msrs, err := h.SystemCPUPolicySize(index)
	if err != nil {
		return CPUPolicy{}, err
	}
	c, err := h.begin(leaves*abi.CPUIDLeafSize + msrs*abi.PolicyMSRSize)
	if err != nil {
		return CPUPolicy{}, hostError(op, err)
	}
	defer c.end()
	second := leaves * abi.CPUIDLeafSize
	abi.AppendSystemCPUPolicy(c.sysArg(), index, uint32(leaves), uint32(msrs), c.addr(0), c.addr(second))
	b, err := c.sysctl(op, abi.SysctlGetCPUPolicy)
	if err != nil {
		return CPUPolicy{}, err
	}
	gotLeaves, gotMSRs := abi.ParseSystemCPUPolicy(b)
	return parsePolicy(c.data(), second, min(int(gotLeaves), leaves), min(int(gotMSRs), msrs)), nil
}

// SystemCPUPolicySize returns how many leaves and MSRs a policy has at most.
func (h *Handle) SystemCPUPolicySize(index uint32) (leaves, msrs int, err error) {
	const op = "get CPU policy size"
	c, err := h.begin(0)
	if err != nil {
		return 0, 0, hostError(op, err)
	}
	defer c.end()
	abi.AppendSystemCPUPolicy(c.sysArg(), index, 0, 0, 0, 0)
	b, err := c.sysctl(op, abi.SysctlGetCPUPolicy)
	if err != nil {
		return 0, 0, err
	}
	l, m := abi.ParseSystemCPUPolicy(b)
	return int(min(l, 4096)), int(min(m, 4096)), nil
}

func parsePolicy(b []byte, second, leaves, msrs int) CPUPolicy {
	p := CPUPolicy{Leaves: make([]CPUIDLeaf, leaves), MSRs: make([]PolicyMSR, msrs)}
	for i := range p.Leaves {
		p.Leaves[i] = abi.ParseCPUIDLeaf(b[i*abi.CPUIDLeafSize:])
	}
	for i := range p.MSRs {
		p.MSRs[i] = abi.ParsePolicyMSR(b[second+i*abi.PolicyMSRSize:])
	}
	return p
}

// CPUFeatureSet returns one of Xen's featuresets (abi.FeatureSetHost, …) as
// words in Xen's order, as many as the running Xen has.
func (h *Handle) CPUFeatureSet(index uint32) ([]uint32, error) {
	n, _, err := h.featureSet(index, 0)
	if err != nil {
		return nil, err
	}
	_, words, err := h.featureSet(index, int(min(n, 1024)))
	return words, err
}

func (h *Handle) featureSet(index uint32, room int) (uint32, []uint32, error) {
	const op = "get CPU featureset"
	c, err := h.begin(4 * room)
	if err != nil {
		return 0, nil, hostError(op, err)
	}
	defer c.end()
	addr := c.addr(0)
	if room == 0 {
		addr = 0
	}
	abi.AppendCPUFeatureSet(c.sysArg(), index, uint32(room), addr)
	b, err := c.sysctl(op, abi.SysctlGetCPUFeatures)
	if err != nil {
		return 0, nil, err
	}
	n := abi.ParseCPUFeatureSet(b)
	return n, get32s(c.data(), min(int(n), room)), nil
}

// LevellingCaps returns which CPUID masking the host's CPUs have. Gone in Xen
// 4.22, where it is errors.ErrUnsupported.
func (h *Handle) LevellingCaps() (uint32, error) {
	const op = "get CPU levelling capabilities"
	if h.version.AtLeast(4, 22) {
		return 0, hostError(op, &abi.UnsupportedError{What: "get_cpu_levelling_caps", Since: "Xen before 4.22", Have: h.version})
	}
	c, err := h.begin(0)
	if err != nil {
		return 0, hostError(op, err)
	}
	defer c.end()
	b, err := c.sysctl(op, abi.SysctlGetLevelCaps)
	if err != nil {
		return 0, err
	}
	return abi.ParseLevellingCaps(b), nil
}
