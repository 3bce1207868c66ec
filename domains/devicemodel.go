package domains

import (
	"context"
	"fmt"

	"goxl/domains/dm"
	"goxl/xenctrl/abi"
)

// startDeviceModel starts the guest's QEMU, if one of its devices needs it.
func (c *creation) startDeviceModel(ctx context.Context) error {
	devs := dm.Devices{VFBs: c.vfbs, P9s: c.p9s}
	for _, ch := range c.channels {
		devs.Channels = append(devs.Channels, *ch)
	}
	for _, d := range c.disks {
		devs.Disks = append(devs.Disks, *d)
	}
	if !devs.NeedQEMU(0) {
		return nil
	}
	b := &c.spec.BInfo
	conf := dm.Config{Dom: c.id, UUID: c.spec.CInfo.UUID, Name: c.spec.CInfo.Name.Value(), MaxMem: b.MaxMem.Value(),
		Channels: devs.Channels, Binary: b.DeviceModel.Value(), Extra: b.Extra, ExtraPV: b.ExtraPV}
	if len(c.vfbs) > 0 {
		conf.VFB = &c.vfbs[0]
	}
	c.undoing("start device model", func(ctx context.Context) error { return c.m.models.Stop(ctx, c.id) })
	if err := c.m.models.Start(ctx, conf); err != nil {
		return &Error{Kind: DeviceFailed, Op: c.op, Dom: c.id, Err: err,
			Hint: "its log is " + c.m.host.Log + "/qemu-dm-" + conf.Name + ".log"}
	}
	return nil
}

// resumeDeviceModel lets the device model of an HVM guest run.
func (m *Manager) resumeDeviceModel(ctx context.Context, id abi.DomID) error {
	op := fmt.Sprintf("resume the device model of domain %d", id)
	d, err := m.info(id)
	if err != nil {
		return err
	}
	mon, err := m.models.Dial(ctx, id, d.UUID)
	if err == nil {
		defer mon.Close()
		err = mon.Execute(ctx, "cont", nil, nil)
	}
	if err != nil {
		return fail(DeviceFailed, id, op, err)
	}
	return nil
}
