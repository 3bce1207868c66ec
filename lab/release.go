package lab

import (
	"fmt"
	"strings"
)

// Release is a Xen release that a lab can run: the one that a Debian release
// packages.
type Release struct {
	Xen   string // "4.17"
	Suite string // Debian's name of the release: "bookworm"
}

// The releases with an image recipe.
var (
	Xen414 = Release{"4.14", "bullseye"}
	Xen417 = Release{"4.17", "bookworm"}
	Xen420 = Release{"4.20", "trixie"}
)

// Releases lists what [ParseRelease] knows, the best tested one first.
func Releases() []Release { return []Release{Xen417, Xen414, Xen420} }

// ParseRelease finds a release by Xen's version ("4.17") or by Debian's name.
func ParseRelease(s string) (Release, error) {
	var known []string
	for _, r := range Releases() {
		if s == r.Xen || s == r.Suite {
			return r, nil
		}
		known = append(known, r.Xen)
	}
	return Release{}, fmt.Errorf("xen release %q: a lab exists for %s", s, strings.Join(known, ", "))
}

// packages are what the image has beyond Debian's minimal system.
func (r Release) packages() []string {
	emulator := "qemu-system-xen"
	if r == Xen414 {
		emulator = "qemu-system-x86" // not yet a package of its own
	}
	list := []string{
		"xen-utils-" + r.Xen, "xen-utils-common", "xenstore-utils", "xen-hypervisor-" + r.Xen + "-amd64",
		emulator, "linux-image-amd64", "openssh-server", "busybox-static",
		"iproute2", "bridge-utils", "iputils-ping", "socat", "strace", "kmod",
		"procps", "psmisc", "python3", "ethtool", "e2fsprogs", "fdisk", "qemu-utils", "tcpdump",
	}
	if r == Xen417 { // one release shows that libvirt and ours bear with each other
		list = append(list, "libvirt-daemon", "libvirt-daemon-driver-xen")
	}
	return list
}
