package domains

import (
	"context"
	"errors"
	"fmt"

	"goxl/domains/config"
	"goxl/domains/device"
	"goxl/domains/host"
	"goxl/xenctrl/abi"
)

// chooseBackends settles, before anything is built, who will serve each disk, and
// numbers and addresses of the network interfaces.
func (c *creation) chooseBackends(ctx context.Context) error {
	for i := range c.spec.Disks {
		d, err := c.m.deviceDisk(ctx, &c.spec.Disks[i])
		if err == nil {
			d.Backend, err = d.ChooseBackend(c.m.host.Stat, c.m.devices.Layout.Tap)
		}
		if err != nil {
			return c.deviceError(err)
		}
		c.disks = append(c.disks, d)
	}
	for i := range c.spec.Channels {
		ch, err := c.m.deviceChannel(ctx, &c.spec.Channels[i], i+1)
		if err != nil {
			return c.deviceError(err)
		}
		c.channels = append(c.channels, ch)
	}
	byDaemon := c.m.devices.LeaveChannels(c.channels...)
	if len(c.spec.VFBs)+len(c.spec.P9s) == 0 && byDaemon { // else there may be a QEMU, which takes all it finds
		c.m.devices.LeaveToDaemon(c.disks...)
	}
	if err := c.m.devices.CheckServers(c.disks...); err != nil {
		return c.deviceError(err)
	}
	last := -1
	for i := range c.spec.NICs {
		n, err := c.m.deviceNIC(ctx, &c.spec.NICs[i])
		if err != nil {
			return c.deviceError(err)
		}
		if n.MAC == (device.MAC{}) {
			n.MAC = device.NewMAC()
		}
		last = max(last, n.DevID)
		c.nics = append(c.nics, n)
	}
	for i, n := range c.nics {
		if n.DevID == device.AutoID {
			last++
			n.DevID = last
		}
		s := &c.spec.NICs[i]
		s.DevID, s.MAC, s.Type = config.Some(n.DevID), config.MAC(n.MAC), config.NICVIF
	}
	return nil
}

// deviceError gives an error of the device layer its code.
func (c *creation) deviceError(err error) error { return deviceError(c.op, c.id, err) }

func deviceError(op string, id abi.DomID, err error) error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return &Error{Kind: e.Kind, Op: op, Dom: id, Err: err}
	case errors.Is(err, device.ErrExists):
		return fail(DeviceExists, id, op, err)
	case errors.Is(err, device.ErrTarget):
		return fail(NoFile, id, op, err)
	case errors.Is(err, device.ErrNotFound):
		return fail(NoDevice, id, op, err)
	case errors.Is(err, device.ErrNoGuest):
		return fail(NoDomain, id, op, err)
	case errors.Is(err, device.ErrInUse):
		return fail(DeviceBusy, id, op, err)
	case errors.Is(err, device.ErrNoDaemon):
		return &Error{Kind: DeviceFailed, Op: op, Dom: id, Err: err, Hint: "start goxl's blkback, and give the guest nothing that needs a QEMU"}
	case errors.Is(err, host.ErrScript):
		return &Error{Kind: DeviceFailed, Op: op, Dom: id, Err: err, Hint: "see /var/log/xen/xen-hotplug.log"}
	}
	return fail(DeviceFailed, id, op, err)
}

func (c *creation) addOptions() device.AddOptions {
	o := device.AddOptions{Type: guestType(c.kind)}
	if c.kind == PV {
		o.Protocol = "x86_64-abi"
	}
	return o
}

func (c *creation) addDisks(ctx context.Context) error {
	c.undoing("add devices", c.removeDevices)
	for _, d := range c.disks {
		if err := c.has(c.m.devices.AddDisk(ctx, c.id, d, c.addOptions())); err != nil {
			return err
		}
	}
	return c.grantIO()
}

