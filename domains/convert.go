package domains

import (
	"context"
	"fmt"

	"goxl/domains/config"
	"goxl/domains/device"
	"goxl/xenctrl/abi"
)

// backendOf resolves the domain that serves a device: a name wins over an id.
func (m *Manager) backendOf(ctx context.Context, b config.Backend) (abi.DomID, error) {
	if name, ok := b.Name.Get(); ok {
		id, err := m.Find(ctx, name)
		if err != nil {
			return 0, fmt.Errorf("backend=%s: %w", name, err)
		}
		return id, nil
	}
	return b.DomID, nil
}

func (m *Manager) deviceDisk(ctx context.Context, d *config.Disk) (*device.Disk, error) {
	back, err := m.backendOf(ctx, d.Backend)
	if err != nil {
		return nil, err
	}
	out := &device.Disk{
		VDev: d.VDev.Value(), Target: d.Path.Value(), Script: d.Script.Value(), BackendDom: back,
		Writable: d.ReadWrite != 0, CDROM: d.IsCDROM != 0, Removable: d.Removable != 0,
		DirectIO: d.DirectIOSafe, Untrusted: d.Trusted == config.False,
		Virtio: device.VirtioDiskConfig{Base: d.Base, IRQ: d.IRQ},
	}
	if d.Format != config.FormatUnknown {
		out.Format = device.DiskFormat(d.Format.String())
	}
	if d.BackendType != config.DiskBackendUnknown {
		out.Backend = device.DiskBackend(d.BackendType.String())
	}
	if d.Spec != config.DiskSpecUnknown {
		out.Spec = device.DiskSpec(d.Spec.String())
	}
	if d.Discard != config.Default {
		on := d.Discard == config.True
		out.Discard = &on
	}
	if d.GrantUsage != config.Default {
		on := d.GrantUsage == config.True
		out.GrantUsage = &on
	}
	if c := d.COLO; c.Enable == config.True {
		out.COLO = &device.COLODisk{Host: c.Host.Value(), Export: c.Export.Value(), Port: c.Port,
			ActiveDisk: c.ActiveDisk.Value(), HiddenDisk: c.HiddenDisk.Value()}
	}
	return out, nil
}

func (m *Manager) deviceNIC(ctx context.Context, n *config.NIC) (*device.NIC, error) {
	back, err := m.backendOf(ctx, n.Backend)
	if err != nil {
		return nil, err
	}
	out := &device.NIC{
		DevID: n.DevID.Or(device.AutoID), MAC: device.MAC(n.MAC), Model: n.Model.Value(), Bridge: n.Bridge.Value(),
		GatewayDev: n.GatewayDev.Value(), IfName: n.IfName.Value(), Script: n.Script.Value(), IP: n.IP.Value(),
		MTU: n.MTU, VLAN: n.VLAN.Value(), BackendDom: back, Untrusted: n.Trusted == config.False,
		Rate: device.Rate{BytesPerInterval: n.RateBytesPerInterval, IntervalUsecs: n.RateIntervalUsecs},
	}
	if n.Type != config.NICUnknown {
		out.Type = device.NICType(n.Type.String())
	}
	return out, nil
}

func (m *Manager) deviceP9(ctx context.Context, p *config.P9, devid int) (*device.P9, error) {
	back, err := m.backendOf(ctx, p.Backend)
	if err != nil {
		return nil, err
	}
	return &device.P9{
		DevID: p.DevID.Or(devid), BackendDom: back, Tag: p.Tag.Value(), Path: p.Path.Value(),
		SecurityModel: p.SecurityModel.Value(), Daemon: p.Type == config.P9Xen9pfsd,
		MaxSpaceMiB: uint32(p.MaxSpace), MaxFiles: uint32(p.MaxFiles), MaxOpenFiles: uint32(p.MaxOpenFiles), AutoDelete: p.AutoDelete,
	}, nil
}

func (m *Manager) deviceVFB(ctx context.Context, v *config.VFB, devid int) (*device.VFB, error) {
	back, err := m.backendOf(ctx, v.Backend)
	if err != nil {
		return nil, err
	}
	return &device.VFB{
		DevID: v.DevID.Or(devid), BackendDom: back, NoVNC: v.VNC.Enable == config.False, KeyMap: v.Keymap.Value(),
		VNC: device.VNC{Listen: v.VNC.Listen.Value(), Password: v.VNC.Passwd.Value(), Display: v.VNC.Display,
			NoSearch: v.VNC.FindUnused == config.False},
		SDL: device.SDL{Enable: v.SDL.Enable == config.True, OpenGL: v.SDL.OpenGL == config.True,
			Display: v.SDL.Display.Value(), XAuthority: v.SDL.XAuthority.Value()},
	}, nil
}

func (m *Manager) deviceVKB(ctx context.Context, v *config.VKB, devid int) (*device.VKB, error) {
	back, err := m.backendOf(ctx, v.Backend)
	if err != nil {
		return nil, err
	}
	out := &device.VKB{
		DevID: v.DevID.Or(devid), BackendDom: back, Linux: v.BackendType == config.VKBLinux, UniqueID: v.UniqueID.Value(),
		DisableKeyboard: v.FeatureDisableKeyboard, DisablePointer: v.FeatureDisablePointer,
		AbsPointer: v.FeatureAbsPointer, RawPointer: v.FeatureRawPointer, Width: v.Width, Height: v.Height,
	}
	if v.FeatureMultiTouch {
		out.MultiTouch = &device.MultiTouch{Width: v.MultiTouchWidth, Height: v.MultiTouchHeight, Contacts: v.MultiTouchContacts}
	}
	return out, nil
}

func (m *Manager) deviceChannel(ctx context.Context, c *config.Channel, devid int) (*device.Channel, error) {
	back, err := m.backendOf(ctx, c.Backend)
	if err != nil {
		return nil, err
	}
	out := &device.Channel{DevID: devid, Name: c.Name.Value(), BackendDom: back, Connection: c.Connection.String()}
	if c.Socket != nil {
		out.Path = c.Socket.Path.Value()
	}
	return out, nil
}

// guestType is t for the device layer.
func guestType(t Type) device.GuestType { return device.GuestType(t.String()) }

// typeOf is the kind of guest that a configuration asks for.
func typeOf(t config.DomainType) Type {
	switch t {
	case config.TypePV:
		return PV
	case config.TypePVH:
		return PVH
	case config.TypeHVM:
		return HVM
	}
	return 0
}
