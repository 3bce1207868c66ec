package xentest

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"unsafe"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

var le = binary.LittleEndian

// system is a Machine as the ground of a Handle.
type system Machine

// mapping is memory of a domain that the toolstack maps.
type mapping struct {
	dom    abi.DomID
	frames []uint64 // machine frames; all ones: not mapped
	write  bool
	view   []byte
}

// Hypercall decodes and performs a hypercall.
func (s *system) Hypercall(op uint64, args [5]uint64) (int64, error) {
	m := (*Machine)(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.admit(m.callName(op, args)); err != nil {
		return 0, err
	}
	n, err := m.dispatch(op, args)
	return n, errno(err)
}

func (m *Machine) dispatch(op uint64, args [5]uint64) (int64, error) {
	switch op {
	case abi.OpDomctl:
		return m.domctl(args[0])
	case abi.OpSysctl:
		return 0, m.sysctl(args[0])
	case abi.OpMemory:
		return m.memoryOp(uint32(args[0]), args[1])
	case abi.OpXenVersion:
		return m.xenVersion(uint32(args[0]), args[1])
	case abi.OpHVM:
		return 0, m.hvmOp(uint32(args[0]), args[1])
	case abi.OpEventChannel:
		return 0, m.evtchnOp(uint32(args[0]), args[1])
	case abi.OpGrantTable:
		return 0, m.grantOp(uint32(args[0]), args[1], args[2])
	case abi.OpMMUExt:
		return 0, m.mmuExt(args[0], args[1], abi.DomID(args[3]))
	case abi.OpMMUUpdate:
		return 0, m.mmuUpdate(args[0], args[1], abi.DomID(args[3]))
	case abi.OpSched:
		return 0, m.schedOp(uint32(args[0]), args[1])
	case abi.OpHypfs:
		return m.hypfs(args)
	case abi.OpPhysdev:
		return 0, m.physdev(uint32(args[0]), args[1])
	}
	return 0, syscall.ENOSYS
}

// Alloc gives out Go memory under an address that only this machine knows; one
// page behind it stays unused, so that overruns fault.
func (s *system) Alloc(pages int) (xenctrl.Buffer, error) {
	m := (*Machine)(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	b := make([]byte, pages<<abi.PageShift)
	addr := m.nextAddr
	m.nextAddr += uint64(len(b)) + abi.PageSize
	m.buffers[addr] = b
	return xenctrl.NewBuffer(addr, b), nil
}

// Free takes a buffer back.
func (s *system) Free(b xenctrl.Buffer) error {
	m := (*Machine)(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.buffers[b.Addr()]; !ok {
		return fmt.Errorf("free a buffer twice: %w", syscall.EINVAL)
	}
	delete(m.buffers, b.Addr())
	return nil
}

// MapForeign maps frames of a domain so that both sides see the same memory.
func (s *system) MapForeign(dom abi.DomID, frames []abi.GFN, prot xenctrl.Prot, errs []error) ([]byte, error) {
	m := (*Machine)(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.admit("map foreign"); err != nil {
		return nil, err
	}
	write := prot&xenctrl.ProtWrite != 0
	machine := make([]uint64, len(frames))
	for i, f := range frames {
		machine[i], errs[i] = m.translate(dom, f, write)
		if errs[i] != nil {
			machine[i] = abi.InvalidFrame
		}
	}
	return m.mapFrames(dom, machine, write)
}

// translate finds the machine frame behind a frame of a domain.
func (m *Machine) translate(id abi.DomID, f abi.GFN, write bool) (uint64, error) {
	if id == abi.DomXen {
		if write || uint64(f) >= m.ram.m2pFrames {
			return 0, syscall.EPERM
		}
		return uint64(f), nil
	}
	d := m.domains[id]
	if d == nil {
		return 0, syscall.ESRCH
	}
	mfn := uint64(f)
	if d.hvm {
		var ok bool
		if mfn, ok = d.p2m[uint64(f)]; !ok {
			return 0, syscall.EINVAL
		}
	} else if mfn >= m.ram.frames {
		return 0, syscall.EINVAL
	} else if !d.owns(mfn) {
		return 0, syscall.EPERM
	}
	if write && d.tables[mfn] != 0 {
		return 0, syscall.EBUSY // a page table
	}
	return mfn, nil
}

func (m *Machine) mapFrames(dom abi.DomID, machine []uint64, write bool) ([]byte, error) {
	view, err := m.ram.view(machine, write)
	if err != nil {
		return nil, err
	}
	m.mappings[unsafe.SliceData(view)] = &mapping{dom, machine, write, view}
	return view, nil
}

// MapResource maps a grant table.
func (s *system) MapResource(dom abi.DomID, r xenctrl.Resource, first uint64, n int, prot xenctrl.Prot) ([]byte, error) {
	m := (*Machine)(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.admit("map resource"); err != nil {
		return nil, err
	}
	if m.cfg.NoResources {
		return nil, syscall.EOPNOTSUPP
	}
	d, err := m.domain(dom)
	if err != nil {
		return nil, err
	}
	if r.Type != abi.ResourceGrantTable || r.ID != abi.ResourceGrantShared {
		return nil, syscall.EOPNOTSUPP
	}
	if err := d.growGrants(m, int(first)+n); err != nil {
		return nil, err
	}
	return m.mapFrames(dom, d.grants[first:][:n:n], prot&xenctrl.ProtWrite != 0)
}

// ResourceFrames returns the size of a grant table; release 4.14 has one answer.
func (s *system) ResourceFrames(dom abi.DomID, r xenctrl.Resource) (int, error) {
	m := (*Machine)(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.domain(dom)
	switch {
	case err != nil:
		return 0, err
	case m.cfg.NoResources || r.Type != abi.ResourceGrantTable:
		return 0, syscall.EOPNOTSUPP
	case !m.cfg.Version.AtLeast(4, 15):
		return 32, nil
	}
	return int(d.maxGrantFrames), nil
}

// Unmap ends a mapping, and with the last one of a dying domain the domain.
func (s *system) Unmap(b []byte) error {
	m := (*Machine)(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	key := unsafe.SliceData(b)
	mp := m.mappings[key]
	if mp == nil {
		return fmt.Errorf("unmap what is not mapped: %w", syscall.EINVAL)
	}
	delete(m.mappings, key)
	err := unmapView(mp.view)
	if d := m.domains[mp.dom]; d != nil && d.dying {
		m.reap(d)
	}
	return err
}

// DMOp refuses all but the operations that a toolstack makes.
func (s *system) DMOp(dom abi.DomID, bufs [][]byte) error {
	m := (*Machine)(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.admit("dm_op"); err != nil {
		return err
	}
	d, err := m.domain(dom)
	if err != nil {
		return err
	}
	if !d.hvm || len(bufs) == 0 || len(bufs[0]) != abi.DMOpSize || le.Uint32(bufs[0][4:]) != 0 {
		return syscall.EINVAL
	}
	switch le.Uint32(bufs[0]) {
	case abi.DMPinMemoryCacheAttr, abi.DMModifiedMemory:
		return nil
	}
	return syscall.EOPNOTSUPP
}

// Syscalls counts nothing: there are none.
func (s *system) Syscalls() map[string]uint64 { return map[string]uint64{} }

// Close does nothing; the machine lives until the test ends.
func (s *system) Close() error { return nil }

// mapped reports how many mappings of a frame there are, and how many writable.
func (m *Machine) mapped(frame uint64) (all, write int) {
	for _, mp := range m.mappings {
		for _, f := range mp.frames {
			if f == frame {
				all++
				if mp.write {
					write++
				}
			}
		}
	}
	return all, write
}
