package netback

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"goxl/backends"
	"goxl/domains/logs"
	"goxl/netback/tap"
	"goxl/xenctrl/abi"
)

// ErrKernel says that the kernel's own backend serves this domain's vifs.
var ErrKernel = errors.New("the kernel's driver xen-netback is loaded and claims every vif")

// Antispoof says what a guest may claim to be.
type Antispoof string

// The choices.
const (
	AntispoofOff Antispoof = "off"
	AntispoofMAC Antispoof = "mac" // frames from the vif's own MAC address only
	AntispoofIP  Antispoof = "ip"  // and, if its ip= is set, from these addresses only
)

// Options is how vifs are served. The zero value of each field is a sensible choice.
type Options struct {
	Antispoof Antispoof // "" is off, as with the kernel's vifs
	MaxQueues int       // of a vif; 0: one for each processor, up to four
	// StateDir keeps what a restarted daemon has to know of its guests; it must be
	// ours alone. "" keeps nothing: after a kill, guests may lose their network.
	StateDir string
	// Threads is told by how many the goroutines have become more or fewer that look to
	// Go's runtime as if they were computing all the time while there are frames. It
	// should have one more processor for each of them, lest they be in the way of others.
	// It is called by several goroutines. nil: nobody need know.
	Threads interface{ Change(by int) }
	Sys     string       // where sysfs is; "" is /sys
	Log     *logs.Logger // nil is silent
}

// uncounted counts no threads.
type uncounted struct{}

func (uncounted) Change(int) {}

// defaultQueues bounds the queues of a vif unless told otherwise: each takes some
// hundred KiB when used.
const defaultQueues = 4

// Driver serves vifs.
type Driver struct {
	Options
	hotplugWait      time.Duration
	patient, polling patience
	ifaces           ifaces
}

// New returns a driver, or ErrKernel when the kernel's own would be in its way.
func New(o Options) (*Driver, error) {
	if o.Sys == "" {
		o.Sys = "/sys"
	}
	if o.Antispoof == "" {
		o.Antispoof = AntispoofOff
	}
	if o.Threads == nil {
		o.Threads = uncounted{}
	}
	if o.MaxQueues == 0 {
		o.MaxQueues = min(runtime.NumCPU(), defaultQueues)
	}
	switch {
	case o.MaxQueues < 1 || o.MaxQueues > tap.MaxQueues:
		return nil, fmt.Errorf("%d queues for a vif, want 1 to %d", o.MaxQueues, tap.MaxQueues)
	case o.Antispoof != AntispoofOff && o.Antispoof != AntispoofMAC && o.Antispoof != AntispoofIP:
		return nil, fmt.Errorf("antispoof is %q, want off, mac or ip", o.Antispoof)
	}
	d := &Driver{Options: o, hotplugWait: hotplugWait, patient: patient, polling: polling, ifaces: taps{}}
	if d.kernelLoaded() {
		return nil, fmt.Errorf("%w of this domain; keep it out: modprobe -r xen-netback, and a line "+
			`"install xen-netback /bin/false" in a file of /etc/modprobe.d (docs/backends.md, Network)`, ErrKernel)
	}
	if o.StateDir != "" {
		if err := os.MkdirAll(o.StateDir, 0o700); err != nil {
			return nil, fmt.Errorf("state directory: %w", err)
		}
	}
	return d, nil
}

// kernelLoaded reports whether the kernel's backend is there.
func (d *Driver) kernelLoaded() bool {
	_, err := os.Stat(filepath.Join(d.Sys, "bus/xen-backend/drivers/vif"))
	return err == nil
}

// kernelServes reports whether the kernel's backend has taken a vif.
func (d *Driver) kernelServes(id backends.ID) bool {
	_, err := os.Lstat(filepath.Join(d.Sys, fmt.Sprintf("bus/xen-backend/devices/vif-%d-%d/driver", id.Dom, id.Dev)))
	return err == nil
}

