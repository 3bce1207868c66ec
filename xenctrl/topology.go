package xenctrl

import (
	"errors"
	"syscall"

	"goxl/xenctrl/abi"
)

// errNoEntry is how Xen says that there is no pool with that id or a higher one.
const errNoEntry = syscall.ENOENT

func isErrno(err error, no syscall.Errno) bool { return errors.Is(err, no) }

// CPUTopology returns where each CPU sits; abi.InvalidCore for an absent one.
func (h *Handle) CPUTopology() ([]abi.CPUTopology, error) {
	const op = "get CPU topology"
	cpus, err := h.MaxCPUs()
	if err != nil {
		return nil, err
	}
	c, err := h.begin(cpus * abi.CPUTopologySize)
	if err != nil {
		return nil, hostError(op, err)
	}
	defer c.end()
	abi.AppendCountAddr(c.sysArg(), uint32(cpus), c.addr(0))
	b, err := c.sysctl(op, abi.SysctlCPUTopoInfo)
	if err != nil {
		return nil, err
	}
	out := make([]abi.CPUTopology, min(int(abi.ParseCount(b)), cpus))
	for i := range out {
		out[i] = abi.ParseCPUTopology(c.data()[i*abi.CPUTopologySize:])
	}
	return out, nil
}

// NUMAInfo is the memory of each node and the distances between them, row by
// row; absent nodes have abi.InvalidMemSize.
type NUMAInfo struct {
	Nodes    []abi.NodeMemory
	Distance []uint32
}

// NUMAInfo returns the host's NUMA nodes.
func (h *Handle) NUMAInfo() (NUMAInfo, error) {
	const op = "get NUMA information"
	nodes, err := h.MaxNodes()
	if err != nil {
		return NUMAInfo{}, err
	}
	second := nodes * abi.NodeMemorySize
	c, err := h.begin(second + 4*nodes*nodes)
	if err != nil {
		return NUMAInfo{}, hostError(op, err)
	}
	defer c.end()
	abi.AppendNUMAInfo(c.sysArg(), uint32(nodes), c.addr(0), c.addr(second))
	b, err := c.sysctl(op, abi.SysctlNUMAInfo)
	if err != nil {
		return NUMAInfo{}, err
	}
	n := min(int(abi.ParseCount(b)), nodes)
	out := NUMAInfo{Nodes: make([]abi.NodeMemory, n), Distance: get32s(c.data()[second:], n*n)}
	for i := range out.Nodes {
		out.Nodes[i] = abi.ParseNodeMemory(c.data()[i*abi.NodeMemorySize:])
	}
	return out, nil
}

// PCITopology returns the NUMA node of each device; abi.InvalidNode when it has
// none, abi.InvalidDevice when Xen does not know the device.
func (h *Handle) PCITopology(devs []abi.PCIDevice) ([]uint32, error) {
	const op = "get PCI topology"
	var out []uint32
	for len(devs) > 0 {
		second := (len(devs)*abi.PCIDeviceSize + 7) &^ 7
		c, err := h.begin(second + 4*len(devs))
		if err != nil {
			return nil, hostError(op, err)
		}
		dst := c.data()[:0]
		for _, d := range devs {
			dst = abi.AppendPCIDevice(dst, d)
		}
		abi.AppendPCITopology(c.sysArg(), uint32(len(devs)), c.addr(0), c.addr(second))
		b, err := c.sysctl(op, abi.SysctlPCITopoInfo)
		if err != nil {
			c.end()
			return nil, err
		}
		n := min(int(abi.ParseCount(b)), len(devs)) // may return early
		out = append(out, get32s(c.data()[second:], n)...)
		c.end()
		if n == 0 {
			return nil, hostError(op, syscall.EIO)
		}
		devs = devs[n:]
	}
	return out, nil
}
