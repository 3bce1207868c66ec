package device

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"goxl/xenstore"
)

// What follows is for the hotplug daemon of a driver domain, which does there what the
// toolstack does for the devices of its own domain. Set.Self is that domain.

// ErrNoServer says that nobody in this domain can serve a disk image.
var ErrNoServer = errors.New("nobody here serves this disk image")

// Plug makes what a device that this domain serves needs here: it runs the device's
// hotplug script, or does its work. The backend must be in state InitWait. What failed
// stands in the backend's hotplug-error afterwards, whatever the script wrote. It returns
// the loop device that a disk got, if one, for Abandon.
func (s *Set) Plug(ctx context.Context, dev Device) (loop string, err error) {
	loop, err = s.plug(ctx, dev)
	if err == nil {
		return loop, nil
	}
	v, rerr := s.read(context.WithoutCancel(ctx), dev.BackendPath(), "hotplug-status", "hotplug-error")
	if rerr == nil && v["hotplug-error"] != "" && v["hotplug-status"] != "" {
		return "", err // told by the script, or by us
	}
	return "", s.failed(ctx, dev, err)
}

// Withdraw takes away what Plug made for a device that is closed for good, and the
// backend's nodes, which the toolstack's domain waits for. A failure can be tried again.
func (s *Set) Withdraw(ctx context.Context, dev Device) error {
	if err := s.unplug(ctx, dev); err != nil {
		return fmt.Errorf("take down %s: %w", dev, err)
	}
	return s.erase(ctx, dev)
}

// Abandon takes away the loop device that Plug made for a disk with that target (its
// node params), whose nodes somebody removed before Withdraw could.
func (s *Set) Abandon(ctx context.Context, dev Device, loop, target string) error {
	b := block{set: s, dev: dev, target: target, node: loop}
	return b.remove(ctx)
}

// LeaveImage leaves a disk image that the toolstack gave to this domain's QEMU to
// goxl's own daemon for disks. The error is ErrNoServer when that does not run here,
// or does not know the format.
func (s *Set) LeaveImage(ctx context.Context, dev Device) error {
	v, err := s.read(ctx, dev.BackendPath(), "params", "device-type")
	if err != nil {
		return err
	}
	formats, err := s.Host.BlkbackFormats()
	if err != nil {
		return err
	}
	format, _, _ := strings.Cut(v["params"], ":")
	if format == "aio" { // QEMU's word for a raw file
		format = string(FormatRaw)
	}
	switch {
	case formats == nil:
		return fmt.Errorf("%s: %w: start goxl's blkback in this domain", dev, ErrNoServer)
	case v["device-type"] == "cdrom":
		return fmt.Errorf("%s: %w: it is a CD drive", dev, ErrNoServer)
	case !slices.Contains(formats, format):
		return fmt.Errorf("%s: %w: blkback does not know the format %q, but %s", dev, ErrNoServer, format, strings.Join(formats, ", "))
	}
	return s.Store.Update(ctx, func(tx *xenstore.Tx) error {
		if err := stillWanted(ctx, tx, dev); err != nil {
			return err
		}
		for _, old := range []string{"hotplug-error", "hotplug-status"} { // from when nobody did
			if err := ignoreMissing(tx.Rm(ctx, dev.BackendPath()+"/"+old)); err != nil {
				return err
			}
		}
		return tx.Write(ctx, dev.BackendPath()+"/"+ServerKey, serverBlkback)
	})
}

// Refused leaves err in the nodes of a device that cannot be served here.
func (s *Set) Refused(ctx context.Context, dev Device, err error) { _ = s.failed(ctx, dev, err) }

// ServedAt returns the device whose serving half has the node at path, or is it; false
// for what belongs to none. A path spelled in another way than libxl's belongs to none.
func ServedAt(path string) (Device, bool) {
	part := strings.SplitN(path, "/", 9)
	if len(part) < 8 {
		return Device{}, false
	}
	own := strings.Join(part[:8], "/")
	d, err := ParseBackendPath(own)
	if err != nil || d.BackendPath() != own {
		return Device{}, false
	}
	d.Kind = d.BackendKind.frontend()
	return d, true
}
