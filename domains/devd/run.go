package devd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"goxl/domains/device"
	"goxl/domains/logs"
	"goxl/xenstore"
)

// maxDevices bounds how many devices are looked after at a time.
const maxDevices = 4096

// scanPause is how long after a failed look at all devices the next one comes.
const scanPause = time.Second

// ErrToolstack says that this is the domain of the toolstack, which plugs its devices
// itself.
var ErrToolstack = errors.New("this is domain 0, whose devices the toolstack plugs itself; the daemon is for driver domains")

// Options is what Run works with. Both Store and Devices stay the caller's.
type Options struct {
	Store   *xenstore.Client // should redial, so that a new xenstored is survived
	Devices *device.Set      // its Self is this domain
	Ready   func()           // if set, called when the devices that there are were found
	Log     *logs.Logger     // nil is silent
}

// daemon is the state of Run, whose goroutine alone uses it.
type daemon struct {
	Options
	base    string
	workers map[device.Device]*worker
	again   map[device.Device]bool // events that came while a worker was ending
	ended   chan *worker
	wg      sync.WaitGroup
}

// Run looks after this domain's devices until ctx ends, which is no error, or until
// xenstore cannot be watched any more. What was begun for a device is finished first: a
// hotplug script has its 40 s. Devices stay as they are.
func Run(ctx context.Context, o Options) error {
	if o.Devices.Self == 0 {
		return ErrToolstack
	}
	ctx, cancel := context.WithCancel(ctx)
	d := &daemon{
		Options: o, base: fmt.Sprintf("/local/domain/%d/backend", o.Devices.Self),
		workers: map[device.Device]*worker{}, again: map[device.Device]bool{}, ended: make(chan *worker),
	}
	defer d.finish()
	defer cancel()
	w, err := o.Store.Watch(ctx, d.base, xenstore.Merge())
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("find devices: %w", err)
	}
	defer w.Close()
	return d.follow(ctx, w)
}

// follow has each device looked at when one of its nodes changes. The first event comes
// at once, and is about no device: then all are.
func (d *daemon) follow(ctx context.Context, w *xenstore.Watch) error {
	retry := time.NewTimer(0)
	<-retry.C
	scan := func() {
		switch err := d.scan(ctx); {
		case err != nil && ctx.Err() == nil:
			d.Log.Warn("cannot list devices, trying again", logs.Error(err))
			retry.Reset(scanPause)
		case err == nil && d.Ready != nil:
			d.Ready()
			d.Ready = nil
		}
	}
	for {
		select {
		case e, ok := <-w.Events():
			if !ok && ctx.Err() == nil {
				return fmt.Errorf("find devices: %w", w.Err())
			}
			if !ok {
				return nil
			}
			if dev, one := device.ServedAt(e.Path); one && !e.Restarted {
				d.kick(ctx, dev)
			} else {
				scan()
			}
		case <-retry.C:
			scan()
		case w := <-d.ended:
			delete(d.workers, w.dev)
			if d.again[w.dev] || w.missed {
				delete(d.again, w.dev)
				d.kick(ctx, w.dev)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// finish waits for the workers, whose context has ended.
func (d *daemon) finish() {
	all := make(chan struct{})
	go func() { d.wg.Wait(); close(all) }()
	for {
		select {
		case <-d.ended:
		case <-all:
			return
		}
	}
}

// kick has a device looked at.
func (d *daemon) kick(ctx context.Context, dev device.Device) {
	if w := d.workers[dev]; w != nil {
		if !w.kick() {
			d.again[dev] = true
		}
		return
	}
	if len(d.workers) >= maxDevices {
		d.Log.Error("too many devices, one is not looked after", logs.Stringer("device", dev), logs.Int("limit", maxDevices))
		return
	}
	w := newWorker(d, dev)
	d.workers[dev] = w
	d.wg.Go(func() {
		w.run(ctx)
		d.ended <- w
	})
}

// scan has all devices looked at, those that xenstore has and those that are known.
func (d *daemon) scan(ctx context.Context) error {
	for dev := range d.workers {
		d.kick(ctx, dev)
	}
	devs, err := d.Devices.Served(ctx)
	if err != nil {
		return err
	}
	for _, dev := range devs {
		if d.workers[dev] == nil {
			d.kick(ctx, dev)
		}
	}
	return nil
}
