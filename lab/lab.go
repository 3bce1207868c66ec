package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Options of a new lab. The zero value is one host with the defaults.
type Options struct {
	Name     string   // empty: a free one
	Hosts    int      // 0 is 1
	CPUs     int      // of each host; 0 is 2
	MemMiB   int      // of each host; 0 is 3072
	Dom0MiB  int      // of that for dom0; 0 is 1024
	Stores   []string // xenstore daemon by host; missing ones are oxenstored
	Images   []*Image // by host, where they differ; missing ones are the lab's
	Payload  string   // disk image, mounted read-only at /mnt/payload; empty: none
	XenArgs  string   // more of Xen's command line
	Detached bool     // outlives this process; ended with [Lab.Close] or "xenlab down"
	Progress Progress // may be nil
}

// Lab is a set of running hosts.
type Lab struct {
	Name  string
	Hosts []*Host

	registry *registry
	record   record
	detached bool
}

// Release is the release of Xen that the lab's hosts run, "4.17".
func (l *Lab) Release() string { return l.record.Xen }

// bootLimit ends the wait for a host; busy machines take long.
const bootLimit = 5 * time.Minute

// Up starts a lab and returns when all its hosts are ready. What it started is
// gone again when it returns an error, or when ctx ends before it returns.
func Up(ctx context.Context, cache *Cache, image *Image, o Options) (_ *Lab, err error) {
	o = o.withDefaults()
	if err := Need(ctx, o.Progress, qemu); err != nil {
		return nil, err
	}
	emulator, err := cache.findEmulator()
	if err != nil {
		return nil, err
	}
	r, err := openRegistry(cache)
	if err != nil {
		return nil, err
	}
	dir, name, err := r.claim(o.Name)
	if err != nil {
		return nil, err
	}
	l := &Lab{Name: name, registry: r, detached: o.Detached}
	l.record = record{
		Name: name, Xen: image.Release.Xen, Image: image.Dir,
		Started: time.Now(), Owner: self(), Kept: o.Detached,
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	for tries := 1; ; tries++ {
		err := l.start(ctx, dir, image, emulator, o)
		if err == nil {
			break
		}
		if tries == startTries || ctx.Err() != nil {
			return nil, fmt.Errorf("lab %s: %w", name, err)
		}
		l.stop()
	}
	if err := l.ready(ctx, o); err != nil {
		return nil, fmt.Errorf("lab %s: %w", name, err)
	}
	return l, nil
}

// startTries: a port that was free may be taken when QEMU gets to it.
const startTries = 3

func (o Options) withDefaults() Options {
	o.Hosts = max(o.Hosts, 1)
	if o.CPUs == 0 {
		o.CPUs = 2
	}
	if o.MemMiB == 0 {
		o.MemMiB = 3072
	}
	if o.Dom0MiB == 0 {
		o.Dom0MiB = 1024
	}
	o.Stores = slices.Clone(o.Stores)
	for len(o.Stores) < o.Hosts {
		o.Stores = append(o.Stores, "oxenstored")
	}
	return o
}

// start starts every host's QEMU, in order: each connects to the one before.
func (l *Lab) start(ctx context.Context, dir string, image *Image, qemu emulator, o Options) error {
	l.record.Hosts = nil
	ports, err := freePorts(o.Hosts*2 - 1)
	if err != nil {
		return err
	}
	for i := range o.Hosts {
		m := &machine{
			image: o.imageOf(i, image), qemu: qemu, number: i + 1, name: l.Name, dir: dir,
			cpus: o.CPUs, memMiB: o.MemMiB, dom0MiB: o.Dom0MiB, store: o.Stores[i],
			kvm: useKVM(), sshPort: ports[i], segment: chain(i+1, o.Hosts, ports[o.Hosts:]),
			payload: o.Payload, xenArgs: o.XenArgs,
		}
		h, err := m.start(ctx, o.Detached)
		if err != nil {
			return err
		}
		l.Hosts = append(l.Hosts, h)
		l.record.Hosts = append(l.record.Hosts, hostRecord{h.Number, processOf(h.PID), h.SSHPort, h.Store, h.Image.Release.Xen, h.Image.Dir})
		if err := l.registry.save(l.record); err != nil {
			return err
		}
	}
	return nil
}

// ready waits for all hosts at once and fails with the first that does.
func (l *Lab) ready(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	errs := make([]error, len(l.Hosts))
	var wg sync.WaitGroup
	for i, h := range l.Hosts {
		wg.Go(func() {
			done := step(o.Progress, fmt.Sprintf("boot Xen %s with a Linux dom0, host %d", h.Image.Release.Xen, h.Number), bootTime)
			errs[i] = h.ready(ctx)
			done(errs[i])
			if errs[i] != nil {
				cancel()
			}
			if o.Detached {
				h.console.conn.Close() // leave the console to others
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return l.introduce(ctx)
}

// Close ends all hosts and forgets the lab. It may be called twice.
func (l *Lab) Close() error {
	l.stop()
	return l.registry.end(l.record)
}

// stop ends the hosts that this process started.
func (l *Lab) stop() {
	for _, h := range l.Hosts {
		h.kill()
	}
	l.Hosts = nil
}

// Detach lets go of a lab that outlives this process.
func (l *Lab) Detach() {
	for _, h := range l.Hosts {
		h.hangUp()
	}
}

// Status is what is known about a running lab without asking its hosts.
type Status struct {
	Name, Xen string
	Started   time.Time
	Owner     int  // process that started it
	Left      bool // its owner is gone although it was not to outlive it
	Hosts     []HostStatus
}

// HostStatus is a host's part of [Status].
type HostStatus struct {
	Number, PID, SSHPort int
	Store, ConsoleLog    string
	Alive                bool
}

// Running lists the labs on this machine, those left behind included.
func Running(cache *Cache) ([]Status, error) {
	r, err := openRegistry(cache)
	if err != nil {
		return nil, err
	}
	records, err := r.list()
	if err != nil {
		return nil, err
	}
	var list []Status
	for _, rec := range records {
		s := Status{
			Name: rec.Name, Xen: rec.Xen, Started: rec.Started,
			Owner: rec.Owner.PID, Left: !rec.Kept && !rec.Owner.alive(),
		}
		for _, h := range rec.Hosts {
			s.Hosts = append(s.Hosts, HostStatus{
				Number: h.Number, PID: h.QEMU.PID, SSHPort: h.SSHPort, Store: h.Store,
				ConsoleLog: filepath.Join(r.dir, rec.Name, fmt.Sprintf("console%d.log", h.Number)),
				Alive:      h.QEMU.alive(),
			})
		}
		list = append(list, s)
	}
	return list, nil
}

// Attach finds a running lab. An empty name finds the only one there is.
func Attach(cache *Cache, name string) (*Lab, error) {
	r, err := openRegistry(cache)
	if err != nil {
		return nil, err
	}
	records, err := r.list()
	if err != nil {
		return nil, err
	}
	if name == "" && len(records) > 1 {
		return nil, fmt.Errorf("%d labs run here: say which with --name", len(records))
	}
	for _, rec := range records {
		if name != "" && rec.Name != name {
			continue
		}
		return r.attach(rec)
	}
	if name == "" {
		return nil, fmt.Errorf("no lab runs here: %w: start one with \"xenlab up\"", os.ErrNotExist)
	}
	return nil, fmt.Errorf("lab %s: %w: \"xenlab status\" lists those that run", name, os.ErrNotExist)
}

func (r *registry) attach(rec record) (*Lab, error) {
	l := &Lab{Name: rec.Name, registry: r, record: rec, detached: true}
	for _, h := range rec.Hosts {
		release, err := ParseRelease(cmp.Or(h.Xen, rec.Xen))
		if err != nil {
			return nil, fmt.Errorf("lab %s: %w", rec.Name, err)
		}
		dir := filepath.Join(r.dir, rec.Name)
		l.Hosts = append(l.Hosts, &Host{
			Number: h.Number, Image: &Image{release, cmp.Or(h.Image, rec.Image)}, SSHPort: h.SSHPort, PID: h.QEMU.PID, Store: h.Store,
			consoleSocket: filepath.Join(dir, fmt.Sprintf("console%d.sock", h.Number)),
			consoleLog:    filepath.Join(dir, fmt.Sprintf("console%d.log", h.Number)),
		})
	}
	return l, nil
}

// Down ends a lab, one that another process started included.
func Down(cache *Cache, name string) error {
	l, err := Attach(cache, name)
	if err != nil {
		return err
	}
	l.Hosts = nil // by their records: a process number may be somebody else's now
	return l.registry.end(l.record)
}
