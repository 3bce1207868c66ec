package domains

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"goxl/domains/config"
	"goxl/domains/device"
	"goxl/domains/host"
	"goxl/xenctrl/abi"
)

// Disks returns the disks of guest id.
func (m *Manager) Disks(ctx context.Context, id abi.DomID) ([]device.DiskInfo, error) {
	list, err := m.devices.Disks(ctx, id)
	if err != nil {
		return nil, deviceError("list disks", id, err)
	}
	return list, nil
}

// NICs returns the network interfaces of guest id.
func (m *Manager) NICs(ctx context.Context, id abi.DomID) ([]device.NICInfo, error) {
	list, err := m.devices.NICs(ctx, id)
	if err != nil {
		return nil, deviceError("list network interfaces", id, err)
	}
	return list, nil
}

// Channels returns the channels of guest id.
func (m *Manager) Channels(ctx context.Context, id abi.DomID) ([]device.ChannelInfo, error) {
	list, err := m.devices.Channels(ctx, id)
	if err != nil {
		return nil, deviceError("list channels", id, err)
	}
	return list, nil
}

// AttachDisk gives guest id another disk and notes it in the stored
// configuration. It returns when the backend is ready.
func (m *Manager) AttachDisk(ctx context.Context, id abi.DomID, d *config.Disk) error {
	op := fmt.Sprintf("attach disk %s to domain %d", d.VDev, id)
	a, err := m.attachment(ctx, op, id)
	if err != nil {
		return err
	}
	defer a.release()
	disk, err := m.deviceDisk(ctx, d)
	if err != nil {
		return deviceError(op, id, err)
	}
	o := a.options(ctx, func(s *config.Spec) { s.Disks = replaceOrAdd(s.Disks, *d, sameVDev) })
	if _, err := m.devices.AddDisk(ctx, id, disk, o); err != nil {
		return deviceError(op, id, errors.Join(err, a.restore(ctx)))
	}
	return nil
}

// AttachNIC gives guest id another network interface, as AttachDisk does.
func (m *Manager) AttachNIC(ctx context.Context, id abi.DomID, n *config.NIC) error {
	op := fmt.Sprintf("attach network interface to domain %d", id)
	a, err := m.attachment(ctx, op, id)
	if err != nil {
		return err
	}
	defer a.release()
	nic, err := m.deviceNIC(ctx, n)
	if err != nil {
		return deviceError(op, id, err)
	}
	o := a.options(ctx, func(s *config.Spec) {
		saved := *n
		saved.DevID, saved.MAC, saved.Type = config.Some(nic.DevID), config.MAC(nic.MAC), nicType(nic.Type)
		s.NICs = replaceOrAdd(s.NICs, saved, func(a, b *config.NIC) bool { return a.DevID == b.DevID })
	})
	if _, err := m.devices.AddNIC(ctx, id, nic, o); err != nil {
		return deviceError(op, id, errors.Join(err, a.restore(ctx)))
	}
	return nil
}

func nicType(t device.NICType) config.NICType {
	if t == device.NICIOEmu {
		return config.NICVIFIOEMU
	}
	return config.NICVIF
}

func sameVDev(a, b *config.Disk) bool {
	x, err1 := device.ParseVDev(a.VDev.Value())
	y, err2 := device.ParseVDev(b.VDev.Value())
	return err1 == nil && err2 == nil && x == y
}

func replaceOrAdd[T any](list []T, item T, same func(a, b *T) bool) []T {
	for i := range list {
		if same(&list[i], &item) {
			list[i] = item
			return list
		}
	}
	return append(list, item)
}

// DetachDisk takes a disk from guest id: vdev is its name or number. The stored
// configuration keeps it until it is read the next time, as with libxl. The
// error's code is NoDevice when the guest has no such disk.
func (m *Manager) DetachDisk(ctx context.Context, id abi.DomID, vdev string, force device.Force) error {
	op := fmt.Sprintf("detach disk %s from domain %d", vdev, id)
	d, err := m.devices.DiskByVDev(ctx, id, vdev)
	if err == nil {
		err = m.devices.Remove(ctx, d.Device, force)
	}
	if err != nil {
		return deviceError(op, id, err)
	}
	return nil
}

