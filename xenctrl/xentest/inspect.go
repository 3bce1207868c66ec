package xentest

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"goxl/xenctrl/abi"
)

// Domain is what a test may want to know about a domain, at one moment.
type Domain struct {
	ID            abi.DomID
	Created       abi.CreateDomain
	HVM           bool
	Bits          uint32
	Paused        bool
	Started       bool // was unpaused once
	Dying         bool
	Shutdown      bool
	Reason        abi.ShutdownReason // of Shutdown
	LogDirty      bool               // Xen notes what the guest writes
	MaxMem        abi.KiB
	Pages         abi.Pages
	Claim         abi.Pages
	PagingPool    abi.KiB
	VCPUs         int
	Contexts      [][]byte // of PV vcpus, nil while not set
	Params        map[uint32]uint64
	Pinned        map[abi.MFN]int // page tables, with their level
	E820          []abi.E820Entry
	SharedInfo    abi.MFN
	HypercallPage uint64
	GrantFrames   int
	Ports         int
	TimeOffset    int64
	CPUPool       uint32
	Policy        abi.CPUPolicy
	Hard, Soft    []abi.Bitmap
}

// Domain returns a domain as it is now, and false when there is none.
func (m *Machine) Domain(id abi.DomID) (Domain, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.domains[id]
	if d == nil {
		return Domain{}, false
	}
	out := Domain{
		ID: id, HVM: d.hvm, Bits: d.bits, Paused: d.pauses > 0, Started: d.started, Dying: d.dying,
		Shutdown: d.shutdown, Reason: abi.ShutdownReason(d.reason), LogDirty: d.dirty != nil,
		Created: abi.CreateDomain{
			SSIDRef: d.created.ssid, Handle: d.handle, Flags: d.created.flags, IOMMUOpts: d.created.iommu,
			MaxVCPUs: d.created.maxVCPUs, MaxEvtchnPort: d.created.maxPort,
			MaxGrantFrames: d.created.maxGrantFrames, MaxMaptrackFrames: d.created.maxMaptrack,
			GrantVersion: uint8(d.created.grantOpts), Altp2mMode: d.created.altp2mMode,
			Altp2mCount: d.created.altp2mCount, VMTraceBytes: d.created.vmtrace, CPUPool: d.created.pool,
			EmulationFlags: d.created.emulation, MiscFlags: d.created.misc,
		},
		MaxMem: abi.Pages(d.maxPages).KiB(), Pages: abi.Pages(len(d.pages)), Claim: abi.Pages(d.claim),
		PagingPool: abi.KiB(d.poolSize >> 10), VCPUs: len(d.vcpus), Params: maps.Clone(d.params),
		E820: slices.Clone(d.e820), SharedInfo: abi.MFN(d.shared), HypercallPage: d.hypercallPage,
		GrantFrames: len(d.grants), TimeOffset: d.offset, CPUPool: d.cpuPool, Pinned: map[abi.MFN]int{},
		Policy: abi.CPUPolicy{Leaves: slices.Clone(d.policy.leaves), MSRs: slices.Clone(d.policy.msrs)},
	}
	for f, level := range d.pinned {
		out.Pinned[abi.MFN(f)] = level
	}
	for _, v := range d.vcpus {
		out.Contexts = append(out.Contexts, bytes.Clone(v.context))
		out.Hard = append(out.Hard, slices.Clone(v.hard))
		out.Soft = append(out.Soft, slices.Clone(v.soft))
	}
	for _, p := range d.ports {
		if p.state != 0 {
			out.Ports++
		}
	}
	return out, true
}

// IDs returns the ids of all domains but domain 0, ascending, those that are
// dying included.
func (m *Machine) IDs() []abi.DomID {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids := slices.Sorted(maps.Keys(m.domains))
	return ids[1:]
}

// AddDomain adds a PV domain that somebody else made: one vcpu, 1 MiB, paused, after a second of life.
func (m *Machine) AddDomain(id abi.DomID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.newDomain(id, createArgs{maxVCPUs: 1, maxPort: -1, maxGrantFrames: 64, grantOpts: 2})
	d.maxPages, d.cpuTime = 256, time.Second
	d.vcpus = m.newVCPUs(1)
	d.vcpus[0].up = true
}

// MaxMem returns the most memory that a domain may own, 0 when it is not there.
func (m *Machine) MaxMem(id abi.DomID) abi.KiB {
	d, _ := m.Domain(id)
	return d.MaxMem
}

// Shutdown makes a domain stop itself.
func (m *Machine) Shutdown(id abi.DomID, reason abi.ShutdownReason) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.domains[id]; d != nil {
		d.shutdown, d.reason = true, uint8(reason)
	}
}

// FreeMemory returns how much memory no domain owns.
func (m *Machine) FreeMemory() abi.KiB {
	m.mu.Lock()
	defer m.mu.Unlock()
	return abi.Pages(m.ram.count()).KiB()
}

// ReadGuest returns a copy of n bytes of a domain's memory: from a guest
// physical address of an HVM domain, from a machine address of a PV one. It is
// nil when a page is missing.
func (m *Machine) ReadGuest(id abi.DomID, addr uint64, n int) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []byte
	for len(out) < n {
		f, err := m.translate(id, abi.GFN(addr>>abi.PageShift), false)
		if err != nil {
			return nil
		}
		off := addr & (abi.PageSize - 1)
		part := m.ram.page(f)[off:]
		part = part[:min(len(part), n-len(out))]
		out = append(out, part...)
		addr += uint64(len(part))
	}
	return out
}

// GrantTable returns a copy of a domain's grant table, nil while it has none.
func (m *Machine) GrantTable(id abi.DomID) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []byte
	if d := m.domains[id]; d != nil {
		for _, f := range d.grants {
			out = append(out, m.ram.page(f)...)
		}
	}
	return out
}

// HVMRecord returns the payload of an hvm context record that was set, or nil.
func (m *Machine) HVMRecord(id abi.DomID, typ, vcpu uint16) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.domains[id]; d != nil {
		return bytes.Clone(d.context[recordKey{typ, vcpu}])
	}
	return nil
}

// Keys returns the debug keys that were pressed.
func (m *Machine) Keys() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.keys
}

// Mappings returns how many mappings of a domain's memory there are.
func (m *Machine) Mappings(id abi.DomID) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, mp := range m.mappings {
		if mp.dom == id {
			n++
		}
	}
	return n
}
