package abi

import (
	"errors"
	"fmt"
)

// Version is a hypervisor release with the numbers its interface carries.
//
// Layouts of domctl structures follow Domctl, those of sysctl structures
// follow Sysctl; release 4.21 changed a field without a new number, so a codec
// may look at both.
type Version struct {
	Major, Minor int
	Domctl       uint32 // XEN_DOMCTL_INTERFACE_VERSION
	Sysctl       uint32 // XEN_SYSCTL_INTERFACE_VERSION
}

// releases is the whole range, oldest first, as the public headers of each
// stable branch have it.
var releases = [...]Version{
	{4, 14, 0x12, 0x13},
	{4, 15, 0x13, 0x13},
	{4, 16, 0x14, 0x14},
	{4, 17, 0x15, 0x15},
	{4, 18, 0x16, 0x15},
	{4, 19, 0x17, 0x15},
	{4, 20, 0x17, 0x15},
	{4, 21, 0x17, 0x16},
	{4, 22, 0x18, 0x16},
}

// Releases returns every release this package has layouts for, oldest first.
func Releases() []Version { return append([]Version(nil), releases[:]...) }

// Release returns the numbers of a release. For a newer one than it knows it
// returns the newest known numbers under the given name and false; so it does,
// with the oldest numbers, for an older one.
func Release(major, minor int) (Version, bool) {
	for _, v := range releases {
		if v.Major == major && v.Minor == minor {
			return v, true
		}
	}
	v := releases[0]
	if v.before(major, minor) {
		v = releases[len(releases)-1]
	}
	v.Major, v.Minor = major, minor
	return v, false
}

// AtLeast reports whether v is the release major.minor or a later one.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

func (v Version) before(major, minor int) bool { return !v.AtLeast(major, minor) }

// String returns "4.17".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// UnsupportedError is a request that the running release has no field for.
// It matches errors.ErrUnsupported.
type UnsupportedError struct {
	What  string // the field or operation, as a user would say it
	Since string // what it needs: "Xen 4.16"
	Have  Version
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s needs %s, this is Xen %v", e.What, e.Since, e.Have)
}

// Is makes the error match errors.ErrUnsupported.
func (e *UnsupportedError) Is(target error) bool { return target == errors.ErrUnsupported }
