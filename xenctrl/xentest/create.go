package xentest

import (
	"syscall"

	"goxl/xenctrl/abi"
)

// createArgs is createdomain as the machine decoded it.
type createArgs struct {
	ssid                        uint32
	handle                      abi.UUID
	flags, iommu, maxVCPUs      uint32
	maxPort                     int32
	maxGrantFrames, maxMaptrack int32
	grantOpts                   uint32
	altp2mMode, altp2mCount     uint16
	vmtrace, pool               uint32
	emulation, misc             uint32
}

// decodeCreate reads createdomain with offsets as each release's domctl.h has
// them, and the size of the structure.
func decodeCreate(v abi.Version, u []byte) (createArgs, int) {
	c := createArgs{
		ssid: le.Uint32(u), handle: abi.UUID(u[4:20]), flags: le.Uint32(u[20:]), iommu: le.Uint32(u[24:]),
		maxVCPUs: le.Uint32(u[28:]), maxPort: int32(le.Uint32(u[32:])),
		maxGrantFrames: int32(le.Uint32(u[36:])), maxMaptrack: int32(le.Uint32(u[40:])),
	}
	switch v.Minor {
	case 14:
		c.emulation = le.Uint32(u[44:])
		return c, 48
	case 15:
		c.vmtrace, c.emulation, c.misc = le.Uint32(u[44:]), le.Uint32(u[48:]), le.Uint32(u[52:])
		return c, 56
	case 16:
		c.grantOpts, c.vmtrace = le.Uint32(u[44:]), le.Uint32(u[48:])
		c.emulation, c.misc = le.Uint32(u[52:]), le.Uint32(u[56:])
		return c, 60
	case 17, 18:
		c.grantOpts, c.vmtrace, c.pool = le.Uint32(u[44:]), le.Uint32(u[48:]), le.Uint32(u[52:])
		c.emulation, c.misc = le.Uint32(u[56:]), le.Uint32(u[60:])
		return c, 64
	}
	c.grantOpts = le.Uint32(u[44:])
	c.altp2mMode, c.altp2mCount = le.Uint16(u[48:]), le.Uint16(u[50:])
	c.vmtrace, c.pool = le.Uint32(u[52:]), le.Uint32(u[56:])
	c.emulation, c.misc = le.Uint32(u[60:]), le.Uint32(u[64:])
	return c, 68
}

// createDomain makes a domain, or says why not.
func (m *Machine) createDomain(id abi.DomID, call *domctlCall) error {
	c, size := decodeCreate(m.cfg.Version, call.u)
	for _, b := range call.u[size:] {
		if b != 0 {
			return syscall.EINVAL // written past the structure of this release
		}
	}
	if err := m.checkCreate(&c); err != nil {
		return err
	}
	id, err := m.chooseID(id)
	if err != nil {
		return err
	}
	m.newDomain(id, c)
	le.PutUint16(call.all[8:], uint16(id))
	return nil
}

// chooseID gives out ids as the release does: up to 4.21 zero means any.
func (m *Machine) chooseID(id abi.DomID) (abi.DomID, error) {
	any := id == 0x7ff5
	if !m.cfg.Version.AtLeast(4, 22) {
		any = id == 0 || id >= 0x7ff0
	}
	if !any {
		if id >= 0x7ff0 || m.domains[id] != nil {
			return 0, syscall.EEXIST
		}
		return id, nil
	}
	for m.nextID >= 0x7ff0 || m.domains[m.nextID] != nil {
		if m.nextID++; m.nextID >= 0x7ff0 {
			m.nextID = 1
		}
	}
	id = m.nextID
	m.nextID++
	return id, nil
}

// checkCreate refuses what Xen would.
func (m *Machine) checkCreate(c *createArgs) error {
	v := m.cfg.Version
	known := uint32(0x3f)
	if v.AtLeast(4, 15) {
		known |= 1 << 6
	}
	if v.AtLeast(4, 16) {
		known |= 1 << 7
	}
	hvm := c.flags&abi.CreateHVM != 0
	most := uint32(8192)
	if hvm {
		most = 128
	}
	switch {
	case c.flags&^known != 0, c.misc&^1 != 0, c.iommu&^1 != 0:
		return syscall.EINVAL
	case c.flags&abi.CreateIOMMU != 0: // this host has no IOMMU
		return syscall.EINVAL
	case c.iommu != 0 && c.flags&abi.CreateIOMMU == 0:
		return syscall.EINVAL
	case !hvm && c.flags&abi.CreateHAP != 0:
		return syscall.EINVAL
	case c.maxVCPUs < 1 || c.maxVCPUs > most:
		return syscall.EINVAL
	case c.maxGrantFrames < -1 || c.maxGrantFrames == 0 || c.maxMaptrack < -1:
		return syscall.EINVAL
	case !v.AtLeast(4, 18) && (c.maxGrantFrames > 64 || c.maxMaptrack > 1024):
		return syscall.EINVAL // above the host's maximum
	case v.AtLeast(4, 16) && (c.grantOpts == 0 || c.grantOpts > 2):
		return syscall.EINVAL
	case v.AtLeast(4, 19) && !v.AtLeast(4, 21) && c.altp2mCount != 0:
		return syscall.EINVAL
	case v.AtLeast(4, 21) && (c.altp2mMode != 0) != (c.altp2mCount != 0):
		return syscall.EINVAL
	case c.vmtrace != 0:
		return syscall.EINVAL // this host has no processor trace
	case m.pools[c.pool] == nil:
		return syscall.ESRCH
	}
	return emulationOK(v, hvm, c.emulation)
}

func emulationOK(v abi.Version, hvm bool, e uint32) error {
	if e&^0x7ff != 0 {
		return syscall.EINVAL
	}
	ok := e == 0 || e == 0x100
	if hvm {
		ok = e == 1 || e == 0x3ff || e == 0x1ff && v.AtLeast(4, 19)
	}
	if !ok {
		return syscall.EOPNOTSUPP
	}
	return nil
}
