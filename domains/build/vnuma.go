package build

import (
	"fmt"

	"goxl/domains/build/acpi"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// vnodeRanges cuts the guest's memory, given as runs of pages, into the virtual
// nodes: each takes what the ones before left.
func (b *builder) vnodeRanges(all []memRange) ([]memRange, error) {
	var out []memRange
	for i, v := range b.p.VNUMA {
		mem, ok := v.Mem.Get()
		if !ok {
			return nil, fmt.Errorf("vnuma: node %d has no memory", i)
		}
		for left := abi.PFN(mem.Pages()); left > 0; {
			if len(all) == 0 {
				return nil, fmt.Errorf("vnuma: the nodes have more memory than the guest (%d KiB)", b.p.MaxMem)
			}
			n := min(left, all[0].end-all[0].start)
			if n > 0 {
				out = append(out, memRange{all[0].start, all[0].start + n, i, all[0].flags})
			}
			if all[0].start += n; all[0].start == all[0].end {
				all = all[1:]
			}
			left -= n
		}
	}
	if len(all) > 0 {
		return nil, fmt.Errorf("vnuma: the nodes have less memory than the guest (%d KiB)", b.p.MaxMem)
	}
	return out, nil
}

// ranges returns the guest's memory piece by piece, and where each comes from.
// With virtual nodes it tells Xen about them first.
func (b *builder) ranges(all ...memRange) ([]memRange, error) {
	if len(b.p.VNUMA) == 0 {
		return all, nil
	}
	cut, err := b.vnodeRanges(all)
	if err != nil {
		return nil, err
	}
	v, err := b.vnuma(cut)
	if err != nil {
		return nil, err
	}
	if err := b.h.SetVNUMA(b.dom, v); err != nil {
		return nil, err
	}
	for i := range cut {
		cut[i].flags |= abi.MemfExactNode | abi.MemfNode(b.p.VNUMA[cut[i].vnode].PNode)
	}
	return cut, b.vnumaAffinity()
}

// vnuma is the topology in Xen's form.
func (b *builder) vnuma(cut []memRange) (xenctrl.VNUMA, error) {
	nodes := len(b.p.VNUMA)
	v := xenctrl.VNUMA{VCPUNode: make([]uint32, b.p.VCPUs)}
	seen := make([]bool, b.p.VCPUs)
	for i, n := range b.p.VNUMA {
		if len(n.Distances) != nodes {
			return v, fmt.Errorf("vnuma: node %d has %d distances for %d nodes", i, len(n.Distances), nodes)
		}
		v.Distance = append(v.Distance, n.Distances...)
		v.HostNode = append(v.HostNode, n.PNode)
		for cpu := range n.VCPUs.All() {
			if cpu >= b.p.VCPUs || seen[cpu] {
				return v, fmt.Errorf("vnuma: vcpu %d of node %d does not exist, or is on two nodes", cpu, i)
			}
			v.VCPUNode[cpu], seen[cpu] = uint32(i), true
		}
	}
	for cpu, ok := range seen {
		if !ok {
			return v, fmt.Errorf("vnuma: vcpu %d is on no node", cpu)
		}
	}
	for _, r := range cut {
		v.Ranges = append(v.Ranges, abi.VMemRange{
			Start: uint64(r.start) << abi.PageShift, End: uint64(r.end) << abi.PageShift, Node: uint32(r.vnode)})
	}
	return v, nil
}

// vnumaAffinity lets every vcpu prefer the CPUs that its node's memory is near
// to, unless the user pinned them.
func (b *builder) vnumaAffinity() error {
	if len(b.p.SoftAffinity) > 0 {
		return nil
	}
	cpus, err := b.h.CPUTopology()
	if err != nil {
		return err
	}
	for _, n := range b.p.VNUMA {
		var near abi.Bitmap
		for i, c := range cpus {
			if c.Core != abi.InvalidCore && c.Node == n.PNode {
				near = near.With(i)
			}
		}
		for cpu := range n.VCPUs.All() {
			if _, _, err := b.h.SetVCPUAffinity(b.dom, uint32(cpu), nil, near); err != nil {
				return fmt.Errorf("place vcpu %d: %w", cpu, err)
			}
		}
	}
	return nil
}

// acpiNUMA is the topology as ACPI tells it to a PVH guest with mem of RAM.
func (b *builder) acpiNUMA(mem abi.Pages) (*acpi.NUMA, error) {
	if len(b.p.VNUMA) == 0 {
		return nil, nil
	}
	low, high := splitMemory(uint64(mem) << abi.PageShift)
	all := []memRange{{0, abi.PFN(low >> abi.PageShift), 0, 0}}
	if high > fourGiB {
		all = append(all, memRange{abi.PFN(fourGiB >> abi.PageShift), abi.PFN(high >> abi.PageShift), 0, 0})
	}
	cut, err := b.vnodeRanges(all)
	if err != nil {
		return nil, err
	}
	v, err := b.vnuma(cut)
	if err != nil {
		return nil, err
	}
	n := &acpi.NUMA{}
	for _, node := range v.VCPUNode {
		n.NodeOf = append(n.NodeOf, int(node))
	}
	for i := range b.p.VNUMA {
		row := make([]int, len(b.p.VNUMA))
		for j := range row {
			row[j] = int(v.Distance[i*len(row)+j])
		}
		n.Distance = append(n.Distance, row)
	}
	for _, r := range v.Ranges {
		n.Memory = append(n.Memory, acpi.Range{Start: r.Start, End: r.End, Node: int(r.Node)})
	}
	return n, nil
}
