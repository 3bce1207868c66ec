package device

import (
	"context"
	"fmt"
	"time"

	"goxl/domains/host"
	"goxl/domains/logs"
	"goxl/xenstore"
)

// Timeouts are how long a Set waits for others. Zero fields take the value that
// libxl uses.
type Timeouts struct {
	Attach time.Duration // backend ready for the hotplug script; 10 s
	Detach time.Duration // backend closed, or gone from another domain; 10 s
	QEMU   time.Duration // grace for QEMU before its device is closed by us; 2 s
	Script time.Duration // hotplug script; 40 s
}

func (t *Timeouts) setDefaults() {
	for _, f := range []struct {
		at  *time.Duration
		def time.Duration
	}{
		{&t.Attach, 10 * time.Second}, // LIBXL_INIT_TIMEOUT
		{&t.Detach, 10 * time.Second}, // LIBXL_DESTROY_TIMEOUT
		{&t.QEMU, 2 * time.Second},    // LIBXL_QEMU_BODGE_TIMEOUT
		{&t.Script, host.ScriptTimeout},
	} {
		if *f.at == 0 {
			*f.at = f.def
		}
	}
}

// GuestState is what of a guest's state decides how its devices are removed.
type GuestState struct{ Paused, Dying, Shutdown bool }

// Options is what a Set works with. Store and Host are needed; they stay the
// caller's.
type Options struct {
	Store *xenstore.Client
	Host  *host.Host

	// Self is the domain we run in. Zero is dom0, the toolstack's usual place.
	Self DomID

	// Layout is the installed toolstack's; the zero value is 4.14's.
	Layout Layout

	// State answers for a guest. Devices of a guest that does not run cannot be
	// closed by QEMU in the usual way. Nil: all guests run.
	State func(context.Context, DomID) (GuestState, error)

	// AlwaysScript runs hotplug scripts even where we could do their work.
	AlwaysScript bool

	Timeouts Timeouts
	Log      *logs.Logger // nil is silent
}

// Set adds, removes and lists the devices of all guests of a host. It keeps no
// state of its own: xenstore is the truth. Methods are safe for concurrent use.
type Set struct {
	Options
}

// New returns a Set that works with o.
func New(o Options) *Set {
	o.Timeouts.setDefaults()
	return &Set{o}
}

func (s *Set) logFor(d Device) *logs.Logger {
	return s.Log.With(logs.Uint16("dom", uint16(d.Dom)), logs.String("kind", string(d.Kind)),
		logs.Int("devid", d.ID), logs.Uint16("backend", uint16(d.Backend)))
}

// AddOptions say how a device is added.
type AddOptions struct {
	Type GuestType

	// Running: the guest runs already, so that defaults of a hot-plugged device
	// apply.
	Running bool

	// Record, if set, is called in each try of the transaction, after it is clear
	// that the device is new and before any node is written. Its error ends the
	// adding. The description is complete by then, with its chosen id and address:
	// this is where the guest's stored configuration is changed, so that both
	// change together or not at all.
	Record func(context.Context) error

	// Written, if set, is called once when all nodes are there, before the backend
	// is waited for: what guards the stored configuration can be let go.
	Written func()

	// Protocol is a PV guest's block ring layout, as in "x86_64-abi"; "" for
	// other guests.
	Protocol string
}

// AddDisk gives guest dom a disk and returns when its backend can be used, which
// does not mean that the guest's driver has found it yet. It fills in what d
// leaves open. A device that could not be connected is taken away again. The
// error is ErrExists, ErrTarget, host.ErrScript or ErrTimeout where that is the
// cause.
func (s *Set) AddDisk(ctx context.Context, dom DomID, d *Disk, o AddOptions) (Device, error) {
	if err := s.completeDisk(dom, d, o); err != nil {
		return Device{}, err
	}
	dev, err := d.Device(dom)
	if err != nil {
		return Device{}, err
	}
	if o.Running && d.forQEMU(s.Self) {
		if err := s.findServer(ctx, dev, d); err != nil {
			return Device{}, err
		}
	}
	env := s.env()
	if o.Type == PV {
		env.protocol = o.Protocol
	}
	return dev, s.add(ctx, dev, d.nodes(dev, env), o)
}

// AddNIC gives guest dom a network interface, as AddDisk does for disks.
func (s *Set) AddNIC(ctx context.Context, dom DomID, n *NIC, o AddOptions) (Device, error) {
	if err := n.setDefaults(o.Type, o.Running); err != nil {
		return Device{}, err
	}
	if n.DevID == AutoID {
		id, err := s.NextDevID(ctx, dom, VIF)
		if err != nil {
			return Device{}, err
		}
		n.DevID = id
	}
	dev := n.Device(dom)
	return dev, s.add(ctx, dev, n.nodes(dev, s.env()), o)
}

// AddConsole writes the nodes of a console; its server takes note by itself.
func (s *Set) AddConsole(ctx context.Context, dom DomID, c *Console) (Device, error) {
	if err := c.check(); err != nil {
		return Device{}, err
	}
	dev := c.Device(dom)
	return dev, s.write(ctx, dev, c.nodes(dev), writeOptions{replace: true})
}

// AddChannel writes the nodes of a channel for the guest's QEMU to serve. QEMU's
// command line must name its character device.
func (s *Set) AddChannel(ctx context.Context, dom DomID, c *Channel) (Device, error) {
	con, err := c.Console()
	if err != nil {
		return Device{}, err
	}
	return s.AddConsole(ctx, dom, &con)
}

// AddVFB writes the nodes of a frame buffer for QEMU to serve.
func (s *Set) AddVFB(ctx context.Context, dom DomID, v *VFB) (Device, error) {
	dev := v.Device(dom)
	return dev, s.write(ctx, dev, v.nodes(dev), writeOptions{replace: true})
}

// AddVKB writes the nodes of a keyboard and pointer for its backend to serve.
func (s *Set) AddVKB(ctx context.Context, dom DomID, k *VKB) (Device, error) {
	dev := k.Device(dom)
	return dev, s.write(ctx, dev, k.nodes(dev), writeOptions{replace: true})
}

// AddP9 writes the nodes of a shared directory for QEMU to serve. One that
// xen-9pfsd serves, which has to run, is connected like a disk.
func (s *Set) AddP9(ctx context.Context, dom DomID, p *P9) (Device, error) {
	if err := p.check(s.Layout); err != nil {
		return Device{}, err
	}
	dev := p.Device(dom)
	if p.Daemon {
		return dev, s.add(ctx, dev, p.nodes(dev), AddOptions{})
	}
	return dev, s.write(ctx, dev, p.nodes(dev), writeOptions{replace: true})
}

func (s *Set) env() nodeEnv { return nodeEnv{layout: s.Layout, scriptDir: s.Host.Scripts} }

// NextDevID returns an id that no device of this kind in guest dom has. It may be
// taken by the time it is used; adding then answers ErrExists.
func (s *Set) NextDevID(ctx context.Context, dom DomID, kind Kind) (int, error) {
	devs, err := s.devices(ctx, dom, kind)
	next := 0
	for _, d := range devs {
		next = max(next, d.ID+1)
	}
	if err != nil {
		return 0, fmt.Errorf("next device id of %s: %w", kind, err)
	}
	return next, nil
}
