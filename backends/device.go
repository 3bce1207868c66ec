package backends

import (
	"context"
	"errors"
	"sync"
	"time"

	"goxl/backends/ring"
	"goxl/domains/logs"
	"goxl/xenstore"
)

const (
	// pace is the least time between two looks at a device's nodes, so that a guest
	// that keeps changing its own costs little.
	pace = 5 * time.Millisecond

	// reconnectPause is the least time between two connections of a device.
	reconnectPause = 100 * time.Millisecond

	retryPause = time.Second // after an error of xenstore
	openPause  = 5 * time.Second
	logPause   = time.Minute // between messages that a guest can cause
	frontLimit = 1024        // queued events of a frontend's nodes
)

// device leads one device through its life. All but kick belongs to the goroutine of
// run.
type device struct {
	m    *Manager
	node *Node
	log  *logs.Logger

	mu      sync.Mutex
	over    bool // takes no more kicks
	missed  bool // the last one came too late to be looked at
	kicked  chan struct{}
	watch   *xenstore.Watch // of the frontend's nodes
	open    Device          // nil until the driver opened it
	link    *Link           // nil unless attached
	stop    context.CancelFunc
	served  chan error // of Serve; nil when it does not run
	settled bool
	failed  bool
	refused time.Time // when the device could not be opened; zero if it could
	cause   error     // of failed or refused
	last    time.Time // of the last connection

	logged time.Time
	quiet  int // messages not logged since
}

func newDevice(m *Manager, id ID) *device {
	d := &device{
		m: m, kicked: make(chan struct{}, 1),
		node: &Node{ID: id, Self: m.Self, Kind: m.Kind, front: m.FrontKind, store: m.Store},
		log:  m.Log.With(logs.Uint16("dom", uint16(id.Dom)), logs.Int("dev", id.Dev)),
	}
	d.kicked <- struct{}{}
	return d
}

// kick makes the device look at its nodes, or reports false when it is ending.
func (d *device) kick() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return false
	}
	select {
	case d.kicked <- struct{}{}:
	default:
	}
	return true
}

// run returns when ctx ends, the device's nodes are gone, or it is somebody else's.
func (d *device) run(ctx context.Context) {
	defer d.end()
	timer := time.NewTimer(0)
	<-timer.C
	for {
		var events <-chan xenstore.Event
		if d.watch != nil {
			events = d.watch.Events()
		}
		select {
		case <-ctx.Done():
			return
		case <-d.kicked:
		case <-timer.C:
		case _, ok := <-events:
			if !ok {
				d.watch = nil // set anew below
			}
		case err := <-d.served:
			d.served = nil
			d.fail("device stopped serving", err)
		}
		on, err := d.look(ctx)
		if !on {
			return
		}
		switch {
		case err != nil && ctx.Err() == nil:
			d.complain("device cannot go on, trying again", err)
			timer.Reset(retryPause)
		case d.isRefused():
			timer.Reset(openPause)
		}
		if sleep(ctx, pace) != nil {
			return
		}
	}
}

// end lets go of everything and closes the device. A frontend that is connected stays
// so, for the next process.
func (d *device) end() {
	d.mu.Lock()
	d.over = true
	select {
	case <-d.kicked:
		d.missed = true
	default:
	}
	d.mu.Unlock()
	if d.watch != nil {
		d.watch.Close()
	}
	if err := d.detach(); err != nil {
		d.log.Warn("device did not give back all", logs.Error(err))
	}
	if d.open != nil {
		if err := d.open.Close(); err != nil {
			d.log.Warn("cannot close device", logs.Error(err))
		}
	}
	if d.quiet > 0 { // or nobody would ever learn of them
		d.log.Warn("more went wrong with the device", logs.Int("more_since", d.quiet))
	}
}

