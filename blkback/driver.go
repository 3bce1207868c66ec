package blkback

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"goxl/backends"
	"goxl/blkback/disk"
	"goxl/domains/logs"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// Kinds of the two halves of a disk in xenstore. Every libxl knows them, and no kernel
// driver claims the backend's.
const (
	Kind      = "qdisk"
	FrontKind = "vbd"
)

// The toolstack leaves a disk to this program by this node of the backend's, written
// together with all others. Without it the disk is QEMU's.
const (
	ServerKey   = "goxl-server"
	ServerValue = "blkback"
)

// Options is how disks are served. Zero fields have defaults.
type Options struct {
	Dir      string       // of the journals, on a tmpfs; "" is DefaultDir
	Queues   int          // most queues of a disk; 4
	Workers  int          // requests of a queue that run at a time; 8
	Memory   int          // bytes of data that a queue has under way; 16 MiB
	Buffered bool         // go through the host's page cache, whatever a policy says
	Backing  disk.Backing // which backing files an image may name; none
	Rules    Rules        // policies of disks; none. See SetRules
	Log      *logs.Logger // nil is silent
}

// DefaultDir is where journals are kept.
const DefaultDir = "/run/goxl/blkback"

// Driver opens disks for a backends.Manager.
type Driver struct {
	opt Options

	mu    sync.Mutex
	vbds  map[backends.ID]*vbd
	rules Rules
}

// NewDriver returns a driver without disks. Its directory is made if it is missing.
func NewDriver(o Options) (*Driver, error) {
	if o.Dir == "" {
		o.Dir = DefaultDir
	}
	for _, f := range []struct {
		have        *int
		name        string
		def, lo, hi int
	}{
		{&o.Queues, "queues", 4, 1, maxQueues},
		{&o.Workers, "workers", 8, 1, 256},
		{&o.Memory, "memory of a queue", 16 << 20, 1 << 20, 1 << 30},
	} {
		if *f.have == 0 {
			*f.have = f.def
		}
		if *f.have < f.lo || *f.have > f.hi {
			return nil, fmt.Errorf("%s: %d, want %d to %d", f.name, *f.have, f.lo, f.hi)
		}
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("directory of the journals: %w", err)
	}
	return &Driver{opt: o, vbds: map[backends.ID]*vbd{}, rules: o.Rules}, nil
}

// Open opens the disk at n, if the toolstack has left it to us.
func (d *Driver) Open(ctx context.Context, n *backends.Node) (backends.Device, error) {
	k, err := n.Back(ctx, ServerKey, "params", "mode", "device-type", "removable", "discard-enable")
	if err != nil {
		return nil, err
	}
	if k[ServerKey] != ServerValue {
		return nil, backends.ErrNotOurs
	}
	if err := n.CheckOwner(ctx, "params"); err != nil {
		return nil, err
	}
	p, err := parsePlace(k)
	if err != nil {
		return nil, err
	}
	log := d.opt.Log.With(logs.Uint16("dom", uint16(n.ID.Dom)), logs.Int("dev", n.ID.Dev))
	v := &vbd{
		node: n, opt: &d.opt, place: p, stats: &counters{},
		log: log, gov: newGovernor(log), rules: d.currentRules,
	}
	if err := v.lookAtPolicy(ctx, true); err != nil { // it says how to open the disk
		return nil, err
	}
	dk, info, err := d.openDisk(ctx, n.ID, p, d.opt.Buffered || v.policy.Host)
	if err != nil {
		return nil, err
	}
	v.disk, v.info = dk, info
	v.sectors.Store(uint64(dk.Size()) / 512)
	v.gone = func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.vbds, n.ID)
	}
	d.mu.Lock()
	d.vbds[n.ID] = v
	d.mu.Unlock()
	if err := v.lookAtPolicy(ctx, true); err != nil { // from here on SetRules knows the disk
		v.gone()
		return nil, errors.Join(err, dk.Close())
	}
	v.log.Info("disk opened", logs.String("path", p.path), logs.String("format", string(info.Format)),
		logs.Uint64("bytes", uint64(dk.Size())), logs.Bool("read_only", v.readOnly()), logs.Bool("direct", info.Direct))
	return v, nil
}