// removeDevices removes what xenstore has of the guest's devices, and then those that
// we added once more: who destroyed the guest meanwhile may have removed the record of
// a device that he had not seen.
func (c *creation) removeDevices(ctx context.Context) error {
	errs := []error{c.m.devices.RemoveAll(ctx, c.id)}
	for _, dev := range c.added {
		errs = append(errs, c.m.devices.Remove(ctx, dev, device.Forced))
	}
	return errors.Join(errs...)
}

// grantIO gives the guest the ports and memory of the host's devices that its
// configuration names.
func (c *creation) grantIO() error {
	for _, r := range c.spec.BInfo.IOPorts {
		if err := c.m.xen.SetIOPortPermission(c.id, r.First, r.Number, true); err != nil {
			return c.m.hyper(c.id, fmt.Sprintf("%s: allow I/O ports %#x-%#x", c.op, r.First, r.First+r.Number-1), err)
		}
	}
	for _, r := range c.spec.BInfo.IOMem {
		op := fmt.Sprintf("%s: allow I/O memory frames %#x-%#x", c.op, r.Start, r.Start+r.Number-1)
		if err := c.m.xen.SetIOMemPermission(c.id, abi.MFN(r.Start), r.Number, true); err != nil {
			return c.m.hyper(c.id, op, err)
		}
		if err := c.m.xen.MapMMIO(c.id, abi.GFN(r.GFN.Or(r.Start)), abi.MFN(r.Start), r.Number, true); err != nil {
			return c.m.hyper(c.id, op, err)
		}
	}
	return nil
}

// addConsoles adds what QEMU and the console daemon serve, in libxl's order:
// channels, shared directories, screens and keyboards, and the primary console.
func (c *creation) addConsoles(ctx context.Context) error {
	m, set := c.m, c.m.devices
	for _, ch := range c.channels {
		if err := c.has(set.AddChannel(ctx, c.id, ch)); err != nil {
			return err
		}
	}
	for i := range c.spec.P9s {
		p, err := m.deviceP9(ctx, &c.spec.P9s[i], i)
		if err != nil {
			return c.deviceError(err)
		}
		if err := c.has(set.AddP9(ctx, c.id, p)); err != nil {
			return err
		}
		c.p9s = append(c.p9s, *p)
	}
	for i := range c.spec.VFBs {
		v, err := m.deviceVFB(ctx, &c.spec.VFBs[i], i)
		if err != nil {
			return c.deviceError(err)
		}
		if err := c.has(set.AddVFB(ctx, c.id, v)); err != nil {
			return err
		}
		c.vfbs = append(c.vfbs, *v)
	}
	for i := range c.spec.VKBs {
		v, err := m.deviceVKB(ctx, &c.spec.VKBs[i], i)
		if err != nil {
			return c.deviceError(err)
		}
		if err := c.has(set.AddVKB(ctx, c.id, v)); err != nil {
			return err
		}
	}
	back, err := c.daemonDomain(ctx, "xenconsoled")
	if err != nil {
		return err
	}
	err = c.has(set.AddConsole(ctx, c.id, &device.Console{BackendDom: back, Server: device.XenConsoled, Output: "pty",
		Port: c.built.Console.Port, RingRef: uint64(c.built.Console.Frame), TTY: c.files.consoleTTY}))
	if err == nil {
		c.undoing("wait for the console daemon", c.settleConsole)
	}
	return err
}

// settleConsole lets the console daemon finish what it began, unless there is none.
func (c *creation) settleConsole(ctx context.Context) error {
	if !c.unserved {
		c.m.SettleConsole(ctx, c.id)
	}
	return nil
}

// has takes note of a device that was added, for removeDevices, if there is no error.
func (c *creation) has(dev device.Device, err error) error {
	if err != nil {
		return c.deviceError(err)
	}
	c.added = append(c.added, dev)
	return nil
}

func (c *creation) addNICs(ctx context.Context) error {
	for _, n := range c.nics {
		if err := c.has(c.m.devices.AddNIC(ctx, c.id, n, c.addOptions())); err != nil {
			return err
		}
	}
	return nil
}
