package xentest

import (
	"bytes"
	"syscall"

	"goxl/xenctrl/abi"
)

// recordKey names a record of an hvm context.
type recordKey struct{ typ, vcpu uint16 }

// The records that the machine knows, with their sizes.
const (
	recEnd, recHeader, recCPU, recLAPIC, recLAPICRegs, recMTRR = 0, 1, 2, 5, 6, 14

	headerMagic = 0x54381286
)

func recordSize(typ uint16, v abi.Version) (int, bool) {
	switch typ {
	case recEnd:
		return 0, true
	case recHeader:
		return 24, true
	case recCPU:
		return 1032, true
	case recLAPIC:
		if v.AtLeast(4, 18) {
			return 32, true
		}
		return 24, true
	case recLAPICRegs:
		return 1024, true
	case recMTRR:
		return 240, true
	}
	return 0, false
}

// hvmContext gets or sets the whole context.
func (m *Machine) hvmContext(d *domain, c *domctlCall) error {
	if !d.hvm {
		return syscall.EINVAL
	}
	size, addr := le.Uint32(c.u), le.Uint64(c.u[8:])
	if c.cmd == 34 {
		b, err := m.at(addr, int(size))
		if err != nil {
			return err
		}
		return m.setContext(d, b)
	}
	blob := m.contextOf(d)
	le.PutUint32(c.u, uint32(len(blob)))
	if addr == 0 {
		return nil
	}
	if int(size) < len(blob) {
		return syscall.ENOSPC
	}
	b, err := m.at(addr, len(blob))
	if err != nil {
		return err
	}
	copy(b, blob)
	return nil
}

// contextOf writes the records of a domain: CPU records only of vcpus that run.
func (m *Machine) contextOf(d *domain) []byte {
	var out []byte
	add := func(typ, vcpu uint16) {
		size, _ := recordSize(typ, m.cfg.Version)
		body := d.context[recordKey{typ, vcpu}]
		if body == nil {
			body = make([]byte, size)
			if typ == recHeader {
				le.PutUint32(body, headerMagic)
				le.PutUint32(body[4:], 1)
				le.PutUint32(body[20:], 2_000_000)
			}
		}
		out = le.AppendUint16(out, typ)
		out = le.AppendUint16(out, vcpu)
		out = le.AppendUint32(out, uint32(len(body)))
		out = append(out, body...)
	}
	add(recHeader, 0)
	for i, v := range d.vcpus {
		if v.up {
			add(recCPU, uint16(i))
		}
	}
	for _, typ := range []uint16{recLAPIC, recLAPICRegs, recMTRR} {
		for i := range d.vcpus {
			add(typ, uint16(i))
		}
	}
	add(recEnd, 0)
	return out
}

// setContext checks a whole context and then takes it over. All vcpus go down
// first; those with a CPU record come up.
func (m *Machine) setContext(d *domain, b []byte) error {
	got := map[recordKey][]byte{}
	for first, end := true, false; !end; first = false {
		if len(b) < 8 {
			return syscall.ENODATA
		}
		typ, inst, n := le.Uint16(b), le.Uint16(b[2:]), le.Uint32(b[4:])
		b = b[8:]
		size, known := recordSize(typ, m.cfg.Version)
		switch {
		case first && typ != recHeader:
			return syscall.ENODATA
		case first && (int(n) != 24 || len(b) < 24 || le.Uint32(b) != headerMagic || le.Uint32(b[4:]) != 1):
			return syscall.EINVAL
		case !known || int(n) > len(b) || int(n) > size:
			return syscall.EINVAL
		case typ != recHeader && typ != recEnd && int(inst) >= len(d.vcpus):
			return syscall.EINVAL
		case typ == recCPU && le.Uint64(b[656:])&0x80000001 == 0x80000000: // paging without protection
			return syscall.EINVAL
		}
		got[recordKey{typ, inst}] = bytes.Clone(b[:n])
		b = b[n:]
		end = typ == recEnd
	}
	for i := range d.vcpus {
		_, up := got[recordKey{recCPU, uint16(i)}]
		d.vcpus[i].up = up
	}
	for k, v := range got {
		d.context[k] = v
	}
	return nil
}

// hvmContextPart gets one record's payload.
func (m *Machine) hvmContextPart(d *domain, c *domctlCall) error {
	typ, inst := uint16(le.Uint32(c.u)), uint16(le.Uint32(c.u[4:]))
	size, known := recordSize(typ, m.cfg.Version)
	if !d.hvm || !known || int(inst) >= len(d.vcpus) {
		return syscall.ENOENT
	}
	room, addr := le.Uint64(c.u[8:]), le.Uint64(c.u[16:])
	le.PutUint64(c.u[8:], uint64(size))
	if addr == 0 {
		return nil
	}
	if room < uint64(size) {
		return syscall.ENOSPC
	}
	b, err := m.at(addr, size)
	if err != nil {
		return err
	}
	clear(b)
	copy(b, d.context[recordKey{typ, inst}])
	return nil
}

// hvmOp gets and sets parameters.
func (m *Machine) hvmOp(cmd uint32, addr uint64) error {
	if cmd > 1 {
		return syscall.ENOSYS
	}
	b, err := m.at(addr, 16)
	if err != nil {
		return err
	}
	d, err := m.domain(abi.DomID(le.Uint16(b)))
	if err != nil {
		return err
	}
	index, value := le.Uint32(b[4:]), le.Uint64(b[8:])
	if !d.hvm || index > 38 {
		return syscall.EINVAL
	}
	if cmd == 1 {
		le.PutUint64(b[8:], d.params[index])
		return nil
	}
	return m.setParam(d, index, value)
}

func (m *Machine) setParam(d *domain, index uint32, value uint64) error {
	switch index {
	case 4, 13, 20, 21, 22, 23, 25, 26, 30: // gone
		return syscall.EINVAL
	case abi.ParamNestedHVM:
		if m.cfg.Version.AtLeast(4, 15) {
			return syscall.EINVAL
		}
	case abi.ParamAltp2m:
		if m.cfg.Version.AtLeast(4, 19) {
			return syscall.EEXIST
		}
	case abi.ParamViridian, abi.ParamIOReqPFN, abi.ParamBufIOReqPFN,
		abi.ParamIOReqServerPFN, abi.ParamNrIOReqServerPages, abi.ParamMCACap: // once only
		if old := d.params[index]; old != 0 && old != value {
			return syscall.EEXIST
		}
	case abi.ParamIdentPT:
		if value&0xfff != 0 {
			return syscall.EINVAL
		}
	}
	d.params[index] = value
	return nil
}

// mempool sizes the paging pool in bytes, from 4.17 on.
func (m *Machine) mempool(d *domain, c *domctlCall) error {
	switch {
	case !m.cfg.Version.AtLeast(4, 17):
		return syscall.ENOSYS
	case !d.hvm:
		return syscall.EOPNOTSUPP
	case c.cmd == 85:
		le.PutUint64(c.u, d.poolSize)
		return nil
	case len(d.vcpus) == 0 || le.Uint64(c.u)%abi.PageSize != 0:
		return syscall.EINVAL
	}
	d.poolSize = le.Uint64(c.u)
	return nil
}
