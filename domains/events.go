package domains

import (
	"context"
	"fmt"
	"sync"
	"time"

	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// EventKind says what happened to a domain.
type EventKind uint8

// The kinds of event.
const (
	Created   EventKind = iota + 1 // a domain was introduced; only when all are watched
	ShutDown                       // the guest has ended; Reason tells why
	Destroyed                      // the domain is gone, or dying
)

// Event is one step in the life of a domain.
type Event struct {
	Kind   EventKind
	ID     abi.DomID
	UUID   abi.UUID
	Reason Reason // of ShutDown
}

// Watch follows the lives of domains. Its events come without gaps: a guest that
// ended before the watch began is reported at once.
type Watch struct {
	m      *Manager
	all    bool
	events chan Event
	stop   context.CancelFunc
	done   sync.WaitGroup
	err    error // after events was closed

	known map[abi.DomID]*lifeState
}

type lifeState struct {
	uuid     abi.UUID
	shutdown bool   // reported
	reason   Reason // that was
}

// Watch begins to follow the named domains, or all that there are and will be.
// The caller closes it; it ends by itself when ctx ends, when xenstore is lost,
// or when every named domain is gone. A reader that is slow misses nothing.
func (m *Manager) Watch(ctx context.Context, ids ...abi.DomID) (*Watch, error) {
	w := &Watch{m: m, all: len(ids) == 0, events: make(chan Event, 16), known: map[abi.DomID]*lifeState{}}
	for _, id := range ids {
		w.known[id] = &lifeState{}
	}
	ctx, w.stop = context.WithCancel(ctx)
	paths := []string{"@releaseDomain"}
	if w.all {
		paths = append(paths, "@introduceDomain")
	}
	look := make(chan struct{}, 1)
	var watches []*xenstore.Watch
	for _, p := range paths {
		sw, err := m.store.Watch(ctx, p, xenstore.Merge())
		if err != nil {
			for _, open := range watches {
				open.Close()
			}
			w.stop()
			return nil, fail(Store, 0, "watch "+p, err)
		}
		watches = append(watches, sw)
	}
	lost := make(chan error, len(watches))
	for _, sw := range watches {
		w.done.Go(func() {
			defer sw.Close()
			forward(ctx, sw, look, lost)
		})
	}
	w.done.Go(func() { w.run(ctx, look, lost) })
	return w, nil
}

// forward turns the events of one xenstore watch into "look again".
func forward(ctx context.Context, sw *xenstore.Watch, look chan<- struct{}, lost chan<- error) {
	for {
		select {
		case <-ctx.Done():
			return
		case _, more := <-sw.Events():
			if !more {
				lost <- sw.Err()
				return
			}
			select {
			case look <- struct{}{}:
			default: // a look is pending already
			}
		}
	}
}

// Events returns the channel of events. It is closed when the watch ends.
func (w *Watch) Events() <-chan Event { return w.events }

// Err says why the events ended: nil after Close, or when every named domain is
// gone.
func (w *Watch) Err() error { return w.err }

// Close ends the watch and returns when its goroutines are gone.
func (w *Watch) Close() error {
	w.stop()
	for range w.events { // whoever sends must not wait for a reader
	}
	w.done.Wait()
	return nil
}

func (w *Watch) run(ctx context.Context, look <-chan struct{}, lost <-chan error) {
	defer close(w.events)
	defer w.stop()
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return
		case err := <-lost:
			w.err = fail(Store, 0, "watch domains", err)
			return
		case <-look:
		}
		if w.err = w.lookAgain(ctx, first); w.err != nil {
			return
		}
		if !w.all && len(w.known) == 0 {
			return
		}
	}
}

// lookAgain looks, and once more when Xen refused to answer: who follows guests to
// their end must not lose them all for that.
func (w *Watch) lookAgain(ctx context.Context, first bool) (err error) {
	for range lookAttempts {
		if err = w.look(ctx, first); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(lookPause):
		}
	}
	return err
}

const (
	lookAttempts = 10
	lookPause    = 100 * time.Millisecond
)

// look compares what Xen says with what was reported. At the first look domains
// that exist are no news.
func (w *Watch) look(ctx context.Context, first bool) error {
	infos, err := w.m.xen.Domains()
	if err != nil {
		return fail(Hypervisor, 0, "list domains", err)
	}
	alive := make(map[abi.DomID]bool, len(infos))
	for i := range infos {
		d := domainOf(&infos[i])
		s := w.known[d.ID]
		if s != nil && !s.uuid.IsZero() && s.uuid != d.UUID {
			w.gone(ctx, d.ID) // its id was given out again in between
			s = nil
		}
		if d.Dying {
			continue
		}
		if s == nil {
			if !w.all {
				continue
			}
			s = &lifeState{}
			w.known[d.ID] = s
			if !first {
				w.send(ctx, Event{Kind: Created, ID: d.ID, UUID: d.UUID})
			}
		}
		s.uuid = d.UUID
		alive[d.ID] = true
		// A guest that was suspended may be resumed, which nobody tells us, and end.
		if d.Shutdown && (!s.shutdown || s.reason != d.Reason) {
			w.send(ctx, Event{Kind: ShutDown, ID: d.ID, UUID: d.UUID, Reason: d.Reason})
		}
		s.shutdown, s.reason = d.Shutdown, d.Reason
	}
	for id := range w.known {
		if !alive[id] {
			w.gone(ctx, id)
		}
	}
	return nil
}

func (w *Watch) gone(ctx context.Context, id abi.DomID) {
	w.send(ctx, Event{Kind: Destroyed, ID: id, UUID: w.known[id].uuid})
	delete(w.known, id)
}

func (w *Watch) send(ctx context.Context, e Event) {
	select {
	case w.events <- e:
	case <-ctx.Done():
	}
}

// errGuestDied is the cause of a context that ended because its guest did.
type errGuestDied abi.DomID

func (e errGuestDied) Error() string { return fmt.Sprintf("domain %d went away", abi.DomID(e)) }

// whileAlive returns a context that ends when domain id does. The caller stops it.
func (m *Manager) whileAlive(ctx context.Context, id abi.DomID) (context.Context, func(), error) {
	ctx, cancel := context.WithCancelCause(ctx)
	w, err := m.Watch(ctx, id)
	if err != nil {
		cancel(nil)
		return nil, nil, err
	}
	var done sync.WaitGroup
	done.Go(func() {
		for e := range w.Events() {
			if e.Kind == Destroyed {
				cancel(errGuestDied(id))
			}
		}
	})
	return ctx, func() {
		cancel(nil)
		w.Close()
		done.Wait()
	}, nil
}