// Open implements backends.Driver. It makes the interface, under the name that
// toolstacks and their scripts look for. A vif that the kernel's backend has taken,
// loaded after all, is not ours.
func (d *Driver) Open(ctx context.Context, n *backends.Node) (backends.Device, error) {
	log := d.Log.With(logs.Uint16("dom", uint16(n.ID.Dom)), logs.Int("vif", n.ID.Dev))
	if d.kernelServes(n.ID) {
		log.Error("not served", logs.Error(ErrKernel))
		return nil, backends.ErrNotOurs
	}
	k, err := n.Back(ctx, "state", "mtu")
	if err != nil {
		return nil, err
	}
	v := &vif{d: d, node: n, log: log}
	fresh := k["state"] == strconv.Itoa(int(backends.Initialising)) // nobody has served it yet
	var made bool
	if v.iface, made, err = d.ifaces.open(n.ID, !fresh); err != nil {
		return nil, err
	}
	if made && !fresh {
		log.Warn("the interface of a vif was gone; the new one is on no bridge")
	}
	if mtu, err := strconv.Atoi(k["mtu"]); err == nil && fresh {
		if err := v.iface.SetMTU(mtu); err != nil {
			return nil, errors.Join(err, v.iface.Remove())
		}
	}
	return v, nil
}

// Sweep removes the interfaces of vifs that are gone: their toolstack removed them
// while no daemon ran. Exists reports whether a vif's nodes are there.
func (d *Driver) Sweep(exists func(backends.ID) (bool, error)) error {
	list, err := tap.List(tagPrefix)
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range list {
		id, ok := parseTag(t.Tag())
		if !ok {
			continue
		}
		if there, err := exists(id); err != nil || there {
			errs = append(errs, err)
			continue
		}
		d.Log.Info("removing the interface of a vif that is gone", logs.Stringer("vif", id))
		errs = append(errs, t.Remove())
	}
	return errors.Join(append(errs, d.sweepJournals(exists))...)
}

func (d *Driver) sweepJournals(exists func(backends.ID) (bool, error)) error {
	if d.StateDir == "" {
		return nil
	}
	files, err := os.ReadDir(d.StateDir)
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range files {
		id, ok := parseTag(tagPrefix + strings.Replace(f.Name(), "-", "/", 1))
		if !ok {
			continue
		}
		there, err := exists(id)
		if err == nil && !there {
			err = os.Remove(filepath.Join(d.StateDir, f.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// iface is a vif's interface on the host.
type iface interface {
	Attach(n int, o tap.Offloads) ([]tapQueue, error)
	SetMTU(mtu int) error
	Remove() error
}

// ifaces makes interfaces. Keep: one that is there already is taken as it is; made is
// false then.
type ifaces interface {
	open(id backends.ID, keep bool) (i iface, made bool, err error)
}

const tagPrefix = "goxl netback "

func parseTag(tag string) (backends.ID, bool) {
	dom, dev, ok := strings.Cut(strings.TrimPrefix(tag, tagPrefix), "/")
	d, err1 := strconv.ParseUint(dom, 10, 16)
	n, err2 := strconv.ParseUint(dev, 10, 31)
	return backends.ID{Dom: abi.DomID(d), Dev: int(n)}, ok && err1 == nil && err2 == nil
}

// taps makes real interfaces.
type taps struct{}

func (taps) open(id backends.ID, keep bool) (iface, bool, error) {
	tag := tagPrefix + id.String()
	if keep {
		t, err := tap.Find(tag)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return tapIface{t}, false, err
		}
	}
	t, err := tap.Create(fmt.Sprintf("vif%d.%d", id.Dom, id.Dev), tag)
	return tapIface{t}, true, err
}

type tapIface struct{ *tap.Device }

func (t tapIface) Attach(n int, o tap.Offloads) ([]tapQueue, error) {
	list, err := t.Device.Attach(n, o)
	queues := make([]tapQueue, len(list))
	for i, q := range list {
		queues[i] = q
	}
	return queues, err
}