// NIC returns a network interface of guest id: name is its number or, if it has
// colons, its address. One that is not there is NoDevice.
func (m *Manager) NIC(ctx context.Context, id abi.DomID, name string) (device.NICInfo, error) {
	n, err := m.devices.NICByName(ctx, id, name)
	if err != nil {
		return n, deviceError(fmt.Sprintf("look up network interface %s of domain %d", name, id), id, err)
	}
	return n, nil
}

// DetachNIC takes a network interface from guest id: name is its number or, if it
// has colons, its address.
func (m *Manager) DetachNIC(ctx context.Context, id abi.DomID, name string, force device.Force) error {
	op := fmt.Sprintf("detach network interface %s from domain %d", name, id)
	n, err := m.devices.NICByName(ctx, id, name)
	if err == nil {
		err = m.devices.Remove(ctx, n.Device, force)
	}
	if err != nil {
		return deviceError(op, id, err)
	}
	return nil
}

// attachment holds the locks of a hot-plug and the configuration it changes. The
// lock of the changes to devices is held to the end, that of the stored
// configuration only until it and xenstore are written: a backend may take its time,
// and mem-set or list -l shall not wait for it. libxl does the same.
type attachment struct {
	u     *userdata
	kind  Type
	locks []*host.Lock
	spec  *config.Spec
	// old and new are the stored configuration before and after it was changed; nil:
	// it was not.
	old, new []byte
}

func (m *Manager) attachment(ctx context.Context, op string, id abi.DomID) (_ *attachment, err error) {
	a := &attachment{}
	defer func() {
		if err != nil {
			a.release()
		}
	}()
	if a.u, err = m.userdataOf(id); err != nil {
		return nil, err
	}
	if a.kind, err = m.TypeOf(ctx, id); err != nil {
		return nil, err
	}
	for _, name := range []string{devicesLock, dataLock} { // in the order that every toolstack keeps
		l, err := a.u.lock(ctx, name)
		if err != nil {
			return nil, err
		}
		a.locks = append(a.locks, l)
	}
	a.spec, err = a.u.config()
	return a, err
}

func (a *attachment) release() {
	for i := len(a.locks) - 1; i >= 0; i-- {
		a.locks[i].Unlock()
	}
	a.locks = nil
}

// written lets go of the stored configuration.
func (a *attachment) written() {
	last := len(a.locks) - 1
	a.locks[last].Unlock()
	a.locks = a.locks[:last]
}

// restore takes back the change of the stored configuration, unless somebody has
// changed it since: then the device that xenstore does not know stays in it, and is
// left out whenever it is read.
func (a *attachment) restore(ctx context.Context) error {
	if a.old == nil {
		return nil
	}
	if len(a.locks) < 2 { // let go of when it was written
		l, err := a.u.lock(context.WithoutCancel(ctx), dataLock)
		if errors.Is(err, Locked) {
			return nil // gone, with its configuration
		}
		if err != nil {
			return err
		}
		a.locks = append(a.locks, l)
	}
	now, _, err := a.u.read(jsonName)
	if err != nil || !bytes.Equal(now, a.new) {
		return err
	}
	return a.u.write(jsonName, a.old)
}

// options tell the device layer to change the stored configuration in the same
// moment as xenstore.
func (a *attachment) options(ctx context.Context, edit func(*config.Spec)) device.AddOptions {
	o := device.AddOptions{Type: guestType(a.kind), Running: true, Record: func(context.Context) error {
		if a.old == nil {
			var err error
			if a.old, _, err = a.u.read(jsonName); err != nil {
				return err
			}
		}
		edit(a.spec)
		a.new = append(a.u.m.ConfigJSON(a.spec), 0)
		return a.u.write(jsonName, a.new)
	}, Written: a.written}
	if a.kind == PV {
		o.Protocol = "x86_64-abi"
	}
	return o
}
