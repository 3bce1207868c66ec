package xentest

import (
	"maps"
	"slices"
	"syscall"
	"time"

	"goxl/xenctrl/abi"
)

// domctlCall is a decoded domctl: the payload is the machine's own view of it,
// and what an operation writes there goes back to the caller.
type domctlCall struct {
	cmd uint32
	u   []byte // the union, 128 bytes
	all []byte
}

// domctl decodes and performs a domctl. As in Xen, the interface version is
// looked at before anything else.
func (m *Machine) domctl(addr uint64) (int64, error) {
	b, err := m.at(addr, 144)
	if err != nil {
		return 0, err
	}
	c := domctlCall{le.Uint32(b), b[16:144], b}
	want := m.cfg.Version.Domctl
	if c.cmd == 90 && m.cfg.Version.AtLeast(4, 21) {
		want = 0 // get_domain_state is stable
	}
	if le.Uint32(b[4:]) != want || m.cfg.FLASK {
		return 0, syscall.EACCES
	}
	for _, p := range b[10:16] {
		if p != 0 {
			return 0, syscall.EINVAL
		}
	}
	id := abi.DomID(le.Uint16(b[8:]))
	switch c.cmd {
	case 1:
		return 0, m.createDomain(id, &c)
	case 5:
		return 0, m.getDomainInfo(id, &c)
	case 45:
		return 0, syscall.ENODEV
	}
	d, err := m.domain(id)
	if err != nil {
		return 0, err
	}
	return 0, m.domctlOn(d, &c)
}

// getDomainInfo answers about the next domain up to 4.17 when there is none.
func (m *Machine) getDomainInfo(id abi.DomID, c *domctlCall) error {
	d := m.domains[id]
	if d == nil && !m.cfg.Version.AtLeast(4, 18) {
		for _, other := range slices.Sorted(maps.Keys(m.domains)) {
			if other > id {
				d = m.domains[other]
				break
			}
		}
	}
	if d == nil {
		return syscall.ESRCH
	}
	copy(c.u, m.info(d))
	le.PutUint16(c.all[8:], uint16(d.id))
	return nil
}

// domctlOn performs a domctl on an existing domain.
func (m *Machine) domctlOn(d *domain, c *domctlCall) error {
	switch c.cmd {
	case 2:
		return m.destroy(d)
	case 3, 4, 27:
		return m.runState(d, c.cmd)
	case 9, 25:
		return m.vcpuAffinity(d, c)
	case 10:
		return m.shadowOp(d, c)
	case 11:
		d.maxPages = le.Uint64(c.u) >> 2
		return nil
	case 12, 13:
		return m.vcpuContext(d, c)
	case 14:
		return m.vcpuInfo(d, c)
	case 15:
		return m.maxVCPUs(d, le.Uint32(c.u))
	case 16:
		return m.domainSched(d, c)
	case 17:
		d.handle = abi.UUID(c.u[:16])
		return nil
	case 18, 64:
		return nil
	case 19, 20, 21, 88:
		return m.permission(d, c)
	case 22:
		return m.hypercallInit(d, le.Uint64(c.u))
	case 24:
		d.offset = int64(le.Uint64(c.u))
		return nil
	case 28:
		return m.trigger(d, c)
	case 33, 34:
		return m.hvmContext(d, c)
	case 42, 43:
		return m.extContext(d, c)
	case 55:
		return m.hvmContextPart(d, c)
	case 35, 36:
		return m.addressSize(d, c)
	case 59, 60:
		if c.cmd == 60 {
			copy(d.tsc[:], c.u)
		}
		copy(c.u[:24], d.tsc[:])
		return nil
	case 61:
		return m.pageTypes(d, c)
	case 62, 63:
		return m.extState(d, c)
	case 68, 69:
		return m.nodeAffinity(d, c)
	case 72, 73:
		return m.vcpuMSRs(d, c)
	case 74:
		return nil
	case 82, 83:
		return m.cpuPolicy(d, c)
	case 85, 86:
		return m.mempool(d, c)
	case 90:
		return m.domainState(d, c)
	}
	return syscall.ENOSYS
}

