package xentest

import (
	"maps"
	"slices"
	"syscall"

	"goxl/xenctrl/abi"
)

// sysctl decodes and performs a sysctl.
func (m *Machine) sysctl(addr uint64) error {
	b, err := m.at(addr, 136)
	if err != nil {
		return err
	}
	if le.Uint32(b[4:]) != m.cfg.Version.Sysctl || m.cfg.FLASK {
		return syscall.EACCES
	}
	u := b[8:]
	switch le.Uint32(b) {
	case 1:
		return m.readConsole(u)
	case 3:
		m.physInfo(u)
		return nil
	case 4:
		le.PutUint32(u, m.pools[0].sched)
		return nil
	case 6:
		return m.listDomains(u)
	case 7:
		keys, err := m.at(le.Uint64(u), int(le.Uint32(u[8:])))
		m.keys += string(keys)
		return err
	case 8:
		return m.fill(u, 16, 8, func(b []byte, i int) { le.PutUint64(b, uint64(i+1)*1e9) })
	case 9:
		le.PutUint64(u[16:], m.ram.count()<<abi.PageShift)
		return nil
	case 16:
		return m.fill(u, 0, 12, func(b []byte, i int) {
			le.PutUint32(b, uint32(i))
			le.PutUint32(b[4:], 0)
			le.PutUint32(b[8:], 0)
		})
	case 17:
		return m.numaInfo(u)
	case 18:
		return m.cpuPoolOp(u)
	case 19:
		return nil
	case 22:
		return m.pciTopology(u)
	case 26:
		return m.featureSet(u)
	case 29:
		return m.systemPolicy(u)
	}
	return syscall.ENOSYS
}

func (m *Machine) physInfo(u []byte) {
	clear(u[:112])
	le.PutUint32(u[0:], 1)
	le.PutUint32(u[4:], uint32(m.cfg.CPUs))
	le.PutUint32(u[8:], uint32(m.cfg.CPUs))
	le.PutUint32(u[12:], uint32(m.cfg.CPUs)-1)
	le.PutUint32(u[16:], 1)
	le.PutUint32(u[24:], 2_000_000)
	caps := uint32(abi.CapHVM | abi.CapPV | abi.CapHAP | abi.CapShadow)
	if m.cfg.Version.AtLeast(4, 16) {
		caps |= abi.CapGrantV1 | abi.CapGrantV2
	}
	le.PutUint32(u[28:], caps)
	off := 32
	if m.cfg.Version.AtLeast(4, 17) {
		off = 40
	}
	le.PutUint64(u[off:], m.ram.frames)
	le.PutUint64(u[off+8:], m.ram.count())
	var claims uint64
	for _, d := range m.domains {
		claims += d.claim
	}
	le.PutUint64(u[off+24:], claims)
	le.PutUint64(u[off+32:], m.ram.frames-1)
	for i := range 8 {
		le.PutUint32(u[off+40+4*i:], 0x11111111*uint32(i+1))
	}
}

func (m *Machine) listDomains(u []byte) error {
	first, room := abi.DomID(le.Uint16(u)), int(le.Uint32(u[4:]))
	size := infoSize(m.cfg.Version)
	b, err := m.at(le.Uint64(u[8:]), room*size)
	if err != nil {
		return err
	}
	n := 0
	for _, id := range slices.Sorted(maps.Keys(m.domains)) {
		if id >= first && n < room {
			copy(b[n*size:], m.info(m.domains[id]))
			n++
		}
	}
	le.PutUint32(u[16:], uint32(n))
	return nil
}

// fill writes one element per CPU and the number of them at out.
func (m *Machine) fill(u []byte, out, size int, f func([]byte, int)) error {
	n := min(int(le.Uint32(u)), m.cfg.CPUs)
	addr := le.Uint64(u[8:])
	if addr == 0 {
		le.PutUint32(u[out:], uint32(m.cfg.CPUs))
		return nil
	}
	b, err := m.at(addr, n*size)
	if err != nil {
		return err
	}
	for i := range n {
		f(b[i*size:], i)
	}
	le.PutUint32(u[out:], uint32(n))
	return nil
}

func (m *Machine) numaInfo(u []byte) error {
	mem, err := m.at(le.Uint64(u[8:]), 16)
	if err != nil {
		return err
	}
	dist, err := m.at(le.Uint64(u[16:]), 4)
	if err != nil {
		return err
	}
	le.PutUint64(mem, m.ram.frames<<abi.PageShift)
	le.PutUint64(mem[8:], m.ram.count()<<abi.PageShift)
	le.PutUint32(dist, 10)
	le.PutUint32(u, 1)
	return nil
}

