package xentest

import (
	"syscall"

	"goxl/xenctrl/abi"
)

// growGrants makes a domain's grant table at least n frames long.
func (d *domain) growGrants(m *Machine, n int) error {
	if n > int(d.maxGrantFrames) {
		return syscall.EINVAL
	}
	for len(d.grants) < n {
		f, err := m.ram.get(0)
		if err != nil {
			return err
		}
		d.grants = append(d.grants, f)
	}
	return nil
}

// grantOp performs the queries that a toolstack makes.
func (m *Machine) grantOp(cmd uint32, addr, count uint64) error {
	size := map[uint32]int{2: 24, 6: 16, 10: 8}[cmd]
	if size == 0 || count != 1 {
		return syscall.ENOSYS
	}
	b, err := m.at(addr, size)
	if err != nil {
		return err
	}
	d, missing := m.domain(abi.DomID(le.Uint16(b)))
	switch {
	case cmd == 2 && missing != nil:
		le.PutUint16(b[8:], 0xfffe) // GNTST_bad_domain
	case cmd == 6 && missing != nil:
		le.PutUint16(b[12:], 0xfffe)
	case missing != nil:
		return missing
	case cmd == 2:
		return m.setupTable(d, b)
	case cmd == 6:
		le.PutUint32(b[4:], uint32(len(d.grants)))
		le.PutUint32(b[8:], d.maxGrantFrames)
		le.PutUint16(b[12:], 0)
	default:
		le.PutUint32(b[4:], 1)
	}
	return nil
}

func (m *Machine) setupTable(d *domain, b []byte) error {
	n := le.Uint32(b[4:])
	if n > d.maxGrantFrames {
		le.PutUint16(b[8:], 0xffff) // GNTST_general_error
		return nil
	}
	if err := d.growGrants(m, int(n)); err != nil {
		return err
	}
	list, err := m.at(le.Uint64(b[16:]), int(8*n))
	if err != nil {
		return err
	}
	for i := range int(n) {
		f := d.grants[i]
		if d.hvm {
			f = abi.InvalidFrame // not in the physmap
		}
		le.PutUint64(list[8*i:], f)
	}
	le.PutUint16(b[8:], 0)
	return nil
}
