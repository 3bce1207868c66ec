package backends

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"goxl/xenctrl/abi"
	"goxl/xenctrl/gnttab"
	"goxl/xenstore"
)

// What one connection may hold of its frontend.
const (
	maxLinkPages = 1024 // rings: 16 queues of two rings of 16 pages, and some
	maxLinkPorts = 64
	maxFrontKeys = 512
)

// Link is a device's connection to its frontend, and the owner of all that the device
// holds of it: mapped pages and event channels. Its manager closes it after Serve has
// returned, so a device needs to close neither, nor the link. Methods may be called
// from several goroutines.
type Link struct {
	id    ID
	front string // path of the frontend's directory
	store *xenstore.Client
	xen   Xen

	mu     sync.Mutex
	grants Grants // nil until the first one
	maps   []Mapping
	ports  []binder
	pages  int
}

// Dom returns the frontend's domain.
func (l *Link) Dom() abi.DomID { return l.id.Dom }

// Front reads nodes of the frontend, in one transaction. Their values are hostile,
// and may be others by now: read each once, and use what was read.
func (l *Link) Front(ctx context.Context, names ...string) (Keys, error) {
	if len(names) > maxFrontKeys {
		return nil, fmt.Errorf("%w: %d nodes to read", ErrFrontend, len(names))
	}
	keys, err := readKeys(ctx, l.store, l.front, names)
	if err != nil {
		return nil, fmt.Errorf("read the frontend's nodes: %w", err)
	}
	return keys, nil
}

// readKeys reads nodes below dir, leaving out those that do not exist or cannot be
// read by us.
func readKeys(ctx context.Context, store *xenstore.Client, dir string, names []string) (Keys, error) {
	keys := make(Keys, len(names))
	err := store.Update(ctx, func(tx *xenstore.Tx) error {
		clear(keys)
		var b xenstore.Batch
		replies := make([]*xenstore.Reply, len(names))
		for i, n := range names {
			replies[i] = b.Read(dir + "/" + n)
		}
		if err := tx.Send(ctx, &b); err != nil {
			return err
		}
		for i, n := range names {
			v, err := replies[i].Value()
			switch {
			case err == nil:
				keys[n] = v
			case !errors.Is(err, xenstore.ErrNotFound) && !errors.Is(err, xenstore.ErrPermission):
				return err
			}
		}
		return nil
	})
	return keys, err
}

// open returns the set of grants. The caller holds the lock.
func (l *Link) open() (Grants, error) {
	if l.grants == nil {
		g, err := l.xen.OpenGrants()
		if err != nil {
			return nil, err
		}
		l.grants = g
	}
	return l.grants, nil
}

// Map maps pages that the frontend granted, next to each other, to read and write.
// The memory is used inside the mapping's With, which may last as long as Serve
// does. That a reference cannot be mapped is the frontend's fault: ErrFrontend.
func (l *Link) Map(refs ...abi.GrantRef) (Mapping, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pages+len(refs) > maxLinkPages {
		return nil, fmt.Errorf("%w: more than %d pages to map", ErrFrontend, maxLinkPages)
	}
	g, err := l.open()
	if err != nil {
		return nil, err
	}
	m, err := g.Map(l.id.Dom, refs)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrontend, err)
	}
	l.maps = append(l.maps, m)
	l.pages += len(refs)
	return m, nil
}

// NewBatch returns an empty list of copies from and to the frontend's grants, for one
// goroutine.
func (l *Link) NewBatch() (*gnttab.Batch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g, err := l.open()
	if err != nil {
		return nil, err
	}
	return g.NewBatch()
}

// Bind connects to an event channel that the frontend made for us. That it cannot be
// connected is ErrFrontend.
func (l *Link) Bind(remote abi.Port) (*Channel, error) {
	e, err := l.xen.OpenEvents()
	if err != nil {
		return nil, err
	}
	p, err := l.bind(e, remote)
	if err != nil {
		return nil, err
	}
	return &Channel{events: e, port: p}, nil
}

// BindPolled is Bind, for a thread that waits for several things at a time.
func (l *Link) BindPolled(remote abi.Port) (*PolledChannel, error) {
	e, err := l.xen.OpenPolledEvents()
	if err != nil {
		return nil, err
	}
	p, err := l.bind(e, remote)
	if err != nil {
		return nil, err
	}
	return &PolledChannel{events: e, port: p}, nil
}

// binder is a set of event channels that binds one.
type binder interface {
	BindInterdomain(dom abi.DomID, remote abi.Port) (abi.Port, error)
	Close() error
}

// bind binds a channel of e, which is the link's from now on.
func (l *Link) bind(e binder, remote abi.Port) (abi.Port, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ports) == maxLinkPorts {
		err := fmt.Errorf("%w: more than %d event channels", ErrFrontend, maxLinkPorts)
		return 0, errors.Join(err, e.Close())
	}
	p, err := e.BindInterdomain(l.id.Dom, remote)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrFrontend, errors.Join(err, e.Close()))
	}
	l.ports = append(l.ports, e)
	return p, nil
}

// close takes everything back.
func (l *Link) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, c := range l.ports {
		errs = append(errs, c.Close())
	}
	for _, m := range l.maps {
		errs = append(errs, m.Close())
	}
	if l.grants != nil {
		errs = append(errs, l.grants.Close())
	}
	l.ports, l.maps, l.grants = nil, nil, nil
	return errors.Join(errs...)
}

// Channel is an event channel to a frontend.
type Channel struct {
	events Events
	port   abi.Port
}

// Wait blocks until the frontend sent an event, and leaves the channel silent until
// Unmask: call that when the event is dealt with, so that a guest cannot send more of
// them than are dealt with (XSA-332). It ends with os.ErrClosed when the channel is
// closed. One event is there from the start.
func (c *Channel) Wait() error {
	_, err := c.events.Wait()
	return err
}

// Unmask lets the next event come.
func (c *Channel) Unmask() error { return c.events.Unmask(c.port) }

// Notify sends an event to the frontend. It does not block.
func (c *Channel) Notify() error { return c.events.Notify(c.port) }

// Close ends a Wait and disconnects the channel. It may be called twice.
func (c *Channel) Close() error { return c.events.Close() }

// PolledChannel is an event channel to a frontend, for a thread that polls. It belongs
// to one goroutine, whose use of it ends before the link is closed. No method blocks.
type PolledChannel struct {
	events PolledEvents
	port   abi.Port
}

// FD returns what is readable when the frontend has sent an event.
func (c *PolledChannel) FD() int { return c.events.FD() }

// Take takes the event and reports whether there was one. The channel is silent then
// until Unmask, as after Channel.Wait.
func (c *PolledChannel) Take() (bool, error) {
	_, ok, err := c.events.Take()
	return ok, err
}

// Unmask lets the next event come.
func (c *PolledChannel) Unmask() error { return c.events.Unmask(c.port) }

// Notify sends an event to the frontend.
func (c *PolledChannel) Notify() error { return c.events.Notify(c.port) }
