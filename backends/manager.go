package backends

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"goxl/domains/logs"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// maxDevices bounds how many devices of a kind are served at a time.
const maxDevices = 4096

// Options is what a Manager works with. Store, Xen and Driver stay the caller's.
type Options struct {
	Store     *xenstore.Client // should redial, so that a new xenstored is survived
	Xen       Xen
	Kind      string // of the serving halves: "qdisk"
	FrontKind string // of the guests' halves: "vbd"; "" is Kind
	Self      abi.DomID
	Driver    Driver
	Log       *logs.Logger // nil is silent
}

// Manager serves all devices of one kind that the toolstack gives to this domain.
type Manager struct {
	Options
	base string // path of the devices' serving halves

	// The rest belongs to Run's goroutine.
	devices map[ID]*device
	again   map[ID]bool // events that came while a device's goroutine was ending
	ended   chan *device
	wg      sync.WaitGroup
}

// New returns a manager that serves nothing yet.
func New(o Options) *Manager {
	if o.FrontKind == "" {
		o.FrontKind = o.Kind
	}
	return &Manager{Options: o, base: kindPath(o.Self, o.Kind)}
}

// Self returns the domain that this program runs in, as the store knows it.
func Self(ctx context.Context, store *xenstore.Client) (abi.DomID, error) {
	v, err := store.Read(ctx, "domid")
	if err != nil {
		return 0, fmt.Errorf("read this domain's id: %w", err)
	}
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil || abi.DomID(n) >= abi.DomFirstReserved {
		return 0, fmt.Errorf("this domain's id is %q, not a domain id", v)
	}
	return abi.DomID(n), nil
}

// Run finds and serves devices until ctx ends, which is no error, or until xenstore
// cannot be watched any more. Then each device finishes and answers what it began and
// lets go of its frontend, whose nodes stay as they are: the next process can go on.
// Run returns when all have. It may be called once.
func (m *Manager) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	m.devices, m.again, m.ended = map[ID]*device{}, map[ID]bool{}, make(chan *device)
	defer m.finish()
	defer cancel()
	w, err := m.Store.Watch(ctx, m.base, xenstore.Merge())
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("find devices: %w", err)
	}
	defer w.Close()
	retry := time.NewTimer(0)
	<-retry.C
	for {
		select {
		case e, ok := <-w.Events():
			if !ok {
				if ctx.Err() != nil {
					return nil
				}
				return fmt.Errorf("find devices: %w", w.Err())
			}
			id, one := parsePath(m.base, e.Path)
			if one && !e.Restarted {
				m.kick(ctx, id)
			} else if err := m.scan(ctx); err != nil && ctx.Err() == nil {
				m.Log.Warn("cannot list devices, trying again", logs.Error(err))
				retry.Reset(time.Second)
			}
		case <-retry.C:
			if err := m.scan(ctx); err != nil && ctx.Err() == nil {
				retry.Reset(time.Second)
			}
		case d := <-m.ended:
			delete(m.devices, d.node.ID)
			if m.again[d.node.ID] || d.missed {
				delete(m.again, d.node.ID)
				m.kick(ctx, d.node.ID)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// finish waits for the devices, whose context has ended.
func (m *Manager) finish() {
	all := make(chan struct{})
	go func() { m.wg.Wait(); close(all) }()
	for {
		select {
		case <-m.ended:
		case <-all:
			return
		}
	}
}

// kick makes a device look at its nodes.
func (m *Manager) kick(ctx context.Context, id ID) {
	if d := m.devices[id]; d != nil {
		if !d.kick() {
			m.again[id] = true
		}
		return
	}
	if len(m.devices) >= maxDevices {
		m.Log.Error("too many devices, one is not served", logs.Stringer("device", id), logs.Int("limit", maxDevices))
		return
	}
	d := newDevice(m, id)
	m.devices[id] = d
	m.wg.Go(func() {
		d.run(ctx)
		m.ended <- d
	})
}

// scan makes all devices look at their nodes, those that xenstore has and those that
// are served.
func (m *Manager) scan(ctx context.Context) error {
	for id := range m.devices {
		m.kick(ctx, id)
	}
	doms, err := list(ctx, m.Store, m.base)
	if err != nil {
		return err
	}
	for _, dom := range doms {
		devs, err := list(ctx, m.Store, m.base+"/"+dom)
		if err != nil {
			return err
		}
		for _, dev := range devs {
			if id, ok := parseID(dom, dev); ok && m.devices[id] == nil {
				m.kick(ctx, id)
			}
		}
	}
	return nil
}

// list is List, where a node that is missing has no children.
func list(ctx context.Context, store *xenstore.Client, path string) ([]string, error) {
	names, err := store.List(ctx, path)
	if errors.Is(err, xenstore.ErrNotFound) {
		return nil, nil
	}
	return names, err
}
