package xentest

import (
	"syscall"

	"goxl/xenctrl/abi"
)

// memoryOp decodes and performs a memory_op.
func (m *Machine) memoryOp(cmd uint32, addr uint64) (int64, error) {
	switch cmd {
	case 1, 6, 24:
		return m.reservation(cmd, addr)
	case 2:
		return int64(m.ram.frames - 1), nil
	case 3, 4, 14:
		return m.memQuery(cmd, addr)
	case 5:
		return 0, m.machphysList(addr)
	case 7, 15:
		return 0, m.physmap(cmd, addr)
	case 10:
		return 0, m.machineMap(addr)
	case 13:
		return 0, m.setMemoryMap(addr)
	case 18, 19:
		return 0, nil
	case 27:
		b, err := m.at(addr, 24)
		if err == nil {
			le.PutUint32(b[4:], 0)
		}
		return 0, err
	case 16, 17:
		return 0, m.podTarget(addr)
	}
	return 0, syscall.ENOSYS
}

// reservation populates, decreases or claims.
func (m *Machine) reservation(cmd uint32, addr uint64) (int64, error) {
	b, err := m.at(addr, 32)
	if err != nil {
		return 0, err
	}
	d, err := m.domain(abi.DomID(le.Uint16(b[24:])))
	if err != nil {
		return 0, err
	}
	n, order, flags := le.Uint64(b[8:]), uint(le.Uint32(b[16:])), le.Uint32(b[20:])
	if cmd == 24 {
		return 0, m.claim(d, le.Uint64(b), n, order)
	}
	if d.dying || order > 18 || n > 1<<24 {
		return 0, nil // Xen does none, and says so with the count
	}
	list, err := m.at(le.Uint64(b), int(8*n))
	if err != nil {
		return 0, err
	}
	for i := range n {
		e := list[8*i:]
		if cmd == 6 {
			err = m.populate(d, e, order, flags)
		} else {
			err = m.decrease(d, le.Uint64(e), order)
		}
		if err != nil {
			return int64(i), nil
		}
	}
	return int64(n), nil
}

func (m *Machine) claim(d *domain, start, total uint64, order uint) error {
	if start != 0 || order != 0 {
		return syscall.EINVAL
	}
	have := uint64(len(d.pages))
	switch {
	case total == 0:
		d.claim = 0
	case d.claim != 0 || total <= have:
		return syscall.EINVAL
	case total > d.maxPages:
		return syscall.EINVAL
	case m.freePages(d) < total-have:
		return syscall.ENOMEM
	default:
		d.claim = total - have
	}
	return nil
}

// populate makes one extent at the pfn in e, and tells a PV builder the frame.
func (m *Machine) populate(d *domain, e []byte, order uint, flags uint32) error {
	pfn := le.Uint64(e)
	if flags&abi.MemfPopulateOnDemand != 0 && !d.hvm {
		return syscall.EINVAL
	}
	f, err := m.allocate(d, order)
	if err != nil {
		return err
	}
	for i := range uint64(1) << order {
		if d.hvm {
			d.p2m[pfn+i] = f + i
		}
		m.ram.setM2P(f+i, pfn+i)
	}
	if !d.hvm {
		le.PutUint64(e, f)
	}
	return nil
}

func (m *Machine) decrease(d *domain, frame uint64, order uint) error {
	for i := range uint64(1) << order {
		f := frame + i
		if d.hvm {
			f = d.p2m[f]
		}
		if all, _ := m.mapped(f); !d.pages[f] || all > 0 || d.tables[f] != 0 {
			return syscall.EINVAL
		}
		delete(d.p2m, frame+i)
		m.release(d, f)
	}
	return nil
}

func (m *Machine) memQuery(cmd uint32, addr uint64) (int64, error) {
	b, err := m.at(addr, 2)
	if err != nil {
		return 0, err
	}
	d, err := m.domain(abi.DomID(le.Uint16(b)))
	if err != nil {
		return 0, err
	}
	switch cmd {
	case 3:
		return int64(len(d.pages)), nil
	case 4:
		return int64(d.maxPages), nil
	}
	if !d.hvm { // what the guest wrote into arch.max_pfn of its shared info
		return int64(max(le.Uint64(m.ram.page(d.shared)[3088:]), 1) - 1), nil
	}
	top := uint64(0)
	for g := range d.p2m {
		top = max(top, g)
	}
	return int64(top), nil
}

