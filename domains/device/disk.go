package device

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
)

// DiskFormat is what the bytes of a disk's target are.
type DiskFormat string

// The formats; the zero value stands for raw.
const (
	FormatRaw   DiskFormat = "raw"
	FormatQCow  DiskFormat = "qcow"
	FormatQCow2 DiskFormat = "qcow2"
	FormatVHD   DiskFormat = "vhd"
	FormatQED   DiskFormat = "qed"
	FormatEmpty DiskFormat = "empty" // a CD drive without a CD
)

// DiskBackend is who serves a disk.
type DiskBackend string

// The backends; the zero value asks for the first suitable one.
const (
	BackendPhy        DiskBackend = "phy"        // the kernel's blkback, or our own
	BackendQDisk      DiskBackend = "qdisk"      // a QEMU process
	BackendTap        DiskBackend = "tap"        // blktap, since 4.19
	BackendStandalone DiskBackend = "standalone" // virtio, outside the toolstack
)

// DiskSpec is the family of protocol that a disk speaks.
type DiskSpec string

// The families; the zero value stands for Xen's own.
const (
	SpecXen    DiskSpec = "xen"
	SpecVirtio DiskSpec = "virtio"
)

// Disk describes a virtual disk.
type Disk struct {
	VDev       string // the guest's name for it, as configured: "xvda"
	Target     string // path of a file or block device, URI of an NBD server's disk, or what Script understands
	Format     DiskFormat
	Backend    DiskBackend
	BackendDom DomID
	Script     string // hotplug script, absolute or below the script directory; "" is the backend's default
	Spec       DiskSpec
	Writable   bool
	CDROM      bool
	Removable  bool
	DirectIO   bool  // direct-io-safe
	Discard    *bool // nil: as Writable
	Untrusted  bool
	Daemon     bool // a qdisk that goxl's own daemon serves, not QEMU; see LeaveToDaemon
	Virtio     VirtioDiskConfig
	COLO       *COLODisk
	GrantUsage *bool // virtio only, since 4.19; nil: when the backend is not dom0
}

// VirtioDiskConfig is what a disk of SpecVirtio has in addition.
type VirtioDiskConfig struct {
	Base uint64 // guest physical address of the MMIO region
	IRQ  uint32
}

// COLODisk is a disk's part of the COLO fault tolerance protocol. It is written
// for the device model and not looked at.
type COLODisk struct {
	Host, Export, ActiveDisk, HiddenDisk string
	Port                                 int
}

// Errors that callers act on.
var (
	// ErrExists: the guest has a device of this kind and id already.
	ErrExists = errors.New("device exists already")
	// ErrNoGuest: there is no guest with that domain id.
	ErrNoGuest = errors.New("no such guest")
	// ErrNotFound: the guest has no such device.
	ErrNotFound = errors.New("no such device")
	// ErrTarget: the file or device behind a disk is missing or of the wrong kind.
	ErrTarget = errors.New("disk target cannot be used")
	// ErrNoModel: the device needs a QEMU process and the guest has none.
	ErrNoModel = errors.New("guest has no device model (QEMU)")
	// ErrTimeout: a backend or frontend did not do its part in time.
	ErrTimeout = errors.New("timed out")
)