// look takes all steps that the nodes now ask for. It reports false when the device
// is gone or not ours.
func (d *device) look(ctx context.Context) (bool, error) {
	for {
		in, err := d.input(ctx)
		if err != nil {
			return true, err
		}
		if in.Own == Unknown && !in.Attached {
			return false, nil
		}
		if d.open == nil && !in.Refused {
			switch err := d.opened(ctx); {
			case errors.Is(err, ErrNotOurs):
				return false, nil
			case err != nil && ctx.Err() != nil:
				return true, err // not the device's fault
			case err != nil:
				d.refuse("cannot open device", err)
				in.Refused = true
			}
		}
		followed := d.follow(ctx) // what a device cannot follow does not keep it from going
		act, state := next(in)
		if act == wait {
			return true, followed
		}
		d.log.Debug("step", logs.Stringer("action", act), logs.Stringer("own", in.Own), logs.Stringer("peer", in.Peer),
			logs.Stringer("to", state))
		if err := d.do(ctx, act, in.Own, state); err != nil && !errors.Is(err, errChanged) {
			if errors.Is(err, xenstore.ErrNotFound) {
				continue // the nodes just went
			}
			return true, err
		}
	}
}

// input reads what the next step depends on, in one transaction.
func (d *device) input(ctx context.Context) (input, error) {
	in := input{Attached: d.link != nil, Settled: d.settled, Failed: d.failed, Refused: d.isRefused()}
	back, front := d.node.BackPath(), d.node.FrontPath()
	k, err := readKeys(ctx, d.m.Store, "", []string{back[1:] + "/state", back[1:] + "/online", front[1:] + "/state"})
	if err != nil {
		return in, err
	}
	in.Own, in.Peer = parseState(k[back[1:]+"/state"]), parseState(k[front[1:]+"/state"])
	in.Online = k[back[1:]+"/online"] == "1"
	in.look()
	d.settled = in.Settled
	if !in.Refused {
		d.refused = time.Time{}
	}
	return in, nil
}

// opened has the driver open the device.
func (d *device) opened(ctx context.Context) error {
	dev, err := d.m.Driver.Open(ctx, d.node)
	if err != nil {
		return err
	}
	d.open = dev
	return nil
}

// follow watches the frontend's nodes and lets a device look at those it cares about.
func (d *device) follow(ctx context.Context) error {
	w, _ := d.open.(Watcher)
	if d.watch == nil {
		fw, err := d.m.Store.Watch(ctx, d.node.FrontPath()+"/state", xenstore.Merge(), xenstore.Limit(frontLimit))
		if err != nil {
			return err
		}
		if w != nil {
			for _, k := range w.FrontKeys() {
				if err := fw.Add(ctx, d.node.FrontPath()+"/"+k); err != nil {
					fw.Close()
					return err
				}
			}
		}
		d.watch = fw
	}
	if w != nil {
		return w.Changed(ctx)
	}
	return nil
}

// do takes one step.
func (d *device) do(ctx context.Context, act action, own, state State) error {
	switch act {
	case advertise:
		keys, err := d.open.Features(ctx)
		if err != nil {
			if ctx.Err() == nil {
				d.refuse("cannot prepare device", err)
			}
			return err
		}
		d.cause = nil
		return d.node.setState(ctx, own, state, keys...)
	case connect:
		return d.connect(ctx, own, state)
	case reconnect:
		if err := errors.Join(d.detach(), d.open.Release()); err != nil {
			d.complain("device did not give back all", err)
		}
		return d.connect(ctx, own, state)
	case reattach:
		return d.reattach(ctx)
	case announce:
		return d.node.setState(ctx, own, state, d.failure()...)
	case release:
		return d.release(ctx, own, state)
	}
	return nil
}