// physmap puts a grant frame at a gfn, or takes something away.
func (m *Machine) physmap(cmd uint32, addr uint64) error {
	b, err := m.at(addr, 24)
	if err != nil {
		return err
	}
	d, err := m.domain(abi.DomID(le.Uint16(b)))
	if err != nil {
		return err
	}
	if !d.hvm {
		return syscall.EACCES
	}
	if cmd == 15 {
		gfn := le.Uint64(b[8:])
		if _, ok := d.p2m[gfn]; !ok {
			return syscall.ENOENT
		}
		delete(d.p2m, gfn)
		return nil
	}
	idx, gfn := le.Uint64(b[8:]), le.Uint64(b[16:])
	switch le.Uint32(b[4:]) {
	case abi.SpaceSharedInfo:
		if idx != 0 {
			return syscall.EINVAL
		}
		d.p2m[gfn] = d.shared
	case abi.SpaceGrantTable:
		if err := d.growGrants(m, int(idx)+1); err != nil {
			return err
		}
		d.p2m[gfn] = d.grants[idx]
	case abi.SpaceGMFN:
		f, ok := d.p2m[idx]
		if !ok {
			return syscall.EINVAL
		}
		delete(d.p2m, idx)
		d.p2m[gfn] = f
	default:
		return syscall.EINVAL
	}
	return nil
}

func (m *Machine) machphysList(addr uint64) error {
	b, err := m.at(addr, 24)
	if err != nil {
		return err
	}
	n := min(uint64(le.Uint32(b)), (m.ram.frames*8+1<<21-1)>>21)
	list, err := m.at(le.Uint64(b[8:]), int(8*n))
	if err != nil {
		return err
	}
	for i := range n {
		le.PutUint64(list[8*i:], i<<9)
	}
	le.PutUint32(b[16:], uint32(n))
	return nil
}

func (m *Machine) machineMap(addr uint64) error {
	b, err := m.at(addr, 16)
	if err != nil {
		return err
	}
	list, err := m.at(le.Uint64(b[8:]), 40)
	if err != nil {
		return err
	}
	for i, e := range []abi.E820Entry{
		{Addr: 0, Size: 0x9f000, Type: 1},
		{Addr: 1 << 20, Size: m.ram.frames<<abi.PageShift - 1<<20, Type: 1},
	} {
		le.PutUint64(list[20*i:], e.Addr)
		le.PutUint64(list[20*i+8:], e.Size)
		le.PutUint32(list[20*i+16:], e.Type)
	}
	le.PutUint32(b, 2)
	return nil
}

func (m *Machine) setMemoryMap(addr uint64) error {
	b, err := m.at(addr, 24)
	if err != nil {
		return err
	}
	d, err := m.domain(abi.DomID(le.Uint16(b)))
	if err != nil {
		return err
	}
	n := le.Uint32(b[8:])
	if n > 128 {
		return syscall.EINVAL
	}
	list, err := m.at(le.Uint64(b[16:]), int(20*n))
	if err != nil {
		return err
	}
	d.e820 = nil
	for ; len(list) > 0; list = list[20:] {
		d.e820 = append(d.e820, abi.E820Entry{Addr: le.Uint64(list), Size: le.Uint64(list[8:]), Type: le.Uint32(list[16:])})
	}
	return nil
}

func (m *Machine) podTarget(addr uint64) error {
	b, err := m.at(addr, 40)
	if err != nil {
		return err
	}
	d, err := m.domain(abi.DomID(le.Uint16(b[32:])))
	if err != nil {
		return err
	}
	if !d.hvm {
		return syscall.EINVAL
	}
	le.PutUint64(b[8:], uint64(len(d.pages)))
	return nil
}
