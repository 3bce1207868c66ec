package xenctrl

import (
	"bytes"

	"goxl/xenctrl/abi"
)

// VCPUAffinity returns on which CPUs a vcpu may run and on which it had better.
// The maps have room for every CPU the host can have.
func (h *Handle) VCPUAffinity(id DomID, vcpu uint32) (hard, soft CPUMap, err error) {
	return h.vcpuAffinity("get vcpu affinity", abi.DomctlGetVCPUAffinity, id, vcpu, abi.AffinityHard|abi.AffinitySoft, nil, nil)
}

// SetVCPUAffinity sets where a vcpu may run (hard) and had better run (soft); a
// nil map leaves that one as it is. It returns the maps that Xen uses now,
// which lack CPUs outside the domain's pool.
func (h *Handle) SetVCPUAffinity(id DomID, vcpu uint32, hard, soft CPUMap) (effHard, effSoft CPUMap, err error) {
	var flags uint32
	if hard != nil {
		flags |= abi.AffinityHard
	}
	if soft != nil {
		flags |= abi.AffinitySoft
	}
	return h.vcpuAffinity("set vcpu affinity", abi.DomctlSetVCPUAffinity, id, vcpu, flags, hard, soft)
}

// ForceVCPUAffinity sets where a vcpu may run even though its domain pinned it
// itself for a while.
func (h *Handle) ForceVCPUAffinity(id DomID, vcpu uint32, hard CPUMap) error {
	_, _, err := h.vcpuAffinity("force vcpu affinity", abi.DomctlSetVCPUAffinity, id, vcpu,
		abi.AffinityHard|abi.AffinityForce, hard, nil)
	return err
}

func (h *Handle) vcpuAffinity(op string, cmd uint32, id DomID, vcpu, flags uint32, hard, soft CPUMap) (CPUMap, CPUMap, error) {
	cpus, err := h.MaxCPUs()
	if err != nil {
		return nil, nil, err
	}
	size := (cpus + 7) / 8
	c, err := h.begin(2 * size)
	if err != nil {
		return nil, nil, &OpError{op, id, err}
	}
	defer c.end()
	copy(c.data()[:size], hard)
	copy(c.data()[size:], soft)
	abi.AppendVCPUAffinity(c.domArg(), vcpu, flags, c.addr(0), c.addr(size), uint32(8*size))
	if _, _, err := c.domctl(op, cmd, id); err != nil {
		return nil, nil, err
	}
	return bytes.Clone(c.data()[:size]), bytes.Clone(c.data()[size:]), nil
}

// NodeAffinity returns from which NUMA nodes domain id takes its memory.
func (h *Handle) NodeAffinity(id DomID) (NodeMap, error) {
	return h.nodeAffinity("get node affinity", abi.DomctlGetNodeAffinity, id, nil)
}

// SetNodeAffinity sets from which NUMA nodes domain id takes its memory.
func (h *Handle) SetNodeAffinity(id DomID, nodes NodeMap) error {
	_, err := h.nodeAffinity("set node affinity", abi.DomctlSetNodeAffinity, id, nodes)
	return err
}

func (h *Handle) nodeAffinity(op string, cmd uint32, id DomID, nodes NodeMap) (NodeMap, error) {
	n, err := h.MaxNodes()
	if err != nil {
		return nil, err
	}
	size := (n + 7) / 8
	c, err := h.begin(size)
	if err != nil {
		return nil, &OpError{op, id, err}
	}
	defer c.end()
	copy(c.data(), nodes)
	abi.AppendNodeAffinity(c.domArg(), c.addr(0), uint32(8*size))
	if _, _, err := c.domctl(op, cmd, id); err != nil {
		return nil, err
	}
	return bytes.Clone(c.data()), nil
}

// SetVNUMA gives a domain virtual NUMA nodes: the distance matrix (nodes*nodes),
// the node of each vcpu, the host node of each node, and the memory ranges.
func (h *Handle) SetVNUMA(id DomID, v VNUMA) error {
	const op = "set vnuma"
	nodes := len(v.HostNode)
	distance, vcpus := 0, 4*len(v.Distance)
	hosts := vcpus + 4*len(v.VCPUNode)
	ranges := (hosts + 4*nodes + 7) &^ 7
	c, err := h.begin(ranges + len(v.Ranges)*abi.VMemRangeSize)
	if err != nil {
		return &OpError{op, id, err}
	}
	defer c.end()
	put32s(c.data()[distance:], v.Distance)
	put32s(c.data()[vcpus:], v.VCPUNode)
	put32s(c.data()[hosts:], v.HostNode)
	dst := c.data()[ranges:ranges]
	for _, r := range v.Ranges {
		dst = abi.AppendVMemRange(dst, r)
	}
	abi.AppendVNUMA(c.domArg(), uint32(nodes), uint32(len(v.Ranges)), uint32(len(v.VCPUNode)),
		c.addr(distance), c.addr(vcpus), c.addr(hosts), c.addr(ranges))
	_, _, err = c.domctl(op, abi.DomctlSetVNUMAInfo, id)
	return err
}

// VNUMA describes virtual NUMA nodes.
type VNUMA struct {
	Distance []uint32 // row by row
	VCPUNode []uint32
	HostNode []uint32 // all ones: none
	Ranges   []abi.VMemRange
}