func (d *device) connect(ctx context.Context, own, state State) error {
	if err := sleep(ctx, time.Until(d.last.Add(reconnectPause))); err != nil {
		return err
	}
	d.last = time.Now()
	l := d.newLink()
	keys, err := d.open.Connect(ctx, l)
	if err != nil {
		if e := errors.Join(l.close(), d.open.Release()); e != nil {
			d.complain("device did not give back all", e)
		}
		if ctx.Err() != nil {
			return err
		}
		d.fail("cannot connect to the frontend", err)
		return d.node.setState(ctx, own, Closing, d.failure()...)
	}
	if err := d.node.setState(ctx, own, state, keys...); err != nil {
		if e := errors.Join(l.close(), d.open.Release()); e != nil {
			d.complain("device did not give back all", e)
		}
		return err
	}
	d.serve(l)
	d.node.News(d.log, "device connected")
	return nil
}

func (d *device) reattach(ctx context.Context) error {
	l := d.newLink()
	if err := d.open.Reattach(ctx, l); err != nil {
		if e := l.close(); e != nil {
			d.complain("device did not give back all", e)
		}
		if ctx.Err() != nil {
			return err
		}
		d.fail("cannot go on serving the frontend", err)
		return nil
	}
	d.serve(l)
	d.node.News(d.log, "device serves on for a process that ended")
	return nil
}

func (d *device) newLink() *Link {
	return &Link{id: d.node.ID, front: d.node.FrontPath(), store: d.m.Store, xen: d.m.Xen}
}

// serve runs Serve beside this goroutine, until detach.
func (d *device) serve(l *Link) {
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	d.link, d.stop, d.served, d.settled, d.failed = l, cancel, served, false, false
	d.cause = nil
	open := d.open
	go func() { served <- open.Serve(ctx) }()
}

// detach ends Serve, waits for it, and takes the link back.
func (d *device) detach() error {
	if d.link == nil {
		return nil
	}
	d.stop()
	if d.served != nil {
		if err := <-d.served; err != nil {
			d.complain("device stopped serving", err)
		}
	}
	err := d.link.close()
	d.link, d.stop, d.served, d.settled = nil, nil, nil, false
	return err
}

func (d *device) release(ctx context.Context, own, state State) error {
	was := d.link != nil
	err := d.detach()
	if d.open != nil {
		err = errors.Join(err, d.open.Release())
	}
	if err != nil {
		d.complain("device did not give back all", err)
	}
	if was {
		d.node.News(d.log, "device disconnected")
	}
	if state == Unknown || state == own {
		return nil
	}
	if state == Closed {
		d.failed = false
	}
	return d.node.setState(ctx, own, state, d.failure()...)
}

// fail closes this connection.
func (d *device) fail(what string, err error) {
	d.failed, d.cause = true, err
	d.complain(what, err)
}

// refuse closes the device until it can be opened.
func (d *device) refuse(what string, err error) {
	d.refused, d.cause = time.Now(), err
	d.complain(what, err)
}

// isRefused reports whether it is too early to try to open the device again.
func (d *device) isRefused() bool { return !d.refused.IsZero() && time.Since(d.refused) < openPause }

// failure are the nodes that tell others why a device is closed. The guest reads them
// too.
func (d *device) failure() []Key {
	switch {
	case d.cause == nil:
		return nil
	case errors.Is(d.cause, ErrFrontend) || errors.Is(d.cause, ring.ErrRing): // nobody else's matter
		return []Key{{"error", clip(d.cause.Error())}}
	}
	return []Key{{"hotplug-status", "error"}, {"hotplug-error", clip(d.cause.Error())}}
}

// clip shortens a text to what a node holds.
func clip(s string) string { return s[:min(len(s), 1000)] }

// complain logs what a guest may cause as often as it likes: once a minute.
func (d *device) complain(what string, err error) {
	if now := time.Now(); now.Sub(d.logged) >= logPause {
		d.log.Warn(what, logs.Error(err), logs.Int("more_since", d.quiet))
		d.logged, d.quiet = now, 0
		return
	}
	d.quiet++
}

// sleep waits, or returns why ctx ended.
func sleep(ctx context.Context, t time.Duration) error {
	if t <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
