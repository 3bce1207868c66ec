package xentest

import (
	"syscall"

	"goxl/xenctrl/abi"
)

// shadowOp knows pool sizes in MiB, and which pages WriteGuest wrote.
func (m *Machine) shadowOp(d *domain, c *domctlCall) error {
	if len(d.vcpus) == 0 {
		return syscall.EINVAL
	}
	switch op := le.Uint32(c.u); op {
	case abi.ShadowOff:
		d.dirty = nil
	case abi.ShadowLogDirty:
		if d.dirty != nil {
			return syscall.EINVAL
		}
		d.dirty = map[uint64]bool{}
	case abi.ShadowSetAllocation, abi.ShadowGetAllocation:
		if !d.hvm {
			return syscall.EINVAL
		}
		if op == abi.ShadowSetAllocation {
			d.poolSize = uint64(le.Uint32(c.u[8:])) << 20
		}
		le.PutUint32(c.u[8:], uint32((d.poolSize+1<<20-1)>>20))
	case abi.ShadowPeek, abi.ShadowClean:
		return m.readDirty(d, c)
	default:
		return syscall.EINVAL
	}
	return nil
}

// readDirty copies the bitmap of written pages out; Clean starts a new one.
func (m *Machine) readDirty(d *domain, c *domctlCall) error {
	op, mode := le.Uint32(c.u), le.Uint32(c.u[4:])
	if mode&^abi.ShadowFinal != 0 {
		return syscall.EINVAL
	}
	n := le.Uint64(c.u[24:])
	if addr := le.Uint64(c.u[16:]); addr != 0 {
		b, err := m.at(addr, int(n+7)/8)
		if err != nil {
			return err
		}
		clear(b)
		for p := range d.dirty {
			if p < n {
				b[p/8] |= 1 << (p % 8)
			}
		}
	}
	le.PutUint32(c.u[32:], 0)
	le.PutUint32(c.u[36:], uint32(len(d.dirty)))
	if op == abi.ShadowClean && d.dirty != nil {
		clear(d.dirty)
	}
	return nil
}

// WriteGuest writes to a domain's memory as the guest itself would; addresses are
// those of ReadGuest. It reports false when a page is missing, or is a page table,
// which a guest can only write through Xen; pages before it are written.
func (m *Machine) WriteGuest(id abi.DomID, addr uint64, data []byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(data) > 0 {
		f, err := m.translate(id, abi.GFN(addr>>abi.PageShift), true)
		if err != nil {
			return false
		}
		d := m.domains[id]
		n := copy(m.ram.page(f)[addr&(abi.PageSize-1):], data)
		if d.dirty != nil && f != d.shared {
			pfn := addr >> abi.PageShift
			if !d.hvm {
				pfn = m.ram.m2p(f)
			}
			d.dirty[pfn] = true
		}
		data, addr = data[n:], addr+uint64(n)
	}
	return true
}