func (m *Machine) readConsole(u []byte) error {
	index, room := le.Uint32(u[4:]), le.Uint32(u[16:])
	if u[1] == 0 {
		index = 0
	}
	var text []byte
	if int(index) < len(m.console) {
		text = m.console[index:]
	}
	text = text[:min(len(text), int(room))]
	b, err := m.at(le.Uint64(u[8:]), len(text))
	if err != nil {
		return err
	}
	copy(b, text)
	le.PutUint32(u[16:], uint32(len(text)))
	le.PutUint32(u[4:], index+uint32(len(text)))
	if u[0] != 0 {
		m.console = nil
	}
	return nil
}

func (m *Machine) pciTopology(u []byte) error {
	n := le.Uint32(u)
	b, err := m.at(le.Uint64(u[16:]), int(4*n))
	for i := range int(n) {
		if err == nil {
			le.PutUint32(b[4*i:], abi.InvalidDevice)
		}
	}
	return err
}

func (m *Machine) featureSet(u []byte) error {
	words := 18
	if m.cfg.Version.AtLeast(4, 17) {
		words = 19
	}
	if le.Uint32(u) > 5 {
		return syscall.EINVAL
	}
	if addr := le.Uint64(u[8:]); addr != 0 {
		n := min(words, int(le.Uint32(u[4:])))
		b, err := m.at(addr, 4*n)
		if err != nil {
			return err
		}
		p := m.defaultPolicy()
		le.PutUint32(b, p.leaves[1].D)
		le.PutUint32(b[4:], p.leaves[1].C)
		words = n
	}
	le.PutUint32(u[4:], uint32(words))
	return nil
}

func (m *Machine) systemPolicy(u []byte) error {
	if le.Uint32(u) > 5 || le.Uint32(u[12:]) != 0 {
		return syscall.EINVAL
	}
	nl, nm, err := m.writePolicy(m.defaultPolicy(), le.Uint32(u[4:]), le.Uint32(u[8:]), le.Uint64(u[16:]), le.Uint64(u[24:]))
	le.PutUint32(u[4:], nl)
	le.PutUint32(u[8:], nm)
	return err
}

func (m *Machine) cpuPoolOp(u []byte) error {
	id, cpu := le.Uint32(u[4:]), le.Uint32(u[16:])
	switch le.Uint32(u) {
	case 1:
		for id = 0; m.pools[id] != nil; id++ {
		}
		m.pools[id] = &cpuPool{sched: le.Uint32(u[8:]), cpus: abi.NewBitmap(m.cfg.CPUs)}
		le.PutUint32(u[4:], id)
	case 3:
		return m.poolInfo(u, id)
	case 2:
		if p := m.pools[id]; p == nil || id == 0 || !p.cpus.Empty() {
			return syscall.EBUSY
		}
		delete(m.pools, id)
	case 4, 5:
		p := m.pools[id]
		if p == nil || int(cpu) >= m.cfg.CPUs {
			return syscall.ENOENT
		}
		p.cpus.Clear(int(cpu))
		if le.Uint32(u) == 4 {
			p.cpus.Set(int(cpu))
		}
	case 6:
		d, err := m.domain(abi.DomID(le.Uint32(u[12:])))
		if err != nil {
			return err
		}
		if m.pools[id] == nil {
			return syscall.ENOENT
		}
		d.cpuPool = id
	case 7:
		b, err := m.bitmap(u[24:])
		clear(b)
		return err
	default:
		return syscall.ENOSYS
	}
	return nil
}

func (m *Machine) poolInfo(u []byte, from uint32) error {
	for _, id := range slices.Sorted(maps.Keys(m.pools)) {
		if id < from {
			continue
		}
		b, err := m.bitmap(u[24:])
		if err != nil {
			return err
		}
		clear(b)
		copy(b, m.pools[id].cpus)
		n := uint32(0)
		for _, d := range m.domains {
			if d.cpuPool == id {
				n++
			}
		}
		le.PutUint32(u[4:], id)
		le.PutUint32(u[8:], m.pools[id].sched)
		le.PutUint32(u[20:], n)
		return nil
	}
	return syscall.ENOENT
}
