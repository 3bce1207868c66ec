package console

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"goxl/domains/logs"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// Options are what a daemon may be told.
type Options struct {
	Logger *logs.Logger // nil is silent

	LogDir        string     // folder of all log files
	GuestLogs     bool       // write guest-NAME.log
	GuestLog      LogOptions // how
	HypervisorLog bool       // write hypervisor.log
	XenLog        LogOptions // how

	// KeepOverflow has a guest wait when nobody reads what it prints, instead of
	// losing the middle.
	KeepOverflow bool
	// TailDir is where the last output of each guest is kept; "" keeps nothing.
	TailDir string
}

// errDead is why a guest's console ends when the guest has.
var errDead = errors.New("the domain is gone")

// lookAgain is how soon the domains are looked at again after Xen did not answer.
const lookAgain = time.Second

// Daemon serves the consoles of all guests of a host.
type Daemon struct {
	store *xenstore.Client
	host  Host
	opt   Options
	log   *logs.Logger
	boot  [16]byte
	now   func() time.Time

	mu     sync.Mutex
	guests map[abi.DomID]*guest
	xenlog *hypervisorLog // nil: not written

	ending sync.WaitGroup // all guests, also those that ended
}

// New returns a daemon that serves the guests of host, of which store tells. It does
// nothing before Run. Neither store nor host are closed by it.
func New(store *xenstore.Client, host Host, opt Options) *Daemon {
	log := opt.Logger
	return &Daemon{store: store, host: host, opt: opt, log: log, boot: bootID(), now: time.Now,
		guests: map[abi.DomID]*guest{}}
}

// Run serves until ctx ends, which is no error. Ready, when set, is called once all
// guests that there are are served. Guests may print again to the next daemon: what
// stands in their rings then is not lost.
func (d *Daemon) Run(ctx context.Context, ready func()) error {
	err := d.serve(ctx, ready)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (d *Daemon) serve(ctx context.Context, ready func()) error {
	w, err := d.store.Watch(ctx, "@introduceDomain", xenstore.Merge())
	if err != nil {
		return fmt.Errorf("watch for new domains: %w", err)
	}
	defer w.Close()
	if err := w.Add(ctx, "@releaseDomain"); err != nil {
		return fmt.Errorf("watch for domains that end: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var others sync.WaitGroup
	defer others.Wait()
	defer cancel()
	if d.opt.HypervisorLog {
		if err := d.startHypervisorLog(ctx, &others); err != nil {
			return err
		}
	}
	defer d.stopGuests()
	d.prune()
	again := time.NewTimer(0) // the first look
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-w.Events():
			if !ok {
				return fmt.Errorf("watch for domains: %w", w.Err())
			}
		case <-again.C:
		}
		if err := d.look(ctx); err != nil {
			d.log.Error("cannot list domains", logs.Error(err))
			again.Reset(lookAgain)
			continue
		}
		if ready != nil && d.awaitFirst(ctx) == nil {
			ready()
			ready = nil
		}
	}
}

// awaitFirst waits until each guest was looked at once: it is served then, or will be
// when it has a console, or cannot be now.
func (d *Daemon) awaitFirst(ctx context.Context) error {
	d.mu.Lock()
	all := slices.Collect(maps.Values(d.guests))
	d.mu.Unlock()
	for _, g := range all {
		select {
		case <-g.looked:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Reload opens all log files anew.
func (d *Daemon) Reload() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, g := range d.guests {
		wake(g.reload)
	}
	if d.xenlog != nil {
		d.xenlog.reload()
	}
}

// look compares the domains that there are with those that are served.
func (d *Daemon) look(ctx context.Context) error {
	all, err := d.host.Domains()
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	alive := make(map[abi.DomID]abi.UUID, len(all))
	for i := range all {
		if info := &all[i]; info.ID != 0 && !info.Dying() {
			alive[info.ID] = info.Handle
		}
	}
	ended := false
	for id, g := range d.guests {
		if uuid, ok := alive[id]; !ok || uuid != g.uuid {
			g.stop(errDead)
			delete(d.guests, id)
			ended = true
		}
	}
	for id, uuid := range alive {
		if d.guests[id] == nil {
			d.guests[id] = d.startGuest(ctx, id, uuid)
		}
	}
	if ended {
		d.pruneLocked()
	}
	return nil
}

// stopGuests ends the service of all guests and waits for it, also of those that
// ended before.
func (d *Daemon) stopGuests() {
	d.mu.Lock()
	for id, g := range d.guests {
		g.stop(nil)
		delete(d.guests, id)
	}
	d.mu.Unlock()
	d.ending.Wait()
}

func (d *Daemon) prune() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pruneLocked()
}

// pruneLocked bounds what is kept of guests that ended.
func (d *Daemon) pruneLocked() {
	if d.opt.TailDir == "" {
		return
	}
	alive := map[abi.DomID]abi.UUID{}
	for id, g := range d.guests {
		alive[id] = g.uuid
	}
	err := pruneTails(d.opt.TailDir, func(h *TailInfo) bool {
		uuid, ok := alive[h.Dom]
		return ok && uuid == h.UUID && h.Boot == d.boot
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		d.log.Warn("cannot remove what is kept of old guests", logs.Error(err))
	}
}