// lockPatience is how long a disk's last requests to the host may outlive the process
// that was killed.
const lockPatience = 5 * time.Minute

// openDisk opens the disk at p. That of a connection that is to go on may be locked for
// a while yet: by what the process before us had under way when it was killed.
func (d *Driver) openDisk(ctx context.Context, id backends.ID, p place, buffered bool) (disk.Disk, disk.Info, error) {
	o := disk.Options{Format: p.format, ReadOnly: p.readOnly, Direct: !buffered, Backing: d.opt.Backing,
		Holder: uint64(id.Dom)<<32 | uint64(uint32(id.Dev))}
	for end := time.Now().Add(lockPatience); ; {
		dk, info, err := disk.Open(ctx, p.path, o)
		if !errors.Is(err, disk.ErrLocked) || !d.goesOn(id) || time.Now().After(end) {
			return dk, info, err
		}
		select {
		case <-ctx.Done():
			return nil, disk.Info{}, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// goesOn reports whether there is a connection of the disk to go on with.
func (d *Driver) goesOn(id backends.ID) bool {
	_, err := os.Stat(d.opt.journalPath(id))
	return err == nil
}

// Stats returns what all open disks did, in the order of their domains and numbers.
func (d *Driver) Stats() []Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]Stats, 0, len(d.vbds))
	for id, v := range d.vbds {
		s := v.stats.snapshot()
		s.Dom, s.Dev, s.Path = uint16(id.Dom), id.Dev, v.place.path
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Stats) int {
		if a.Dom != b.Dom {
			return int(a.Dom) - int(b.Dom)
		}
		return a.Dev - b.Dev
	})
	return list
}

// Sweep removes journals of connections that xenstore does not know any more: their
// guests ended while no process of ours ran. Call it before disks are served.
func (d *Driver) Sweep(ctx context.Context, store *xenstore.Client, self abi.DomID) error {
	files, err := os.ReadDir(d.opt.Dir)
	if err != nil {
		return fmt.Errorf("look for old journals: %w", err)
	}
	var errs []error
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".journal")
		dom, dev, ok2 := strings.Cut(name, "-")
		if !ok || !ok2 {
			continue
		}
		path := fmt.Sprintf("/local/domain/%d/backend/%s/%s/%s/%s", self, Kind, dom, dev, connectionKey)
		on, err := store.Exists(ctx, path)
		if err == nil && !on {
			err = os.Remove(filepath.Join(d.opt.Dir, f.Name()))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (o *Options) journalPath(id backends.ID) string {
	return filepath.Join(o.Dir, fmt.Sprintf("%d-%d.journal", id.Dom, id.Dev))
}

// place is what the toolstack says of a disk.
type place struct {
	path                                string
	format                              disk.Format
	readOnly, cdrom, removable, discard bool
}

// parsePlace reads the backend's nodes. Params is FORMAT:PATH, as for QEMU, or nbd:URI.
func parsePlace(k backends.Keys) (place, error) {
	word, path, ok := strings.Cut(k["params"], ":")
	if !ok || path == "" {
		return place{}, fmt.Errorf("params is %q, want FORMAT:PATH", k["params"])
	}
	if word == "aio" { // QEMU's word for a raw file
		word = "raw"
	}
	format, err := disk.ParseFormat(word)
	if err != nil {
		return place{}, err
	}
	if format != disk.NBD && !filepath.IsAbs(path) { // what names a server, Open looks at
		return place{}, fmt.Errorf("params is %q, want an absolute path", k["params"])
	}
	return place{
		path: path, format: format, readOnly: k["mode"] != "w", cdrom: k["device-type"] == "cdrom",
		removable: k["removable"] == "1", discard: k["discard-enable"] == "1",
	}, nil
}
