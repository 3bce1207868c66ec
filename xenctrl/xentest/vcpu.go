package xentest

import (
	"bytes"
	"syscall"

	"goxl/xenctrl/abi"
)

// vcpuContext sets or gets the registers of a vcpu. A PV one is checked as far
// as builders can get it wrong.
func (m *Machine) vcpuContext(d *domain, c *domctlCall) error {
	n, addr := le.Uint32(c.u), le.Uint64(c.u[8:])
	if int(n) >= len(d.vcpus) || le.Uint32(c.u[4:]) != 0 {
		return syscall.EINVAL
	}
	v := &d.vcpus[n]
	if c.cmd == 12 && addr == 0 {
		v.context, v.up = nil, false
		return nil
	}
	size := 5168
	if !d.hvm && d.bits == 32 {
		size = 2800
	}
	b, err := m.at(addr, size)
	if err != nil {
		return err
	}
	if c.cmd == 13 {
		switch {
		case v.context != nil:
			copy(b, v.context)
		case d.hvm && v.up: // its registers are in the hvm context; here they read as zeros
			clear(b)
		default:
			return syscall.ENODATA
		}
		return nil
	}
	if d.hvm {
		if !v.up {
			return syscall.EINVAL
		}
		v.context = bytes.Clone(b)
		return nil
	}
	if d.bits == 64 {
		if err := m.checkContext(d, b); err != nil {
			return err
		}
	}
	v.context = bytes.Clone(b)
	v.up = le.Uint64(b[512:])&0x20 != 0
	return nil
}

// checkContext refuses a 64-bit PV context that Xen would not run. Its page tables
// become such by it, as by pinning.
func (m *Machine) checkContext(d *domain, b []byte) error {
	canonical := func(a uint64) bool { return a>>47 == 0 || a>>47 == 0x1ffff }
	switch {
	case !canonical(le.Uint64(b[648:])), !canonical(le.Uint64(b[672:])): // rip, rsp
		return syscall.EINVAL
	case !canonical(le.Uint64(b[4976:])): // kernel_sp
		return syscall.EINVAL
	case le.Uint64(b[4824:]) > 8192, le.Uint64(b[4960:]) > 8192: // ldt_ents, gdt_ents
		return syscall.EINVAL
	}
	for i := range (le.Uint64(b[4960:]) + 511) / 512 { // gdt_frames
		if f := le.Uint64(b[4832+8*i:]); !d.pages[f] || d.tables[f] != 0 {
			return syscall.EINVAL
		}
	}
	if err := m.validate(d, le.Uint64(b[contextCR3:])>>abi.PageShift, 4); err != nil {
		return err
	}
	if user := le.Uint64(b[contextCR1:]); user != 0 {
		return m.validate(d, user>>abi.PageShift, 4)
	}
	return nil
}

// Where ctrlreg[1] and ctrlreg[3] are.
const contextCR1, contextCR3 = 4984 + 1*8, 4984 + 3*8

func (m *Machine) vcpuInfo(d *domain, c *domctlCall) error {
	n := le.Uint32(c.u)
	if int(n) >= len(d.vcpus) {
		return syscall.EINVAL
	}
	v := &d.vcpus[n]
	c.u[4], c.u[5], c.u[6] = 0, 0, 0
	if v.up {
		c.u[4], c.u[5] = 1, 1
	}
	le.PutUint64(c.u[8:], uint64(n+1)*1e9)
	le.PutUint32(c.u[16:], n%uint32(m.cfg.CPUs))
	return nil
}

func (m *Machine) vcpuAffinity(d *domain, c *domctlCall) error {
	n, flags := le.Uint32(c.u), le.Uint32(c.u[4:])
	if int(n) >= len(d.vcpus) || flags == 0 {
		return syscall.EINVAL
	}
	v := &d.vcpus[n]
	for _, s := range []struct {
		bit  uint32
		off  int
		have *abi.Bitmap
	}{{1, 8, &v.hard}, {2, 24, &v.soft}} {
		if flags&s.bit == 0 {
			continue
		}
		b, err := m.bitmap(c.u[s.off:])
		if err != nil {
			return err
		}
		if c.cmd == 9 {
			set := abi.NewBitmap(m.cfg.CPUs)
			for cpu := range m.cfg.CPUs {
				if abi.Bitmap(b).Test(cpu) {
					set.Set(cpu)
				}
			}
			if s.bit == 1 && set.Empty() {
				return syscall.EINVAL
			}
			*s.have = set
		}
		clear(b)
		copy(b, *s.have)
	}
	return nil
}

// bitmap returns the bits that a struct xenctl_bitmap points to.
func (m *Machine) bitmap(u []byte) ([]byte, error) {
	return m.at(le.Uint64(u), int(le.Uint32(u[8:])+7)/8)
}

func (m *Machine) nodeAffinity(d *domain, c *domctlCall) error {
	b, err := m.bitmap(c.u)
	if err != nil {
		return err
	}
	if c.cmd == 68 {
		if len(b) == 0 || b[0]&1 == 0 {
			return syscall.EINVAL // node 0 is the only one
		}
		d.nodes = []byte{1}
	}
	clear(b)
	copy(b, d.nodes)
	return nil
}

func (m *Machine) domainSched(d *domain, c *domctlCall) error {
	pool := m.pools[d.cpuPool]
	if pool == nil || le.Uint32(c.u) != pool.sched {
		return syscall.EINVAL
	}
	switch le.Uint32(c.u[4:]) {
	case 0:
		if w := le.Uint16(c.u[8:]); pool.sched == abi.SchedCredit2 && w == 0 {
			return nil // zero leaves it as it is
		}
		copy(d.sched[:], c.u[8:20])
	case 1:
		copy(c.u[8:20], d.sched[:])
	default:
		return syscall.EINVAL
	}
	return nil
}
