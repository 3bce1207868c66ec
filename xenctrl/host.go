package xenctrl

import (
	"bytes"
	"time"

	"goxl/xenctrl/abi"
)

// PhysInfo returns what the host has. Free memory is of this moment.
func (h *Handle) PhysInfo() (PhysInfo, error) {
	const op = "get physical information"
	c, err := h.begin(0)
	if err != nil {
		return PhysInfo{}, hostError(op, err)
	}
	defer c.end()
	b, err := c.sysctl(op, abi.SysctlPhysInfo)
	if err != nil {
		return PhysInfo{}, err
	}
	return abi.ParsePhysInfo(b, h.version), nil
}

// MaxCPUs returns how many CPUs the host can have, the length of CPU maps. It
// asks Xen once.
func (h *Handle) MaxCPUs() (int, error) {
	cpus, _, err := h.limits()
	return cpus, err
}

// MaxNodes returns how many NUMA nodes the host can have. It asks Xen once.
func (h *Handle) MaxNodes() (int, error) {
	_, nodes, err := h.limits()
	return nodes, err
}

func (h *Handle) limits() (cpus, nodes int, err error) {
	h.mu.Lock()
	cpus, nodes = h.maxCPUs, h.maxNodes
	h.mu.Unlock()
	if cpus > 0 {
		return cpus, nodes, nil
	}
	p, err := h.PhysInfo()
	if err != nil {
		return 0, 0, err
	}
	cpus, nodes = int(p.MaxCPUID)+1, int(p.MaxNodeID)+1
	h.mu.Lock()
	h.maxCPUs, h.maxNodes = cpus, nodes
	h.mu.Unlock()
	return cpus, nodes, nil
}

// consoleRoom is how much one hypercall reads of Xen's console ring.
const consoleRoom = 32 << 10

// ReadConsole returns the text in Xen's console ring, and empties it when clear
// is true.
func (h *Handle) ReadConsole(clear bool) ([]byte, error) {
	var out []byte
	index := uint32(0)
	for {
		b, next, err := h.readConsole(index, true, false)
		if err != nil {
			return nil, err
		}
		if len(b) == 0 {
			break
		}
		out = append(out, b...)
		index = next
	}
	if !clear {
		return out, nil
	}
	_, _, err := h.readConsole(index, false, true)
	return out, err
}

// FollowConsole returns the text since the call that returned index, 0 for all
// that the ring still has, and the index to go on from.
func (h *Handle) FollowConsole(index uint32) ([]byte, uint32, error) {
	return h.readConsole(index, true, false)
}

func (h *Handle) readConsole(index uint32, incremental, clear bool) ([]byte, uint32, error) {
	const op = "read console"
	c, err := h.begin(consoleRoom)
	if err != nil {
		return nil, 0, hostError(op, err)
	}
	defer c.end()
	abi.AppendReadConsole(c.sysArg(), clear, incremental, index, c.addr(0), consoleRoom)
	b, err := c.sysctl(op, abi.SysctlReadConsole)
	if err != nil {
		return nil, 0, err
	}
	n, next := abi.ParseReadConsole(b)
	return bytes.Clone(c.data()[:min(n, consoleRoom)]), next, nil
}

// SendDebugKeys presses debug keys on Xen's console.
func (h *Handle) SendDebugKeys(keys string) error {
	const op = "send debug keys"
	c, err := h.begin(len(keys))
	if err != nil {
		return hostError(op, err)
	}
	defer c.end()
	copy(c.data(), keys)
	abi.AppendDebugKeys(c.sysArg(), c.addr(0), uint32(len(keys)))
	_, err = c.sysctl(op, abi.SysctlDebugKeys)
	return err
}

// CPUInfo returns how long each CPU has idled.
func (h *Handle) CPUInfo() ([]time.Duration, error) {
	const op = "get CPU information"
	cpus, err := h.MaxCPUs()
	if err != nil {
		return nil, err
	}
	c, err := h.begin(8 * cpus)
	if err != nil {
		return nil, hostError(op, err)
	}
	defer c.end()
	abi.AppendCPUInfo(c.sysArg(), uint32(cpus), c.addr(0))
	b, err := c.sysctl(op, abi.SysctlGetCPUInfo)
	if err != nil {
		return nil, err
	}
	out := make([]time.Duration, min(int(abi.ParseCPUInfo(b)), cpus))
	for i := range out {
		out[i] = abi.ParseCPUIdle(c.data()[8*i:])
	}
	return out, nil
}

// AvailHeap returns how many bytes are free on a node (-1: on all) in frames
// whose addresses have at least minWidth and at most maxWidth bits (0: any).
func (h *Handle) AvailHeap(minWidth, maxWidth uint32, node int) (uint64, error) {
	const op = "get free heap"
	c, err := h.begin(0)
	if err != nil {
		return 0, hostError(op, err)
	}
	defer c.end()
	abi.AppendAvailHeap(c.sysArg(), minWidth, maxWidth, int32(node))
	b, err := c.sysctl(op, abi.SysctlAvailHeap)
	if err != nil {
		return 0, err
	}
	return abi.ParseAvailHeap(b), nil
}

// CPUHotplug takes a CPU online or offline (abi.HotplugOnline, …).
func (h *Handle) CPUHotplug(cpu, what uint32) error {
	const op = "CPU hotplug"
	c, err := h.begin(0)
	if err != nil {
		return hostError(op, err)
	}
	defer c.end()
	abi.AppendCPUHotplug(c.sysArg(), cpu, what)
	_, err = c.sysctl(op, abi.SysctlCPUHotplug)
	return err
}