// ChooseBackend returns the backend that will serve d: the one d asks for if it
// can, else the first of phy, qdisk, tap and standalone that can. tap says
// whether this release has blktap (4.19 and later). stat looks at the target on
// this host; os.Stat is the usual one.
//
// A phy or standalone disk of dom0 without a script needs a target that exists;
// ErrTarget says that it does not. The target of a qdisk is QEMU's to check.
func (d *Disk) ChooseBackend(stat func(string) (fs.FileInfo, error), tap bool) (DiskBackend, error) {
	var mode fs.FileMode
	switch {
	case d.Format == FormatEmpty && !d.CDROM:
		return "", fmt.Errorf("disk %s: empty, but not a CD drive: %w", d.VDev, ErrTarget)
	case d.Format == FormatEmpty && d.Target != "":
		return "", fmt.Errorf("disk %s: empty, but has the target %s: %w", d.VDev, d.Target, ErrTarget)
	case d.Format == FormatEmpty, d.onServer():
	case (d.Backend == "" || d.Backend == BackendPhy || d.Backend == BackendStandalone) && d.BackendDom == 0 && d.Script == "":
		fi, err := stat(d.Target)
		if err != nil {
			return "", fmt.Errorf("disk %s: %w: %w", d.VDev, ErrTarget, err)
		}
		mode = fi.Mode()
	}
	choices := []DiskBackend{d.Backend}
	if d.Backend == "" {
		choices = []DiskBackend{BackendPhy, BackendQDisk, BackendTap, BackendStandalone}
	}
	var reasons error
	for _, b := range choices {
		why := d.unsuitable(b, mode, tap)
		if why == "" {
			return b, nil
		}
		reasons = errors.Join(reasons, fmt.Errorf("%s: %s", b, why))
	}
	return "", fmt.Errorf("disk %s: no suitable backend: %w", d.VDev, reasons)
}

// unsuitable says why backend b cannot serve d, or "" if it can.
func (d *Disk) unsuitable(b DiskBackend, mode fs.FileMode, tap bool) string {
	raw := d.Format == "" || d.Format == FormatRaw
	if (d.Spec == SpecVirtio) != (b == BackendStandalone) {
		return "not for specification " + string(orXen(d.Spec))
	}
	if d.onServer() && b != BackendQDisk {
		return "the target is on a server"
	}
	switch b {
	case BackendPhy:
		switch {
		case tap && d.CDROM && d.Format == FormatEmpty: // as long as blktap is supported, so is this
			return ""
		case !raw:
			return "needs format raw, this is " + string(d.Format)
		case d.COLO != nil:
			return "not with colo"
		case d.BackendDom != 0 || d.Script != "" || diskLike(mode):
			return ""
		}
		return "the target is neither a file nor a block device"
	case BackendQDisk:
		if d.Script != "" {
			return "not with script="
		}
	case BackendTap:
		switch {
		case !tap:
			return "needs Xen 4.19 or later"
		case !raw && d.Format != FormatVHD:
			return "needs format raw or vhd, this is " + string(d.Format)
		case d.COLO != nil:
			return "not with colo"
		}
	case BackendStandalone:
		switch {
		case !raw:
			return "needs format raw, this is " + string(d.Format)
		case d.Script != "":
			return "not with script="
		case d.COLO != nil:
			return "not with colo"
		case d.BackendDom != 0 || diskLike(mode):
			return ""
		}
		return "the target is neither a file nor a block device"
	default:
		return "unknown backend"
	}
	return ""
}

func diskLike(m fs.FileMode) bool {
	return m.IsRegular() && m != 0 || m&fs.ModeDevice != 0 && m&fs.ModeCharDevice == 0
}

func orXen(s DiskSpec) DiskSpec {
	if s == "" {
		return SpecXen
	}
	return s
}

// Device returns the identity of d in guest dom. d.Backend must be chosen.
func (d *Disk) Device(dom DomID) (Device, error) {
	id, err := ParseVDev(d.VDev)
	if err != nil {
		return Device{}, err
	}
	dev := Device{Dom: dom, Kind: VBD, ID: id, Backend: d.BackendDom}
	switch d.Backend {
	case BackendPhy:
		dev.BackendKind = VBD
	case BackendQDisk:
		dev.BackendKind = QDisk
	case BackendTap:
		dev.BackendKind = VBD3
	case BackendStandalone:
		dev.Kind, dev.BackendKind = VirtioDisk, VirtioDisk
	default:
		return Device{}, fmt.Errorf("disk %s: backend %q is not chosen", d.VDev, d.Backend)
	}
	return dev, nil
}

