package domains

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"goxl/xenctrl/abi"
)

// HostInfo is what there is to know about the machine and its hypervisor, as
// values; `xl info` makes lines of it.
type HostInfo struct {
	NodeName, Release, Version, Machine string // uname of domain 0's kernel

	Phys         abi.PhysInfo
	SharingFreed abi.Pages
	SharingUsed  abi.Pages
	FreeCPUs     int    // in no cpupool
	Scheduler    uint32 // abi.SchedCredit, …

	Major, Minor int
	Extra        string // ".3"
	Capabilities string
	PageSize     int
	VirtStart    uint64
	Changeset    string
	CommandLine  string
	Compile      abi.CompileInfo
	BuildID      string // hexadecimal; "" when the hypervisor has none
}

// HostInfo asks Xen and the kernel.
func (m *Manager) HostInfo(ctx context.Context) (*HostInfo, error) {
	i := &HostInfo{}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return nil, fail(Failed, 0, "uname", err)
	}
	i.NodeName, i.Release = unix.ByteSliceToString(uts.Nodename[:]), unix.ByteSliceToString(uts.Release[:])
	i.Version, i.Machine = unix.ByteSliceToString(uts.Version[:]), unix.ByteSliceToString(uts.Machine[:])
	v := m.xen.Version()
	i.Major, i.Minor = v.Major, v.Minor
	for _, ask := range []func() error{
		func() (err error) { i.Phys, err = m.xen.PhysInfo(); return },
		func() (err error) { i.SharingFreed, err = m.xen.SharingFreedPages(); return },
		func() (err error) { i.SharingUsed, err = m.xen.SharingUsedPages(); return },
		func() error { free, err := m.xen.FreeCPUs(); i.FreeCPUs = free.Count(); return err },
		func() (err error) { i.Scheduler, err = m.xen.SchedID(); return },
		func() (err error) { i.Extra, err = m.xen.ExtraVersion(); return },
		func() (err error) { i.Capabilities, err = m.xen.Capabilities(); return },
		func() (err error) { i.PageSize, err = m.xen.PageSize(); return },
		func() (err error) { i.VirtStart, err = m.xen.PlatformParams(); return },
		func() (err error) { i.Changeset, err = m.xen.Changeset(); return },
		func() (err error) { i.CommandLine, err = m.xen.CommandLine(); return },
		func() (err error) { i.Compile, err = m.xen.CompileInfo(); return },
	} {
		if err := ask(); err != nil {
			return nil, m.hyper(0, "look at the host", err)
		}
	}
	if id, err := m.xen.BuildID(); err == nil { // not every build has one
		i.BuildID = fmt.Sprintf("%x", id)
	}
	return i, nil
}
