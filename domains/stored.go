package domains

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"

	"goxl/domains/config"
	"goxl/domains/device"
	"goxl/xenctrl/abi"
)

// StoredConfig returns the configuration that was stored for domain id, as it
// was given and without what changed since. The error's code is NoConfig when
// there is none, as for domain 0 on some hosts.
func (m *Manager) StoredConfig(ctx context.Context, id abi.DomID) (*config.Spec, error) {
	u, err := m.userdataOf(id)
	if err != nil {
		return nil, err
	}
	l, err := u.lock(ctx, dataLock)
	if err != nil {
		return nil, err
	}
	defer l.Unlock()
	return u.config()
}

// config reads and decodes the stored configuration. The lock is the caller's.
func (u *userdata) config() (*config.Spec, error) {
	op := fmt.Sprintf("read the stored configuration of domain %d", u.id)
	data, ok, err := u.read(jsonName)
	if err != nil {
		return nil, fail(NoConfig, u.id, op, err)
	}
	if !ok {
		return nil, failf(NoConfig, u.id, op, "there is no file %s", u.path("d", jsonName))
	}
	if i := bytes.IndexByte(data, 0); i >= 0 { // libxl reads it as a C string
		data = data[:i]
	}
	spec, err := config.DecodeJSON(data)
	if err != nil {
		return nil, fail(NoConfig, u.id, op, err)
	}
	return spec, nil
}

// setConfig stores the configuration as libxl does, with a NUL at the end. The
// lock is the caller's.
func (u *userdata) setConfig(s *config.Spec) error {
	return u.write(jsonName, append(u.m.ConfigJSON(s), 0))
}

// ConfigOf returns the configuration of domain id as it is now: the stored one,
// with name, uuid, vcpus, memory and scheduling as they have become, and without
// the devices that are gone (libxl_retrieve_domain_configuration).
func (m *Manager) ConfigOf(ctx context.Context, id abi.DomID) (*config.Spec, error) {
	u, err := m.userdataOf(id)
	if err != nil {
		return nil, err
	}
	outer, err := u.lock(ctx, devicesLock)
	if err != nil {
		return nil, err
	}
	defer outer.Unlock()
	inner, err := u.lock(ctx, dataLock)
	if err != nil {
		return nil, err
	}
	defer inner.Unlock()
	spec, err := u.config()
	if err != nil {
		return nil, err
	}
	return spec, m.overlay(ctx, u, spec)
}

// overlay brings a stored configuration up to date.
func (m *Manager) overlay(ctx context.Context, u *userdata, spec *config.Spec) error {
	name, err := m.Name(ctx, u.id)
	if err != nil {
		return err
	}
	spec.CInfo.Name = config.Some(name)
	spec.CInfo.UUID = u.uuid
	if spec.BInfo.AvailVCPUs, err = m.onlineVCPUs(ctx, u.id, spec.BInfo.MaxVCPUs); err != nil {
		return err
	}
	target, maximum, err := m.memoryTarget(ctx, u.id)
	if err != nil {
		return err
	}
	spec.BInfo.TargetMem = config.Some(target + targetFudge(&spec.BInfo))
	spec.BInfo.MaxMem = config.Some(maximum)
	if spec.BInfo.SchedParams, err = m.SchedParams(ctx, u.id); err != nil {
		return err
	}
	return m.dropGoneDevices(ctx, u.id, spec)
}

// onlineVCPUs reads which vcpus the guest may use.
func (m *Manager) onlineVCPUs(ctx context.Context, id abi.DomID, n int) (config.Bitmap, error) {
	online := config.NewBitmap(n)
	for i := range n {
		s, _, err := m.read(ctx, fmt.Sprintf("%s/cpu/%d/availability", domainPath(id), i))
		if err != nil {
			return nil, fail(Store, id, "read which vcpus are online", err)
		}
		if s == "online" {
			online.Add(i)
		}
	}
	return online, nil
}

