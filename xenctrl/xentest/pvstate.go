package xentest

import (
	"bytes"
	"maps"
	"slices"
	"syscall"
)

// Sizes of what a PV vcpu has besides its registers.
const (
	extContextSize = 64
	minExtContext  = 32        // up to mcg_cap, which came later
	xsaveHeader    = 16        // XCR0 and XCR0_ACCUM before the area
	xsaveSize      = 576 + 256 // x87, SSE and AVX
	xsaveFeatures  = 7
)

// pvVCPU finds the vcpu that a call names in its first word.
func pvVCPU(d *domain, c *domctlCall) (*vcpu, error) {
	n := le.Uint32(c.u)
	switch {
	case int(n) >= len(d.vcpus):
		return nil, syscall.ESRCH
	case d.hvm:
		return nil, syscall.EINVAL
	}
	return &d.vcpus[n], nil
}

// extContext gets or sets the callbacks that the registers have no room for.
func (m *Machine) extContext(d *domain, c *domctlCall) error {
	v, err := pvVCPU(d, c)
	if err != nil {
		return err
	}
	if c.cmd == 43 {
		clear(c.u[4:])
		copy(c.u[8:extContextSize], v.ext)
		le.PutUint32(c.u[4:], extContextSize)
		return nil
	}
	if size := le.Uint32(c.u[4:]); size < minExtContext {
		return syscall.EINVAL
	}
	for _, at := range []int{8, 16} { // sysenter and syscall32 callbacks
		if a := le.Uint64(c.u[at:]); a>>47 != 0 && a>>47 != 0x1ffff {
			return syscall.EINVAL
		}
	}
	v.ext = bytes.Clone(c.u[8:extContextSize])
	return nil
}

// extState gets or sets the XSAVE area. A vcpu that never used more than x87 has
// one too, of the smallest size.
func (m *Machine) extState(d *domain, c *domctlCall) error {
	v, err := pvVCPU(d, c)
	if err != nil {
		return err
	}
	size, addr := le.Uint64(c.u[16:]), le.Uint64(c.u[24:])
	if c.cmd == 63 {
		le.PutUint64(c.u[8:], xsaveFeatures)
		if addr == 0 {
			le.PutUint64(c.u[16:], uint64(len(v.xsave)))
			return nil
		}
		if size != uint64(len(v.xsave)) {
			return syscall.EINVAL
		}
		b, err := m.at(addr, int(size))
		copy(b, v.xsave)
		return err
	}
	if size <= xsaveHeader || size > xsaveHeader+xsaveSize {
		return syscall.EINVAL
	}
	b, err := m.at(addr, int(size))
	if err != nil {
		return err
	}
	xcr0, used := le.Uint64(b), le.Uint64(b[8:])
	if xcr0&1 == 0 || xcr0&^xsaveFeatures != 0 || used&^xsaveFeatures != 0 || xcr0&^used != 0 {
		return syscall.EINVAL
	}
	v.xsave = bytes.Clone(b)
	return nil
}

// knownMSRs are the model-specific registers that a PV vcpu can bring along.
var knownMSRs = []uint32{0x48, 0x140, 0xc0000103}

// vcpuMSRs gets or sets model-specific registers. Those that are zero are not told.
func (m *Machine) vcpuMSRs(d *domain, c *domctlCall) error {
	v, err := pvVCPU(d, c)
	if err != nil {
		return err
	}
	n, addr := le.Uint32(c.u[4:]), le.Uint64(c.u[8:])
	if c.cmd == 72 && addr == 0 {
		le.PutUint32(c.u[4:], uint32(len(knownMSRs)))
		return nil
	}
	b, err := m.at(addr, 16*int(n))
	if err != nil {
		return err
	}
	if c.cmd == 72 {
		if int(n) < len(v.msrs) {
			return syscall.ENOBUFS
		}
		for i, index := range slices.Sorted(maps.Keys(v.msrs)) {
			le.PutUint64(b[16*i:], uint64(index))
			le.PutUint64(b[16*i+8:], v.msrs[index])
		}
		le.PutUint32(c.u[4:], uint32(len(v.msrs)))
		return nil
	}
	for ; len(b) > 0; b = b[16:] {
		index := le.Uint32(b)
		if le.Uint32(b[4:]) != 0 || !slices.Contains(knownMSRs, index) {
			return syscall.EINVAL
		}
		if v.msrs == nil {
			v.msrs = map[uint32]uint64{}
		}
		v.msrs[index] = le.Uint64(b[8:])
	}
	return nil
}
