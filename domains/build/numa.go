package build

import (
	"errors"
	"fmt"
	"slices"

	"goxl/domains/config"
	"goxl/domains/logs"
	"goxl/domains/policy"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// place chooses NUMA nodes, unless the user did, or sets those that he chose.
func (b *builder) place() error {
	nodes := b.p.Nodes
	if b.p.PlaceNUMA && len(nodes) == 0 && len(b.p.SoftAffinity) == 0 {
		host, err := b.topology()
		if err != nil {
			return err
		}
		need := policy.NeedMemory(policy.Memory{Target: b.p.Target, Paging: b.p.Paging, Container: b.p.Kind == PVH})
		best := policy.Place(host, need, b.p.VCPUs)
		if best == nil {
			return nil // a host of one node, or no node with room: anywhere
		}
		b.log.Debug("NUMA placement", logs.Int("nodes", best.Nodes.Count()), logs.Int("cpus", best.CPUs))
		nodes, b.res.Nodes = best.Nodes, best.Nodes
		soft := abi.Bitmap(host.CPUsOf(nodes))
		for i := range b.p.VCPUs {
			if _, _, err := b.h.SetVCPUAffinity(b.dom, uint32(i), nil, soft); err != nil {
				return fmt.Errorf("place vcpu %d: %w", i, err)
			}
		}
	}
	if len(nodes) == 0 {
		return nil
	}
	return b.h.SetNodeAffinity(b.dom, abi.Bitmap(nodes))
}

// topology asks for what a placement depends on.
func (b *builder) topology() (*policy.Host, error) {
	numa, err := b.h.NUMAInfo()
	if err != nil {
		return nil, err
	}
	h := &policy.Host{}
	for _, n := range numa.Nodes {
		free := abi.KiB(0)
		if n.Free != abi.InvalidMemSize {
			free = abi.KiB(n.Free >> 10)
		}
		h.Free = append(h.Free, free)
	}
	if len(h.Free) <= 1 {
		return h, nil // nothing to choose, and nothing to ask for
	}
	cpus, err := b.h.CPUTopology()
	if err != nil {
		return nil, err
	}
	for _, c := range cpus {
		node := -1
		if c.Core != abi.InvalidCore {
			node = int(c.Node)
		}
		h.NodeOf = append(h.NodeOf, node)
	}
	info, err := b.h.DomainInfo(b.dom)
	if err != nil {
		return nil, err
	}
	pools, err := b.pools()
	if err != nil {
		return nil, err
	}
	h.Usable = slices.Clone(pools[info.CPUPool])
	if len(b.p.HardAffinity) > 0 {
		h.Usable.And(b.p.HardAffinity[0])
		if h.Usable.IsEmpty() {
			return nil, fmt.Errorf("hard affinity lies outside of the domain's CPU pool %d", info.CPUPool)
		}
	}
	runners, err := b.runners(pools)
	if err != nil {
		return nil, err
	}
	h.Runable = policy.CountVCPUs(h, runners)
	return h, nil
}

// pools returns the CPUs of every CPU pool.
func (b *builder) pools() (map[uint32]config.Bitmap, error) {
	list, err := b.h.CPUPools()
	if err != nil {
		return nil, err
	}
	m := map[uint32]config.Bitmap{}
	for _, p := range list {
		m[p.ID] = config.Bitmap(p.CPUs)
	}
	return m, nil
}

// runners lists the vcpus that compete for CPUs: those of all domains. One that
// goes away meanwhile does not count.
func (b *builder) runners(pools map[uint32]config.Bitmap) ([]policy.Runner, error) {
	doms, err := b.h.Domains()
	if err != nil {
		return nil, err
	}
	var all []policy.Runner
	for _, d := range doms {
		nodes, err := b.h.NodeAffinity(d.ID)
		if errors.Is(err, xenctrl.ErrNoDomain) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for v := range d.OnlineVCPUs {
			hard, _, err := b.h.VCPUAffinity(d.ID, v)
			if errors.Is(err, xenctrl.ErrNoDomain) {
				break
			}
			if err != nil {
				return nil, err
			}
			all = append(all, policy.Runner{Affinity: config.Bitmap(hard), Pool: pools[d.CPUPool], Nodes: config.Bitmap(nodes)})
		}
	}
	return all, nil
}
