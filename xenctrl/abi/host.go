package abi

import "time"

// Capabilities of PhysInfo. Source: sysctl.h, XEN_SYSCTL_PHYSCAP_*.
const (
	CapHVM          = 1 << 0
	CapPV           = 1 << 1
	CapDirectIO     = 1 << 2 // an IOMMU
	CapHAP          = 1 << 3
	CapShadow       = 1 << 4
	CapIOMMUSharePT = 1 << 5
	CapVMTrace      = 1 << 6 // since 4.15
	CapVPMU         = 1 << 7 // since 4.16
	CapGrantV1      = 1 << 8 // since 4.16
	CapGrantV2      = 1 << 9 // since 4.16
)

// PhysInfo is what the host has.
type PhysInfo struct {
	ThreadsPerCore   uint32
	CoresPerSocket   uint32
	CPUs             uint32 // online
	MaxCPUID         uint32
	Nodes            uint32 // online
	MaxNodeID        uint32
	CPUKHz           uint32
	Capabilities     uint32 // Cap…
	ArchCapabilities uint32 // zero on x86; since 4.17
	TotalPages       Pages
	FreePages        Pages
	ScrubPages       Pages // free, but not clean yet
	OutstandingPages Pages // claimed
	MaxMFN           MFN
	HWCap            [8]uint32 // CPUID words
}

// ParsePhysInfo reads the answer of physinfo. Release 4.17 (sysctl 0x15) put
// arch_capabilities before the page counts.
func ParsePhysInfo(b []byte, v Version) PhysInfo {
	p := PhysInfo{
		ThreadsPerCore: get32(b, 0), CoresPerSocket: get32(b, 4), CPUs: get32(b, 8),
		MaxCPUID: get32(b, 12), Nodes: get32(b, 16), MaxNodeID: get32(b, 20),
		CPUKHz: get32(b, 24), Capabilities: get32(b, 28),
	}
	off := 32
	if v.Sysctl >= 0x15 {
		p.ArchCapabilities = get32(b, 32)
		off = 40
	}
	p.TotalPages = Pages(get64(b, off))
	p.FreePages = Pages(get64(b, off+8))
	p.ScrubPages = Pages(get64(b, off+16))
	p.OutstandingPages = Pages(get64(b, off+24))
	p.MaxMFN = MFN(get64(b, off+32))
	for i := range p.HWCap {
		p.HWCap[i] = get32(b, off+40+4*i)
	}
	return p
}

// AppendReadConsole appends the argument of readconsole.
func AppendReadConsole(b []byte, clear, incremental bool, index uint32, addr uint64, count uint32) []byte {
	b = append8(b, bool8(clear), bool8(incremental), 0, 0)
	b = append32(b, index)
	b = append64(b, addr)
	return append32(b, count, 0)
}

// ParseReadConsole returns how many bytes came and the index to go on from.
func ParseReadConsole(b []byte) (count, index uint32) { return get32(b, 16), get32(b, 4) }

// AppendDebugKeys appends the argument of debug_keys.
func AppendDebugKeys(b []byte, addr uint64, n uint32) []byte {
	b = append64(b, addr)
	return append32(b, n, 0)
}

// AppendCPUInfo appends the argument of getcpuinfo.
func AppendCPUInfo(b []byte, max uint32, addr uint64) []byte {
	b = append32(b, max, 0)
	b = append64(b, addr)
	return pad(b, 8)
}

// ParseCPUInfo returns how many elements came, of 8 bytes each.
func ParseCPUInfo(b []byte) uint32 { return get32(b, 16) }

// ParseCPUIdle reads one element of getcpuinfo: how long that CPU idled.
func ParseCPUIdle(b []byte) time.Duration { return time.Duration(get64(b, 0)) }

// AppendAvailHeap appends the argument of availheap; node -1 is all of them.
func AppendAvailHeap(b []byte, minWidth, maxWidth uint32, node int32) []byte {
	return pad(append32(b, minWidth, maxWidth, uint32(node), 0), 8)
}

// ParseAvailHeap returns the free bytes in the answer.
func ParseAvailHeap(b []byte) uint64 { return get64(b, 16) }

// Operations of cpu_hotplug. Source: sysctl.h, XEN_SYSCTL_CPU_HOTPLUG_*.
const (
	HotplugOnline     = 0
	HotplugOffline    = 1
	HotplugSMTEnable  = 2
	HotplugSMTDisable = 3
)

// AppendCPUHotplug appends the argument of cpu_hotplug.
func AppendCPUHotplug(b []byte, cpu, op uint32) []byte { return append32(b, cpu, op) }

// Topology values for a CPU that has none. Source: sysctl.h, XEN_INVALID_*.
const (
	InvalidCore   = 0xffffffff
	InvalidSocket = 0xffffffff
	InvalidNode   = 0xffffffff
	InvalidDevice = 0xfffffffe // node of a PCI device that does not exist

	InvalidMemSize  = ^uint64(0)
	InvalidDistance = 0xffffffff
)

// CPUTopology is where a CPU sits; InvalidCore and so on for an absent one.
type CPUTopology struct{ Core, Socket, Node uint32 }

// CPUTopologySize is sizeof(struct xen_sysctl_cputopo).
const CPUTopologySize = 12

// ParseCPUTopology reads one element of cputopoinfo.
func ParseCPUTopology(b []byte) CPUTopology {
	return CPUTopology{get32(b, 0), get32(b, 4), get32(b, 8)}
}

// AppendCountAddr appends the argument of cputopoinfo: how many elements fit at
// addr. Address 0 asks for their number.
func AppendCountAddr(b []byte, n uint32, addr uint64) []byte {
	return append64(append32(b, n, 0), addr)
}

// ParseCount returns the number in the answer of cputopoinfo, numainfo and pcitopoinfo.
func ParseCount(b []byte) uint32 { return get32(b, 0) }

// AppendNUMAInfo appends the argument of numainfo.
func AppendNUMAInfo(b []byte, n uint32, meminfo, distance uint64) []byte {
	return append64(append32(b, n, 0), meminfo, distance)
}

// NodeMemory is the memory of a NUMA node in bytes; InvalidMemSize for an absent one.
type NodeMemory struct{ Size, Free uint64 }

// NodeMemorySize is sizeof(struct xen_sysctl_meminfo).
const NodeMemorySize = 16

// ParseNodeMemory reads one element of numainfo.
func ParseNodeMemory(b []byte) NodeMemory { return NodeMemory{get64(b, 0), get64(b, 8)} }

// PCIDevice names a PCI function.
type PCIDevice struct {
	Seg   uint16
	Bus   uint8
	DevFn uint8
}

// PCIDeviceSize is sizeof(struct physdev_pci_device).
const PCIDeviceSize = 4

// AppendPCIDevice appends one element of pcitopoinfo's device array.
func AppendPCIDevice(b []byte, d PCIDevice) []byte {
	return append8(append16(b, d.Seg), d.Bus, d.DevFn)
}

// AppendPCITopology appends the argument of pcitopoinfo.
func AppendPCITopology(b []byte, n uint32, devs, nodes uint64) []byte {
	return append64(append32(b, n, 0), devs, nodes)
}

// AppendSysctlSchedID appends the (empty) argument of sched_id.
func AppendSysctlSchedID(b []byte) []byte { return pad(b, 4) }

// ParseSchedID reads the answer of sched_id.
func ParseSchedID(b []byte) uint32 { return get32(b, 0) }

// ParseLevellingCaps reads the answer of get_cpu_levelling_caps.
func ParseLevellingCaps(b []byte) uint32 { return get32(b, 0) }
