package xenctrl

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"goxl/xenctrl/abi"
)

// Stats are the hypercalls and other system calls that a Handle made so far.
type Stats struct {
	Hypercalls map[string]uint64 // by name: "domctl/getdomaininfo"
	Syscalls   map[string]uint64 // by name: "mmap", "privcmd mmapbatch"
}

// Total returns how many hypercalls and how many system calls there were. A
// hypercall is a system call too and counted in both.
func (s Stats) Total() (hypercalls, syscalls uint64) {
	for _, n := range s.Hypercalls {
		hypercalls += n
	}
	for _, n := range s.Syscalls {
		syscalls += n
	}
	return hypercalls, syscalls
}

// Names returns the names of the hypercalls made, sorted.
func (s Stats) Names() []string { return slices.Sorted(maps.Keys(s.Hypercalls)) }

// Stats returns the counts up to now. It does not block.
func (h *Handle) Stats() Stats {
	return Stats{Hypercalls: h.counts.snapshot(), Syscalls: h.sys.Syscalls()}
}

const countedOps, countedCmds = 64, 128

// counters counts hypercalls by number and command. The common ones have a
// fixed place, so that counting costs one atomic addition.
type counters struct {
	fixed [countedOps][]atomic.Uint64
	mu    sync.Mutex
	rest  map[[2]uint64]uint64
}

func newCounters() *counters {
	c := &counters{rest: map[[2]uint64]uint64{}}
	for i := range c.fixed {
		c.fixed[i] = make([]atomic.Uint64, countedCmds)
	}
	return c
}

func (c *counters) add(op uint64, cmd uint32) {
	if op < countedOps && cmd < countedCmds {
		c.fixed[op][cmd].Add(1)
		return
	}
	c.mu.Lock()
	c.rest[[2]uint64{op, uint64(cmd)}]++
	c.mu.Unlock()
}

func (c *counters) snapshot() map[string]uint64 {
	out := map[string]uint64{}
	for op := range c.fixed {
		for cmd := range c.fixed[op] {
			if n := c.fixed[op][cmd].Load(); n > 0 {
				out[abi.OpName(uint64(op), uint32(cmd))] += n
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, n := range c.rest {
		out[abi.OpName(k[0], uint32(k[1]))] += n
	}
	return out
}