// nodes returns what is written for d. Order matters: readers of the genuine
// toolstack's layout see the same sequence of events.
func (d *Disk) nodes(dev Device, env nodeEnv) nodes {
	var n nodes
	switch d.Backend {
	case BackendPhy:
		n.back.add("params", d.Target)
		n.back.add("script", scriptPath(env.scriptDir, d.Script, "block"))
	case BackendStandalone:
		n.back.add("params", d.Target)
	case BackendTap:
		n.back.add("params", d.formatPrefix()+":"+d.Target)
		n.back.add("script", scriptPath(env.scriptDir, d.Script, "block-tap"))
	case BackendQDisk:
		n.back.add("params", d.formatPrefix()+":"+d.Target)
		if c := d.COLO; c != nil {
			n.back.add("colo-host", c.Host)
			n.back.add("colo-port", strconv.Itoa(c.Port))
			n.back.add("colo-export", c.Export)
			n.back.add("active-disk", c.ActiveDisk)
			n.back.add("hidden-disk", c.HiddenDisk)
		}
	}
	n.back.add("frontend-id", strconv.Itoa(int(dev.Dom)))
	n.back.add("online", "1")
	n.back.add("removable", bit(d.Removable))
	n.back.add("bootable", "1")
	n.back.add("state", "1")
	n.back.add("dev", d.VDev)
	n.back.add("type", d.typeNode())
	n.back.add("mode", map[bool]string{true: "w", false: "r"}[d.Writable])
	n.back.add("device-type", d.deviceType())
	if d.DirectIO {
		n.back.add("direct-io-safe", "1")
	}
	n.back.add("discard-enable", bit(d.Discard == nil && d.Writable || d.Discard != nil && *d.Discard))
	if env.layout.Specification {
		n.back.add("specification", string(orXen(d.Spec)))
	}
	if d.Spec == SpecVirtio {
		n.back.add("transport", "mmio")
		n.back.add("base", strconv.FormatUint(d.Virtio.Base, 10))
		n.back.add("irq", strconv.FormatUint(uint64(d.Virtio.IRQ), 10))
		if env.layout.GrantUsage {
			n.back.add("grant_usage", bit(d.GrantUsage == nil && d.BackendDom != 0 || d.GrantUsage != nil && *d.GrantUsage))
		}
	}
	if d.Daemon {
		n.back.add(ServerKey, serverBlkback)
		n.awaited = true
	}
	n.front.add("backend-id", strconv.Itoa(int(dev.Backend)))
	n.front.add("state", "1")
	n.front.add("virtual-device", strconv.Itoa(dev.ID))
	n.front.add("device-type", d.deviceType())
	n.front.add("trusted", bit(!d.Untrusted))
	if env.protocol != "" {
		n.front.add("protocol", env.protocol)
	}
	return n
}

func (d *Disk) deviceType() string {
	if d.CDROM {
		return "cdrom"
	}
	return "disk"
}

func (d *Disk) typeNode() string {
	if d.Backend == BackendTap {
		return "vbd3"
	}
	return string(d.Backend)
}

// formatPrefix is the word before the colon in params, which QEMU reads.
func (d *Disk) formatPrefix() string {
	switch d.Format {
	case FormatQCow, FormatQCow2, FormatVHD, FormatQED:
		return string(d.Format)
	}
	if d.onServer() {
		return formatNBD
	}
	return "aio"
}

// formatNBD is our daemon's word for a disk on a server.
const formatNBD = "nbd"

// onServer reports whether the target is the URI of an NBD server's disk, which only our
// daemon can serve. Source of the URIs: the NBD project's doc/uri.md.
func (d *Disk) onServer() bool {
	return (d.Format == "" || d.Format == FormatRaw) && d.Script == "" &&
		(strings.HasPrefix(d.Target, "nbd://") || strings.HasPrefix(d.Target, "nbd+unix://"))
}

// scriptPath makes a script's name absolute as libxl does.
func scriptPath(dir, script, def string) string {
	if script == "" {
		script = def
	}
	if filepath.IsAbs(script) {
		return script
	}
	return dir + "/" + script
}