// dropGoneDevices removes the devices that xenstore does not know any more. The
// toolstack's own directory decides; what it has no note of was detached.
func (m *Manager) dropGoneDevices(ctx context.Context, id abi.DomID, s *config.Spec) error {
	present := map[string][]string{}
	for _, kind := range []string{"vbd", "virtio_disk", "vif", "vtpm", "vusb", "vdispl", "vsnd", "virtio"} {
		ids, err := m.store.List(ctx, libxlPath(id)+"/device/"+kind)
		if err != nil && !isNotFound(err) {
			return fail(Store, id, "list devices", err)
		}
		present[kind] = ids
	}
	gone := func(kind string, devid int) bool { return !slices.Contains(present[kind], strconv.Itoa(devid)) }
	byDevID := func(kind string) func(config.DevID) bool {
		return func(d config.DevID) bool { return gone(kind, d.Or(-1)) }
	}
	s.Disks = slices.DeleteFunc(s.Disks, func(d config.Disk) bool {
		n, err := device.ParseVDev(d.VDev.Value())
		return err != nil || gone("vbd", n) && gone("virtio_disk", n)
	})
	s.NICs = deleteBy(s.NICs, func(n *config.NIC) config.DevID { return n.DevID }, byDevID("vif"))
	s.VTPMs = deleteBy(s.VTPMs, func(n *config.VTPM) config.DevID { return n.DevID }, byDevID("vtpm"))
	s.USBCtrls = deleteBy(s.USBCtrls, func(n *config.USBCtrl) config.DevID { return n.DevID }, byDevID("vusb"))
	s.VDispls = deleteBy(s.VDispls, func(n *config.VDispl) config.DevID { return n.DevID }, byDevID("vdispl"))
	s.VSnds = deleteBy(s.VSnds, func(n *config.VSnd) config.DevID { return n.DevID }, byDevID("vsnd"))
	s.Virtios = deleteBy(s.Virtios, func(n *config.Virtio) config.DevID { return n.DevID }, byDevID("virtio"))
	return m.emptyDrives(ctx, id, s)
}

func deleteBy[T any](list []T, devid func(*T) config.DevID, gone func(config.DevID) bool) []T {
	return slices.DeleteFunc(list, func(d T) bool { return gone(devid(&d)) })
}

// emptyDrives notes which CD drives have lost their CD.
func (m *Manager) emptyDrives(ctx context.Context, id abi.DomID, s *config.Spec) error {
	for i := range s.Disks {
		d := &s.Disks[i]
		n, err := device.ParseVDev(d.VDev.Value())
		if err != nil || d.IsCDROM == 0 {
			continue
		}
		params, ok, err := m.read(ctx, fmt.Sprintf("%s/device/vbd/%d/params", libxlPath(id), n))
		if err != nil {
			return fail(Store, id, "look into the CD drive", err)
		}
		if ok && params == "" {
			d.Path, d.Format = config.Some(""), config.FormatEmpty
		}
	}
	return nil
}

// UpdateConfig keeps raw configuration text for domain id, which takes effect
// when it is rebooted the next time.
func (m *Manager) UpdateConfig(ctx context.Context, id abi.DomID, text []byte) error {
	u, err := m.userdataOf(id)
	if err != nil {
		return err
	}
	l, err := u.lock(ctx, dataLock)
	if err != nil {
		return err
	}
	defer l.Unlock()
	if err := u.write(updateName, text); err != nil {
		return fail(Failed, id, fmt.Sprintf("store a new configuration of domain %d", id), err)
	}
	return nil
}

// TakeUpdate returns the text of an UpdateConfig that waits for the reboot, nil
// when there is none, and forgets it.
func (m *Manager) TakeUpdate(ctx context.Context, id abi.DomID) ([]byte, error) {
	u, err := m.userdataOf(id)
	if err != nil {
		return nil, err
	}
	l, err := u.lock(ctx, dataLock)
	if err != nil {
		return nil, err
	}
	defer l.Unlock()
	text, ok, err := u.read(updateName)
	if err == nil && ok {
		err = u.remove(updateName)
	}
	if err != nil {
		return nil, fail(Failed, id, fmt.Sprintf("read the new configuration of domain %d", id), err)
	}
	return text, nil
}
