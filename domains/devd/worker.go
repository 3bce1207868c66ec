package devd

import (
	"context"
	"errors"
	"sync"
	"time"

	"goxl/domains/device"
	"goxl/domains/logs"
	"goxl/xenstore"
)

const (
	pace       = 5 * time.Millisecond // least time between two looks at a device
	retryPause = time.Second          // after an error
	serverWait = 3 * time.Second      // between looks for who serves a disk image
	actLimit   = 2 * time.Minute      // for all that is done about a device at once
)

// worker looks after one device. All but kick belongs to the goroutine of run.
type worker struct {
	d   *daemon
	dev device.Device
	log *logs.Logger

	mu     sync.Mutex
	over   bool // takes no more kicks
	missed bool // the last one came too late to be looked at
	kicked chan struct{}

	known        bool   // the log has the device
	tried        bool   // plugging failed; see next
	told         bool   // that nobody serves it
	loop, target string // of a disk on a loop device
}

func newWorker(d *daemon, dev device.Device) *worker {
	w := &worker{d: d, dev: dev, kicked: make(chan struct{}, 1),
		log: d.Log.With(logs.Uint16("dom", uint16(dev.Dom)), logs.String("kind", string(dev.BackendKind)), logs.Int("devid", dev.ID))}
	w.kicked <- struct{}{}
	return w
}

// kick has the device looked at, or reports false when its worker is ending.
func (w *worker) kick() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return false
	}
	select {
	case w.kicked <- struct{}{}:
	default:
	}
	return true
}

// run returns when ctx ends or the device is gone.
func (w *worker) run(ctx context.Context) {
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.over = true
		select {
		case <-w.kicked:
			w.missed = true
		default:
		}
	}()
	timer := time.NewTimer(0)
	<-timer.C
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.kicked:
		case <-timer.C:
		}
		gone, after := w.look(ctx)
		if gone || ctx.Err() != nil {
			return
		}
		if after > 0 {
			timer.Reset(after)
		}
		time.Sleep(pace)
	}
}

// look does what the device's nodes ask for now. It reports whether the device is gone,
// and after which time to look again even if nothing changes; zero is never. What it has
// begun it finishes after ctx has ended, too.
func (w *worker) look(ctx context.Context) (gone bool, after time.Duration) {
	in, err := w.read(ctx)
	if err != nil {
		if ctx.Err() == nil {
			w.log.Warn("cannot read a device's nodes, trying again", logs.Error(err))
		}
		return false, retryPause
	}
	if in.state != device.InitWait {
		w.tried = false // whoever waits next is another
	}
	if in.exists {
		w.loop, w.target = in.node, in.target
	}
	w.notice(in)
	act := next(w.dev.BackendKind, in, w.tried)
	if act == wait {
		return false, 0
	}
	w.log.Debug("step", logs.Stringer("action", act), logs.Int("state", int(in.state)), logs.Bool("online", in.online))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actLimit)
	defer cancel()
	return w.do(ctx, act)
}

// do takes a step; its results are those of look.
func (w *worker) do(ctx context.Context, act action) (gone bool, after time.Duration) {
	set := w.d.Devices
	switch act {
	case plug:
		w.tried = true
		loop, err := set.Plug(ctx, w.dev)
		if errors.Is(err, xenstore.ErrQuota) { // this domain has many devices under way: ten transactions are all it gets
			w.tried = false
			w.log.Warn("cannot plug a device now, trying again", logs.Error(err))
			return false, retryPause
		}
		if err != nil {
			w.log.Error("cannot plug a device", logs.Error(err))
			break
		}
		w.loop = loop
		w.log.Info("device plugged")
	case assign:
		err := set.LeaveImage(ctx, w.dev)
		if err == nil {
			w.log.Info("disk image left to blkback")
			return false, 0
		}
		w.refuse(ctx, err)
		return false, serverWait // blkback may be about to start
	case refuse:
		w.refuse(ctx, errors.New("goxl starts no QEMU in a driver domain, which such a device needs"))
	case withdraw:
		if err := set.Withdraw(ctx, w.dev); err != nil {
			w.log.Error("cannot remove a device, trying again", logs.Error(err))
			return false, retryPause
		}
		w.log.Info("device removed")
		return true, 0
	case forget:
		w.abandon(ctx)
		return true, 0
	}
	return false, 0
}

// refuse tells once why a device is not served.
func (w *worker) refuse(ctx context.Context, err error) {
	if !w.told {
		w.log.Error("a device is not served", logs.Error(err))
		w.d.Devices.Refused(ctx, w.dev, err)
	}
	w.told = true
}

// abandon frees the loop device of a disk whose nodes somebody removed by force.
func (w *worker) abandon(ctx context.Context) {
	if !w.known {
		return
	}
	w.log.Warn("a device's nodes were removed before it was taken down")
	if w.loop == "" || w.dev.BackendKind != device.VBD {
		return
	}
	if err := w.d.Devices.Abandon(ctx, w.dev, w.loop, w.target); err != nil {
		w.log.Error("the loop device of a disk stays", logs.String("loop", w.loop), logs.Error(err))
	}
}

// notice logs what there is about a device that is new to this daemon.
func (w *worker) notice(in seen) {
	if w.known || !in.exists {
		return
	}
	w.known = true
	if in.status == "connected" && in.state != device.Closed {
		w.log.Info("device was plugged before, taking it over", logs.Int("state", int(in.state)))
	}
}

// read returns what the device's nodes say.
func (w *worker) read(ctx context.Context) (seen, error) {
	back := w.dev.BackendPath()
	var b xenstore.Batch
	paths := []string{back + "/state", back + "/online", back + "/hotplug-status", back + "/" + device.ServerKey,
		back + "/node", back + "/params", w.dev.FrontendPath() + "/state"}
	replies := make([]*xenstore.Reply, len(paths))
	for i, p := range paths {
		replies[i] = b.Read(p)
	}
	if err := w.d.Store.Send(ctx, &b); err != nil {
		return seen{}, err
	}
	v := make([]string, len(paths))
	var in seen
	for i, r := range replies {
		text, err := r.Value()
		switch {
		case err == nil:
			v[i] = text
			in.exists = in.exists || i == 0
		case !errors.Is(err, xenstore.ErrNotFound) && !errors.Is(err, xenstore.ErrPermission):
			return seen{}, err // a guest that is gone is one that we may not look at
		}
	}
	in.state, in.front = device.ParseState(v[0]), device.ParseState(v[6])
	in.online, in.status, in.server, in.node, in.target = v[1] == "1", v[2], v[3], v[4], v[5]
	return in, nil
}
