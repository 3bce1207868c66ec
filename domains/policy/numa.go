package policy

import (
	"iter"
	"slices"

	"goxl/domains/config"
	"goxl/xenctrl/abi"
)

// Host is the topology that a guest is placed on.
type Host struct {
	NodeOf  []int         // the node of every CPU; negative: not known
	Free    []abi.KiB     // free memory of every node
	Usable  config.Bitmap // CPUs that the guest may run on: its pool's, cut by its hard affinity
	Runable []int         // how many vcpus of all guests can run on each node; see CountVCPUs
}

// Placement is where a guest is best put.
type Placement struct {
	Nodes config.Bitmap
	CPUs  int // usable ones there
	VCPUs int // of all guests, that can run there
	Free  abi.KiB
}

// maxPlacementNodes is where trying all sets of nodes would take too long.
const maxPlacementNodes = 16

// Place returns the nodes for a guest that needs mem and runs vcpus, or nil when
// no placement is better than none: a host of one node, or of more than 16, or
// no set of nodes with enough of everything.
//
// Fewer nodes are better; among as many, fewer vcpus that compete, then more
// free memory. Source: libxl__get_numa_candidate, numa_cmpf.
func Place(h *Host, mem abi.KiB, vcpus int) *Placement {
	nodes := h.usableNodes()
	if len(h.Free) <= 1 || len(h.Free) > maxPlacementNodes {
		return nil
	}
	for k := h.fewestNodes(vcpus, len(nodes)); k <= len(nodes); k++ {
		var best *Placement
		for set := range combinations(len(nodes), k) {
			c := h.candidate(nodes, set)
			if c.Free < mem || c.CPUs < vcpus {
				continue
			}
			if best == nil || c.VCPUs < best.VCPUs || c.VCPUs == best.VCPUs && c.Free > best.Free {
				best = c
			}
		}
		if best != nil {
			return best
		}
	}
	return nil
}

// usableNodes lists the nodes of the CPUs that may be used.
func (h *Host) usableNodes() []int {
	var nodes []int
	for cpu, node := range h.NodeOf {
		if h.Usable.Has(cpu) && node >= 0 && node < len(h.Free) {
			nodes = append(nodes, node)
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// fewestNodes is where the search starts: if all nodes have as many CPUs, the
// vcpus say how many nodes it takes at least, but not more than there are.
func (h *Host) fewestNodes(vcpus, most int) int {
	count := make([]int, len(h.Free))
	for _, node := range h.NodeOf {
		if node >= 0 && node < len(count) {
			count[node]++
		}
	}
	if slices.Min(count) != slices.Max(count) || count[0] == 0 {
		return 1
	}
	return min((vcpus+count[0]-1)/count[0], most)
}

func (h *Host) candidate(nodes, set []int) *Placement {
	c := &Placement{}
	for _, i := range set {
		node := nodes[i]
		c.Nodes.Add(node)
		c.Free += h.Free[node]
		if node < len(h.Runable) {
			c.VCPUs += h.Runable[node]
		}
	}
	for cpu, node := range h.NodeOf {
		if h.Usable.Has(cpu) && c.Nodes.Has(node) {
			c.CPUs++
		}
	}
	return c
}

// combinations yields the sets of k of the numbers below n, in lexical order.
// The slice is reused.
func combinations(n, k int) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		set := make([]int, k)
		for i := range set {
			set[i] = i
		}
		for k <= n && yield(set) {
			i := k - 1
			for i >= 0 && set[i] == n-k+i {
				i--
			}
			if i < 0 {
				return
			}
			set[i]++
			for i++; i < k; i++ {
				set[i] = set[i-1] + 1
			}
		}
	}
}

// Runner is a vcpu of a guest that exists already, for CountVCPUs.
type Runner struct {
	Affinity config.Bitmap // CPUs, hard
	Pool     config.Bitmap // CPUs of its guest's pool
	Nodes    config.Bitmap // its guest's node affinity
}

// CountVCPUs returns for every node how many of the vcpus can run there, on
// CPUs that h says are usable: Host.Runable. Source: nr_vcpus_on_nodes.
func CountVCPUs(h *Host, vcpus []Runner) []int {
	count := make([]int, len(h.Free))
	for _, v := range vcpus {
		var seen config.Bitmap
		for cpu, node := range h.NodeOf {
			if node < 0 || node >= len(count) || seen.Has(node) {
				continue
			}
			if h.Usable.Has(cpu) && v.Affinity.Has(cpu) && v.Pool.Has(cpu) && v.Nodes.Has(node) {
				seen.Add(node)
				count[node]++
			}
		}
	}
	return count
}

// CPUsOf returns the CPUs of a set of nodes: what the soft affinity of a placed
// guest is.
func (h *Host) CPUsOf(nodes config.Bitmap) config.Bitmap {
	var cpus config.Bitmap
	for cpu, node := range h.NodeOf {
		if nodes.Has(node) {
			cpus.Add(cpu)
		}
	}
	return cpus
}
