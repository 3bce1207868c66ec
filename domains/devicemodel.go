package domains

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"goxl/domains/config"
	"goxl/domains/device"
	"goxl/xenctrl/abi"
)

// needsQEMU names what of a PV or PVH guest only a QEMU process can serve; ""
// when it needs none (libxl__need_xenpv_qemu).
func (c *creation) needsQEMU() string {
	s := c.spec
	for _, d := range c.disks {
		if d.Backend == device.BackendQDisk && d.BackendDom == 0 {
			return fmt.Sprintf("disk %s (format %s)", d.VDev, d.Format)
		}
	}
	for i := range s.VKBs {
		if s.VKBs[i].BackendType != config.VKBLinux {
			return "the keyboard (vkb=)"
		}
	}
	for i := range s.P9s {
		if s.P9s[i].Type != config.P9Xen9pfsd {
			return "the shared directory (p9=)"
		}
	}
	switch {
	case len(s.VFBs) > 0:
		return "the screen (vfb=)"
	case len(s.Channels) > 0:
		return "the channel (channel=)"
	}
	return ""
}

// startDeviceModel starts the guest's QEMU, if it needs one.
func (c *creation) startDeviceModel(context.Context) error {
	what := c.needsQEMU()
	if what == "" {
		return nil
	}
	return &Error{Kind: Unsupported, Op: c.op, Dom: c.id,
		Err:  fmt.Errorf("%s needs a QEMU process, which is not started yet: %w", what, errors.ErrUnsupported),
		Hint: "use raw disks, or create the guest with the genuine xl"}
}

// resumeDeviceModel lets the device model of an HVM guest run.
func (m *Manager) resumeDeviceModel(_ context.Context, id abi.DomID) error {
	return failf(Unsupported, id, fmt.Sprintf("unpause domain %d", id), "it is an HVM guest, whose device model is not driven yet: %w", errUnsupported)
}

// stopDeviceModel ends the QEMU process of a guest, whoever started it.
func (m *Manager) stopDeviceModel(ctx context.Context, id abi.DomID) error {
	s, ok, err := m.read(ctx, domainPath(id)+"/image/device-model-pid")
	if err != nil || !ok {
		return err
	}
	if err := m.store.Rm(ctx, fmt.Sprintf("/local/domain/0/device-model/%d", id)); err != nil && !isNotFound(err) {
		return fail(Store, id, "remove the device model's nodes", err)
	}
	for _, kind := range []string{"libxl", "libxenstat"} {
		if err := removeFile(fmt.Sprintf("%s/qmp-%s-%d", m.host.Run, kind, id)); err != nil {
			return err
		}
	}
	pid, err := strconv.Atoi(s)
	if err != nil || pid <= 1 || !m.isQEMU(pid, id) {
		return nil // gone, and its number may name another process
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end the device model, process %d: %w", pid, err)
	}
	return nil
}

// isQEMU reports whether a process is the device model of guest id.
func (m *Manager) isQEMU(pid int, id abi.DomID) bool {
	line, err := os.ReadFile(fmt.Sprintf("%s/%d/cmdline", m.host.Proc, pid))
	if err != nil {
		return false
	}
	return strings.Contains(string(line), fmt.Sprintf("\x00-xen-domid\x00%d\x00", id))
}
