package device

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"goxl/domains/logs"
	"goxl/xenstore"
)

// A node of a qdisk's backend says that goxl's own daemon serves the disk. It is written
// with all others, so that nobody sees the disk without it. A QEMU of the guest's would
// take the disk nevertheless; see LeaveToDaemon.
const (
	// ServerKey is the name of that node.
	ServerKey     = "goxl-server"
	serverBlkback = "blkback"
)

// ErrNoDaemon: the device needs goxl's daemon for disks, which does not run, or leaves
// the guest's disks to its QEMU.
var ErrNoDaemon = errors.New("only goxl's blkback serves disks of NBD servers, and it does not serve this guest")

// CheckServers fails with ErrNoDaemon if nobody can serve one of the disks, for all of
// which LeaveToDaemon was asked.
func (s *Set) CheckServers(disks ...*Disk) error {
	for _, d := range disks {
		if d.onServer() && d.BackendDom == s.Self && !d.Daemon {
			return fmt.Errorf("disk %s at %s: %w", d.VDev, d.Target, ErrNoDaemon)
		}
	}
	return nil
}

// LeaveToDaemon leaves the image files among a guest's disks to goxl's own daemon
// instead of QEMU, if it runs and can serve all of them. It is for guests that have no
// QEMU and need none for other devices: QEMU serves each qdisk of its guest that it
// finds. Disks must have their backends chosen.
func (s *Set) LeaveToDaemon(disks ...*Disk) {
	if !slices.ContainsFunc(disks, func(d *Disk) bool { return d.forQEMU(s.Self) }) {
		return
	}
	formats, err := s.Host.BlkbackFormats()
	if err != nil { // QEMU serves them as well
		s.Log.Warn("disks are left to QEMU", logs.Error(err))
		return
	}
	for _, d := range disks {
		if d.forQEMU(s.Self) && (d.CDROM || d.COLO != nil || !slices.Contains(formats, d.daemonFormat())) {
			return
		}
	}
	for _, d := range disks {
		d.Daemon = d.forQEMU(s.Self)
	}
}

// findServer settles who serves a disk that a running guest gets: its QEMU, if it was
// started with one, else our daemon.
func (s *Set) findServer(ctx context.Context, dev Device, d *Disk) error {
	v, err := s.read(ctx, fmt.Sprintf("/local/domain/%d/image", dev.Dom), "device-model-pid", "device-model-domid")
	if err == nil && len(v) > 0 {
		err = s.CheckServers(d)
	}
	if err != nil || len(v) > 0 {
		return err
	}
	if s.LeaveToDaemon(d); !d.Daemon {
		return fmt.Errorf("add %s: %w; have such a device when the guest is created, run goxl's blkback, or use a raw image", dev, ErrNoModel)
	}
	return nil
}

// forQEMU reports whether d is a disk that QEMU serves, unless our daemon does.
func (d *Disk) forQEMU(self DomID) bool {
	return d.Backend == BackendQDisk && d.BackendDom == self
}

// daemonFormat is the daemon's word for d's format.
func (d *Disk) daemonFormat() string {
	switch {
	case d.onServer():
		return formatNBD
	case d.Format == "":
		return string(FormatRaw)
	}
	return string(d.Format)
}

// byDaemon reports whether our own daemon serves dev, as its nodes say.
func (s *Set) byDaemon(ctx context.Context, dev Device) (bool, error) {
	if dev.BackendKind != QDisk {
		return false, nil
	}
	v, err := s.Store.Read(ctx, dev.BackendPath()+"/"+ServerKey)
	if errors.Is(err, xenstore.ErrNotFound) {
		return false, nil
	}
	return v == serverBlkback, err
}
