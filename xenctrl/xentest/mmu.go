package xentest

import (
	"syscall"

	"goxl/xenctrl/abi"
)

const (
	ptePresent = 1 << 0
	pteWrite   = 1 << 1
	pteAddress = 0x000ffffffffff000
)

// mmuExt pins and unpins page tables.
func (m *Machine) mmuExt(addr, count uint64, id abi.DomID) error {
	b, err := m.at(addr, int(24*count))
	if err != nil {
		return err
	}
	d, err := m.domain(id)
	if err != nil {
		return err
	}
	if d.hvm {
		return syscall.EINVAL
	}
	for ; len(b) > 0; b = b[24:] {
		cmd, frame := le.Uint32(b), le.Uint64(b[8:])
		switch {
		case cmd <= 3:
			if err := m.pin(d, frame, int(cmd)+1); err != nil {
				return err
			}
		case cmd == 4:
			if d.pinned[frame] == 0 {
				return syscall.EINVAL
			}
			delete(d.pinned, frame)
			m.retype(d)
		default:
			return syscall.ENOSYS
		}
	}
	return nil
}

// pin validates a tree of page tables, and has it stay one.
func (m *Machine) pin(d *domain, frame uint64, level int) error {
	if d.pinned[frame] != 0 {
		return syscall.EINVAL
	}
	if err := m.validate(d, frame, level); err != nil {
		return err
	}
	d.pinned[frame] = level
	return nil
}

// validate makes a tree of page tables one: every table is the domain's, nobody
// has a writable mapping of one, and no entry of a level 1 table makes one writable.
func (m *Machine) validate(d *domain, frame uint64, level int) error {
	tables := map[uint64]int{}
	for f, l := range d.tables {
		tables[f] = l
	}
	if err := m.collect(d, frame, level, tables); err != nil {
		return err
	}
	for f, l := range tables {
		if _, write := m.mapped(f); write > 0 {
			return syscall.EINVAL
		}
		if l != 1 {
			continue
		}
		page := m.ram.page(f)
		for i := 0; i < abi.PageSize; i += 8 {
			e := le.Uint64(page[i:])
			if e&ptePresent == 0 {
				continue
			}
			target := e & pteAddress >> abi.PageShift
			if !d.owns(target) || e&pteWrite != 0 && tables[target] != 0 {
				return syscall.EINVAL
			}
		}
	}
	m.setTables(d, tables)
	return nil
}

// setTables changes which frames are page tables. Xen counts it as a write when a
// page becomes one, and when it ceases to be one.
func (m *Machine) setTables(d *domain, tables map[uint64]int) {
	for _, some := range []map[uint64]int{d.tables, tables} {
		for f := range some {
			if d.dirty != nil && (d.tables[f] == 0) != (tables[f] == 0) {
				d.dirty[m.ram.m2p(f)] = true
			}
		}
	}
	d.tables = tables
}

// collect walks down from a table and notes the level of each.
func (m *Machine) collect(d *domain, frame uint64, level int, tables map[uint64]int) error {
	if !d.pages[frame] || tables[frame] != 0 && tables[frame] != level {
		return syscall.EINVAL
	}
	if tables[frame] == level {
		return nil
	}
	tables[frame] = level
	if level == 1 {
		return nil
	}
	page := m.ram.page(frame)
	for i := 0; i < abi.PageSize; i += 8 {
		e := le.Uint64(page[i:])
		if e&ptePresent == 0 || level == 4 && i/8 >= 256 && i/8 < 272 { // Xen's own slots
			continue
		}
		if err := m.collect(d, e&pteAddress>>abi.PageShift, level-1, tables); err != nil {
			return err
		}
	}
	return nil
}

// retype forgets tables that neither a pinned one nor a vcpu reaches.
func (m *Machine) retype(d *domain) {
	tables := map[uint64]int{}
	for f, level := range d.pinned {
		_ = m.collect(d, f, level, tables)
	}
	for _, v := range d.vcpus {
		if v.context == nil {
			continue
		}
		_ = m.collect(d, le.Uint64(v.context[contextCR3:])>>abi.PageShift, 4, tables)
		if user := le.Uint64(v.context[contextCR1:]); user != 0 {
			_ = m.collect(d, user>>abi.PageShift, 4, tables)
		}
	}
	m.setTables(d, tables)
}

// mmuUpdate writes the machine-to-physical table.
func (m *Machine) mmuUpdate(addr, count uint64, id abi.DomID) error {
	b, err := m.at(addr, int(16*count))
	if err != nil {
		return err
	}
	d, err := m.domain(id)
	if err != nil {
		return err
	}
	for ; len(b) > 0; b = b[16:] {
		ptr, val := le.Uint64(b), le.Uint64(b[8:])
		frame := ptr >> abi.PageShift
		if ptr&3 != abi.MMUMachphysUpdate || !d.pages[frame] {
			return syscall.EINVAL
		}
		m.ram.setM2P(frame, val)
	}
	return nil
}

// pageTypes replaces frames by their types.
func (m *Machine) pageTypes(d *domain, c *domctlCall) error {
	n := le.Uint64(c.u)
	if n > 1024 {
		return syscall.E2BIG
	}
	b, err := m.at(le.Uint64(c.u[8:]), int(8*n))
	if err != nil {
		return err
	}
	for ; len(b) > 0; b = b[8:] {
		f, err := m.translate(d.id, abi.GFN(le.Uint64(b)), false)
		t := uint64(d.tables[f]) << 28
		if d.pinned[f] != 0 {
			t |= abi.FramePinned
		}
		if err != nil {
			t = abi.FrameInvalid
		}
		le.PutUint64(b, t)
	}
	return nil
}