func (m *Machine) destroy(d *domain) error {
	if d.id == 0 {
		return syscall.EINVAL
	}
	if d.dying {
		return nil
	}
	m.kill(d)
	return nil
}

func (m *Machine) runState(d *domain, cmd uint32) error {
	if d.id == 0 {
		return syscall.EINVAL
	}
	switch cmd {
	case 3:
		d.pauses++
	case 4:
		if d.pauses == 0 {
			return syscall.EINVAL
		}
		d.pauses--
		d.started, d.cpuTime = true, time.Second
	case 27:
		d.shutdown = false
	}
	return nil
}

func (m *Machine) maxVCPUs(d *domain, n uint32) error {
	if n != d.created.maxVCPUs || d.id == 0 {
		return syscall.EINVAL
	}
	if len(d.vcpus) == 0 {
		d.vcpus = m.newVCPUs(int(n))
	}
	return nil
}

func (m *Machine) addressSize(d *domain, c *domctlCall) error {
	if d.hvm {
		return syscall.EOPNOTSUPP
	}
	if c.cmd == 36 {
		le.PutUint32(c.u, d.bits)
		return nil
	}
	switch le.Uint32(c.u) {
	case d.bits:
		return nil
	case 32:
		return syscall.EOPNOTSUPP // as in the shipped builds: no 32-bit PV
	}
	return syscall.EINVAL
}

func (m *Machine) hypercallInit(d *domain, frame uint64) error {
	f, err := m.translate(d.id, abi.GFN(frame), true)
	if err != nil {
		return syscall.EACCES
	}
	page := m.ram.page(f)
	for i := 0; i < abi.PageSize; i += 32 {
		page[i] = 0xb8 // mov $nr, %eax
		le.PutUint32(page[i+1:], uint32(i/32))
	}
	d.hypercallPage = frame
	return nil
}

func (m *Machine) permission(d *domain, c *domctlCall) error {
	set := func(m map[uint64]bool, first, n uint64, allow bool) {
		for i := range n {
			if allow {
				m[first+i] = true
			} else {
				delete(m, first+i)
			}
		}
	}
	switch c.cmd {
	case 19:
		if m.cfg.Version.AtLeast(4, 16) {
			set(d.irqs, uint64(le.Uint32(c.u)), 1, c.u[4] != 0)
		} else {
			set(d.irqs, uint64(c.u[0]), 1, c.u[1] != 0)
		}
	case 20:
		set(d.iomem, le.Uint64(c.u), le.Uint64(c.u[8:]), c.u[16] != 0)
	case 21:
		first, n := uint64(le.Uint32(c.u)), uint64(le.Uint32(c.u[4:]))
		if first+n > 65536 {
			return syscall.EINVAL
		}
		set(d.ioports, first, n, c.u[8] != 0)
	case 88:
		if !m.cfg.Version.AtLeast(4, 20) {
			return syscall.ENOSYS
		}
	}
	return nil
}

func (m *Machine) domainState(d *domain, c *domctlCall) error {
	if !m.cfg.Version.AtLeast(4, 21) {
		return syscall.ENOSYS
	}
	if le.Uint32(c.u[4:]) != 0 {
		return syscall.EINVAL
	}
	state := uint16(1)
	if d.shutdown {
		state |= 2
	}
	if d.dying {
		state |= 4
	}
	le.PutUint16(c.u, state)
	le.PutUint64(c.u[8:], uint64(d.id)+1000)
	return nil
}

func (m *Machine) trigger(d *domain, c *domctlCall) error {
	kind, v := le.Uint32(c.u), le.Uint32(c.u[4:])
	switch {
	case int(v) >= len(d.vcpus):
		return syscall.ESRCH
	case kind == 0 || d.hvm && (kind == 3 || kind == 4):
		return nil
	}
	return syscall.ENOSYS
}
