package main

import (
	"fmt"
	"strings"

	"goxl/xenctrl/abi"
)

// topologyInfo is the part of "xl info" that -n adds: where CPUs, PCI devices
// and memory are.
type topologyInfo struct {
	cpus    []abi.CPUTopology
	devices []deviceNode // nil when Xen did not say
	nodes   []nodeInfo
}

// deviceNode is the NUMA node of a PCI function; known is false when it has none.
type deviceNode struct {
	abi.PCIDevice
	node  uint32
	known bool
}

// nodeInfo is a NUMA node: its memory in bytes, its distances to every node.
type nodeInfo struct {
	abi.NodeMemory
	distances []uint32
}

func topologyText(t *topologyInfo) string {
	var b strings.Builder
	b.WriteString("cpu_topology           :\ncpu:    core    socket     node\n")
	for i, c := range t.cpus {
		if c.Core != abi.InvalidCore {
			fmt.Fprintf(&b, "%3d:    %4d     %4d     %4d\n", i, c.Core, c.Socket, c.Node)
		}
	}
	b.WriteString("device topology        :\ndevice           node\n")
	found := false
	for _, d := range t.devices {
		if d.known {
			fmt.Fprintf(&b, "%04x:%02x:%02x.%01x      %d\n", d.Seg, d.Bus, d.DevFn>>3, d.DevFn&7, d.node)
			found = true
		}
	}
	if !found {
		b.WriteString("No device topology data available\n")
	}
	b.WriteString("numa_info              :\nnode:    memsize    memfree    distances\n")
	for i, n := range t.nodes {
		if n.Size != abi.InvalidMemSize {
			fmt.Fprintf(&b, "%4d:    %6d     %6d      %s\n", i, n.Size>>20, n.Free>>20, distanceText(n.distances))
		}
	}
	return b.String()
}

// distanceText joins distances with commas; an unknown one is -1, as in C.
func distanceText(distances []uint32) string {
	var words []string
	for _, d := range distances {
		words = append(words, fmt.Sprint(int32(d)))
	}
	return strings.Join(words, ",")
}
